"""Scores of predicted vertebra points against truth: strict, and as the VerSe challenge counts.

* *Strict hit*: a whole vertebra whose level was predicted not more than 20 mm away, and no other true vertebra lies
  closer to that prediction. All true vertebrae compete, also those that the image edge cuts.
* *VerSe hit* (``get_hits`` in github.com/anjany/verse, ``utils/eval_utilities.py``): as above, but only levels that are
  in both prediction and truth compete, so a lone C4 placed on C3 counts. Kept for comparison with published figures.
* Truth points marked ``cut`` count neither way: they are not in any denominator, and a prediction of their level within
  20 mm is neither a hit nor a false positive.
* *False positive*: any other placed point that is no strict hit, also one beyond the annotated range.
* *All correct*: every whole vertebra is a strict hit and there is no false positive.
* *Shifted scan*: more than half of the predictions that lie on a true vertebra are named one level too high, or more
  than half one level too low.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .anatomy import LEVEL_INDEX, USUAL_LEVELS, region

HIT_MM = 20.0
REGIONS = ("cervical", "thoracic", "lumbar")

Points = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class TruthScore:
    """How one whole vertebra was found; ``distance_mm`` is to the prediction of its level, NaN where there is none."""

    level: str
    strict: bool
    verse: bool
    distance_mm: float


@dataclass(frozen=True)
class CaseScore:
    """The score of one scan.

    Attributes:
        name: case name.
        vertebrae: one entry for each whole vertebra, head to foot.
        false_positives: levels of the placed points that count as wrong.
        shifted: -1 where the names are one level too high, +1 one too low, 0 otherwise.
    """

    name: str
    vertebrae: tuple[TruthScore, ...]
    false_positives: tuple[str, ...]
    shifted: int

    @cached_property
    def missed(self) -> tuple[str, ...]:
        """Levels of the whole vertebrae that are no strict hit."""
        return tuple(vertebra.level for vertebra in self.vertebrae if not vertebra.strict)

    def within(self, region_name: str) -> CaseScore:
        """The same scan with the levels of one region only."""
        vertebrae = tuple(vertebra for vertebra in self.vertebrae if region(vertebra.level) == region_name)
        wrong = tuple(level for level in self.false_positives if region(level) == region_name)
        return CaseScore(self.name, vertebrae, wrong, self.shifted)


def score_case(name: str, predicted: Points, truth: Points, cut: Collection[str] = ()) -> CaseScore:
    """Compare the points of one scan.

    Args:
        predicted: level -> position, mm.
        truth: level -> position, mm, in the same world; cut vertebrae included.
        cut: the levels of ``truth`` that the image edge cuts.
    """
    hits = {level: _is_strict_hit(level, predicted, truth) for level in predicted}
    verse_hits = _verse_hits(predicted, {level: ras for level, ras in truth.items() if level not in cut})
    whole = sorted((level for level in truth if level not in cut), key=LEVEL_INDEX.__getitem__)
    vertebrae = tuple(
        TruthScore(level, hits.get(level, False), level in verse_hits, _pair_distance(level, predicted, truth))
        for level in whole
    )
    wrong = (
        level
        for level in predicted
        if not (_pair_distance(level, predicted, truth) <= HIT_MM if level in cut else hits[level])
    )
    false_positives = tuple(sorted(wrong, key=LEVEL_INDEX.__getitem__))
    return CaseScore(name, vertebrae, false_positives, _shift(predicted, truth))


def _distance(a: Sequence[float], b: Sequence[float]) -> float:
    return float(np.linalg.norm(np.asarray(a, dtype=float) - np.asarray(b, dtype=float)))


def _pair_distance(level: str, predicted: Points, truth: Points) -> float:
    return _distance(predicted[level], truth[level]) if level in predicted and level in truth else float("nan")


def _closest(position: Sequence[float], truth: Points) -> tuple[str, float]:
    """The true vertebra that lies closest to a position; the first of two at the same distance."""
    return min(((level, _distance(position, ras)) for level, ras in truth.items()), key=lambda pair: pair[1])


def _is_strict_hit(level: str, predicted: Points, truth: Points) -> bool:
    if level not in truth:
        return False
    own = _pair_distance(level, predicted, truth)
    return own <= HIT_MM and own <= _closest(predicted[level], truth)[1]


def _verse_hits(predicted: Points, truth: Points) -> set[str]:
    shared = {level: truth[level] for level in truth if level in predicted}
    return {level for level in shared if _is_strict_hit(level, predicted, shared)}


def _rank(level: str) -> float:
    """Place in the usual count C1-L5; T13 lies between T12 and L1, L6 below L5."""
    return {"T13": 18.5, "L6": 24.0}.get(level) or float(USUAL_LEVELS.index(level))


def _shift(predicted: Points, truth: Points) -> int:
    steps = []
    for level, position in predicted.items():
        closest, distance = _closest(position, truth) if truth else ("", float("inf"))
        if distance <= HIT_MM:
            steps.append(_rank(level) - _rank(closest))
    up = sum(-1 <= step < 0 for step in steps)
    down = sum(0 < step <= 1 for step in steps)
    return -1 if up > len(steps) / 2 else 1 if down > len(steps) / 2 else 0


def summarize(cases: Sequence[CaseScore]) -> dict[str, float | int | None]:
    """Pool the vertebrae of all cases.

    Returns:
        ``strict_id``, ``verse_id``, ``precision`` (0..1); ``mean_mm``, ``median_mm``, ``p95_mm`` over strict hits and
        ``mean_all_mm`` over all pairs of the same level; the counts ``scans_all_correct``, ``shifted_scans``,
        ``n_scans``, ``n_vertebrae``, ``false_positives``. A score without anything to count is ``None``.
    """
    vertebrae = [vertebra for case in cases for vertebra in case.vertebrae]
    strict = sum(vertebra.strict for vertebra in vertebrae)
    wrong = sum(len(case.false_positives) for case in cases)
    errors = np.array([vertebra.distance_mm for vertebra in vertebrae if vertebra.strict])
    pairs = np.array([vertebra.distance_mm for vertebra in vertebrae if not np.isnan(vertebra.distance_mm)])
    return {
        "strict_id": _ratio(strict, len(vertebrae)),
        "verse_id": _ratio(sum(vertebra.verse for vertebra in vertebrae), len(vertebrae)),
        "precision": _ratio(strict, strict + wrong),
        "mean_mm": _statistic(np.mean, errors),
        "median_mm": _statistic(np.median, errors),
        "p95_mm": _statistic(lambda values: np.percentile(values, 95), errors),
        "mean_all_mm": _statistic(np.mean, pairs),
        "scans_all_correct": sum(not case.missed and not case.false_positives for case in cases),
        "shifted_scans": sum(case.shifted != 0 for case in cases),
        "n_scans": len(cases),
        "n_vertebrae": len(vertebrae),
        "false_positives": wrong,
    }


def report(cases: Sequence[CaseScore]) -> dict:
    """All scores as plain JSON values: pooled, under ``regions`` per region, under ``cases`` per case.

    A region counts the scans that show a whole vertebra of it. A case also names its ``missed`` levels and the levels
    of its ``wrong`` points.
    """
    regions = {}
    for name in REGIONS:
        parts = [part for part in (case.within(name) for case in cases) if part.vertebrae or part.false_positives]
        regions[name] = summarize(parts)
        regions[name]["n_scans"] = sum(bool(part.vertebrae) for part in parts)
        regions[name]["scans_all_correct"] = sum(
            bool(part.vertebrae) and not part.missed and not part.false_positives for part in parts
        )
    per_case = {
        case.name: {**summarize([case]), "missed": list(case.missed), "wrong": list(case.false_positives)}
        for case in cases
    }
    return {**summarize(cases), "regions": regions, "cases": per_case}


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _statistic(function: Callable[[np.ndarray], float], values: np.ndarray) -> float | None:
    return float(function(values)) if len(values) else None
