"""Calibrate the confidence and the flags on held-out scans and crops.

    python -m VertebraLabelingTraining.evaluation.calibration --data DATA --evidence CV --crops CROPS --counts COUNTS \
        --plot FILE.png

``CV`` is the output of :mod:`.crossval`, ``CROPS`` that of :mod:`.field_of_view_crops`, ``COUNTS`` that of
:mod:`.count_scores`. What is printed and drawn was
chosen on two folds and measured on the third, for each fold in turn; the parameters at the end, for
:class:`.parameters.ChainParameters`, are fitted on all.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from VertebraLabelingLib.core.parameters import ChainParameters
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.system.atomic import atomic_path

from ..data.cases import fold_names
from ..data.evidence_folder import read_samples
from ..networks.variant_counts import USUAL
from .calibration_fit import Measured, fit, measure
from .crop_scores import share
from .draw_crops import patients_of
from .field_of_view_crops import CROPS

BINS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
FOLDS = 3


@dataclass(frozen=True)
class Judged:
    """A measured scan with the parameters that it is judged by, fitted on the other folds."""

    measured: Measured
    parameters: ChainParameters

    @property
    def patient(self) -> str:
        """Whom it shows."""
        return self.measured.patient

    @property
    def correct(self) -> bool:
        """See :attr:`Measured.all_correct`."""
        return self.measured.all_correct

    @property
    def flagged(self) -> bool:
        """See :meth:`Measured.flagged`."""
        return self.measured.flagged(self.parameters)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with splits.json")
    parser.add_argument("--evidence", type=Path, required=True, help="output folder of crossval: whole scans")
    parser.add_argument("--crops", type=Path, required=True, help="output folder of field_of_view_crops")
    parser.add_argument("--counts", type=Path, required=True, help="output folder of count_scores: changed counts")
    parser.add_argument("--plot", type=Path, help="draw the reliability of the confidence into this PNG")
    options = parser.parse_args(arguments)
    try:
        measured = measure_folders(options.data / "splits.json", options.evidence, options.crops, options.counts)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    plain = ChainParameters(temperature=1.0, calibration=None, shift_sign=0.0)
    before = [Judged(item, plain) for item in measured]
    after = judge(measured, plain)
    print(flag_table({"posterior as it is": before, "calibrated": after}))
    for name, judged in (("posterior as it is", before), ("calibrated", after)):
        print(f"\n{name}: expected calibration error {calibration_error(judged):.3f}\n{reliability_table(judged)}")
    final = fit(measured, plain)
    kept = {key: getattr(final, key) for key in ("temperature", "calibration", "shift_sign")}
    print("\nfitted on all folds:", json.dumps(kept))
    if options.plot:
        draw(options.plot, before, after)
    return 0


def measure_folders(splits: Path, scans: Path, crops: Path, counts: Path) -> list[Measured]:
    """Solve all scans, crops and changed counts; scans of no fold (the demo patient) are left out."""
    fold_of = {name: fold for fold in range(FOLDS) for name in fold_names(splits, fold)}
    listed = json.loads((crops / CROPS).read_text(encoding="utf-8")) if (crops / CROPS).is_file() else {}
    measured = []
    changed = [sample for sample in read_samples(counts) if not sample.name.endswith(f"+{USUAL}")]
    for sample in [*read_samples(scans), *read_samples(crops), *changed]:
        case = sample.name.split("__")[0].split("+")[0]
        if case not in fold_of:
            continue
        patient = patients_of(splits, [case])[case]
        landmarks = listed.get(sample.name, {}).get("landmarks", ())
        measured.append(measure(sample, patient, fold_of[case], ChainParameters(), landmarks))
    return measured


def judge(measured: Sequence[Measured], start: ChainParameters) -> list[Judged]:
    """Each scan with parameters that were chosen without its fold."""
    fitted = {fold: fit([item for item in measured if item.fold != fold], start) for fold in {m.fold for m in measured}}
    return [Judged(item, fitted[item.fold]) for item in measured]


def flag_table(ways: dict[str, Sequence[Judged]]) -> str:
    """Markdown: the share of wrong and of correct scans and crops that are flagged, with intervals by patient."""
    lines = ["| | confidence | wrong: flagged | correct: flagged |", "|---|---|---|---|"]
    kinds: dict[str, Callable[[Judged], bool]] = {
        "crops with a landmark": lambda item: item.measured.is_crop and bool(item.measured.landmarks),
        "crops without a landmark": lambda item: item.measured.is_crop and not item.measured.landmarks,
        "whole scans": lambda item: not item.measured.is_crop and not item.measured.is_changed,
        "changed counts": lambda item: item.measured.is_changed,
    }
    for kind, member in kinds.items():
        for name, judged in ways.items():
            inside = [item for item in judged if member(item)]
            cells = []
            for wanted in (False, True):
                value = share(inside, lambda item, w=wanted: item.correct == w, lambda item: item.flagged)
                low, high = value["interval"] or (0.0, 0.0)
                cells.append(f"{value['share']:.0%} ({low:.0%}-{high:.0%}), n {value['n']}" if value["n"] else "-")
            lines.append(f"| {kind} | {name} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def points_of(judged: Sequence[Judged]) -> tuple[np.ndarray, np.ndarray]:
    """(P,) confidence and (P,) whether correct, of all points that count."""
    confidence = [item.measured.confidence(item.parameters)[item.measured.counts] for item in judged]
    correct = [item.measured.correct[item.measured.counts] for item in judged]
    return np.concatenate(confidence), np.concatenate(correct)


def bins_of(judged: Sequence[Judged]) -> list[tuple[int, float, float]]:
    """Per bin of confidence that holds points: how many, their mean confidence, the share that is correct."""
    confidence, correct = points_of(judged)
    place = np.clip(np.digitize(confidence, BINS) - 1, 0, len(BINS) - 2)
    chosen = [place == number for number in range(len(BINS) - 1)]
    return [(int(c.sum()), float(confidence[c].mean()), float(correct[c].mean())) for c in chosen if c.any()]


def calibration_error(judged: Sequence[Judged]) -> float:
    """Mean distance between confidence and truth over the bins, weighted by their points (ECE)."""
    bins = bins_of(judged)
    return sum(count * abs(mean - share) for count, mean, share in bins) / sum(count for count, _, _ in bins)


def reliability_table(judged: Sequence[Judged]) -> str:
    """Markdown: the bins."""
    lines = ["| points | mean confidence | correct |", "|---|---|---|"]
    return "\n".join(lines + [f"| {count} | {mean:.2f} | {correct:.2f} |" for count, mean, correct in bins_of(judged)])


def draw(path: Path, before: Sequence[Judged], after: Sequence[Judged]) -> None:
    """Draw confidence against truth, before and after; the area of a dot is its number of points."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(4.6, 5.2), dpi=150)
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--", label="ideal")
    for judged, color, name in ((before, "tab:orange", "posterior as it is"), (after, "tab:blue", "calibrated")):
        count, mean, correct = (np.array(column) for column in zip(*bins_of(judged)))
        error = calibration_error(judged)
        axes.plot(mean, correct, color=color, linewidth=1.2, label=f"{name} (error {error:.3f})")
        axes.scatter(mean, correct, s=8 + 250 * count / count.sum(), color=color, alpha=0.7)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="share of points that are correct")
    axes.set_aspect("equal")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), frameon=False, fontsize=8)
    scans = len({item.measured.name for item in after})
    axes.set_title(f"{scans} held-out scans and crops, {len(points_of(after)[0])} points", fontsize=9)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as part:
        figure.savefig(part, format="png")
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main())
