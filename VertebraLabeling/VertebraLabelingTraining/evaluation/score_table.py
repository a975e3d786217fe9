"""The table of the benchmarks: scores of held-out scans with 95 % intervals by patient.

    python -m VertebraLabelingTraining.evaluation.score_table --evidence runs/cv --splits DATA/splits.json

``--evidence`` is a folder of :mod:`.crossval` or :mod:`.count_scores`; it is solved anew. Scans of one patient are no
independent trials: shares of vertebrae and distances have intervals by bootstrap over patients. The share of patients
of whom every scan is all correct has the exact binomial one (Clopper and Pearson 1934), which holds for 100 % too.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from VertebraLabelingLib.core.metrics import REGIONS, CaseScore, score_case, summarize
from VertebraLabelingLib.errors import NoSpineError
from VertebraLabelingLib.solver.chain import solve

from ..data.evidence_folder import Sample, read_samples
from .draw_crops import patients_of

DRAWS = 2000
LEVEL = 0.95
_STEPS = 60  # of the bisection: more than a double can tell apart
COLUMNS = (
    "scans (patients), vertebrae",
    "patients all correct",
    "strict id",
    "precision",
    "mean mm",
    "median mm",
    "p95 mm",
)
MEASURES = ("strict_id", "precision", "mean_mm", "median_mm", "p95_mm")


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evidence", type=Path, required=True, help="output folder of crossval or count_scores")
    parser.add_argument("--splits", type=Path, required=True, help="tells which scans are of one patient")
    options = parser.parse_args(arguments)
    samples = read_samples(options.evidence)
    patients = patients_of(options.splits, [sample.name for sample in samples])
    print(table({sample.name: score(sample) for sample in samples}, patients))


def score(sample: Sample) -> CaseScore:
    """Solve one sample as the product does and compare it with its truth."""
    try:
        points = {point.level: point.ras for point in solve(sample.evidence).points}
    except NoSpineError:
        points = {}
    return score_case(sample.name, points, sample.truth, sample.cut)


def table(scores: Mapping[str, CaseScore], patients: Mapping[str, str]) -> str:
    """Markdown: a line for each set (the folder of a case's name), and for each region of it.

    Args:
        scores: case name -> its score.
        patients: case name -> whom it shows.
    """
    lines = [
        f"| | {' | '.join(COLUMNS)} |",
        "|---" * 8 + "|",
    ]
    for name in dict.fromkeys(case.split("/")[0] for case in scores):
        own = {case: value for case, value in scores.items() if case.split("/")[0] == name}
        lines.append(_line(name, own, patients))
        for region in REGIONS:
            parts = {case: part for case, value in own.items() if (part := value.within(region)).vertebrae}
            if parts:
                lines.append(_line(f"{name}, {region}", parts, patients))
    return "\n".join(lines)


def _line(title: str, scores: Mapping[str, CaseScore], patients: Mapping[str, str]) -> str:
    groups: dict[str, list[CaseScore]] = {}
    for case, value in scores.items():
        groups.setdefault(patients[case], []).append(value)
    correct = sum(all(not case.missed and not case.false_positives for case in own) for own in groups.values())
    low, high = exact_interval(correct, len(groups))
    cells = [
        f"{len(scores)} ({len(groups)}), {sum(len(case.vertebrae) for case in scores.values())}",
        f"{correct} of {len(groups)} ({low:.0%}-{high:.0%})",
    ]
    drawn = interval(list(groups.values()), lambda cases: np.array(_measured(cases), dtype=float))
    for name, value, (low, high) in zip(MEASURES, _measured(list(scores.values())), drawn.T):
        form = "{:.1f}" if name.endswith("mm") else "{:.1%}"
        cells.append("-" if value is None else f"{form.format(value)} ({form.format(low)}-{form.format(high)})")
    return f"| {title} | {' | '.join(cells)} |"


def _measured(cases: Sequence[CaseScore]) -> list[float | None]:
    summary = summarize(cases)
    return [summary[name] for name in MEASURES]


def interval(groups: Sequence[list], measure: Callable[[list], np.ndarray], draws: int = DRAWS) -> np.ndarray:
    """(2, M) lower and upper ends of the 95 % intervals of M measures, by bootstrap over groups.

    Args:
        groups: what belongs to each patient.
        measure: items of the drawn patients -> (M,) values, NaN where there is nothing to measure.
        draws: how often as many patients as there are are drawn, with replacement.
    """
    rng = np.random.default_rng(0)
    values = [
        measure([item for row in rng.integers(0, len(groups), len(groups)) for item in groups[row]])
        for _ in range(draws)
    ]
    tail = 50 * (1 - LEVEL)
    return np.nanpercentile(np.array(values, dtype=float), (tail, 100 - tail), axis=0)


def exact_interval(hits: int, count: int) -> tuple[float, float]:
    """The exact binomial 95 % interval of a share (Clopper and Pearson 1934); 0 to 1 of nothing."""
    if not count:
        return 0.0, 1.0
    tail = (1 - LEVEL) / 2
    low = 0.0 if hits == 0 else _solve(lambda p: 1 - _at_most(hits - 1, count, p), tail)
    high = 1.0 if hits == count else 1 - _solve(lambda q: 1 - _at_most(count - hits - 1, count, q), tail)
    return low, high


def _at_most(hits: int, count: int, p: float) -> float:
    """Probability of at most so many hits."""
    return sum(math.comb(count, k) * p**k * (1 - p) ** (count - k) for k in range(hits + 1))


def _solve(rising: Callable[[float], float], value: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < value else (low, middle)
    return (low + high) / 2


if __name__ == "__main__":
    main()
