"""Score the crops of :mod:`.field_of_view_crops`: how many are all correct, how many of either kind are flagged.

A crop is *correct* if every whole vertebra is a strict hit and no other point is placed; *flagged* if the user sees
that levels may be shifted, that a vertebra between two others was not found, or a point of low confidence, or that no
spine was found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from VertebraLabelingLib.core.label_warning import REVIEW_KINDS
from VertebraLabelingLib.core.labels import LOW_CONFIDENCE
from VertebraLabelingLib.core.metrics import score_case
from VertebraLabelingLib.errors import NoSpineError
from VertebraLabelingLib.solver.chain import solve

from ..data.evidence_folder import Sample

BOOTSTRAP = 2000
GOAL_CORRECT = 0.15  # at most this share of the correct crops may be flagged


@dataclass(frozen=True)
class Scored:
    """One crop or scan after solving.

    Attributes:
        name: case name.
        patient: whom it shows.
        landmarks: landmarks that lie whole in it.
        count: number of whole vertebrae.
        missed, wrong: levels of whole vertebrae that are no strict hit, and of points that count as wrong.
        warned: the user is told that levels may be shifted by one, or which vertebra was not found.
        lowest: the lowest confidence of its points; 0 where nothing was found.
    """

    name: str
    patient: str
    landmarks: tuple[str, ...]
    count: int
    missed: tuple[str, ...]
    wrong: tuple[str, ...]
    warned: bool
    lowest: float

    @property
    def correct(self) -> bool:
        """Every whole vertebra is named correctly and nothing else is placed."""
        return not self.missed and not self.wrong

    @property
    def flagged(self) -> bool:
        """The user is told to look."""
        return self.warned or self.lowest < LOW_CONFIDENCE


def score_sample(sample: Sample, patient: str, landmarks: Sequence[str] = ()) -> Scored:
    """Solve one sample as the product does and compare it with its truth."""
    try:
        labels = solve(sample.evidence)
        points = {point.level: point.ras for point in labels.points}
        lowest = min(point.confidence for point in labels.points)
        warned = any(warning.kind in REVIEW_KINDS for warning in labels.warnings)
    except NoSpineError:
        points, lowest, warned = {}, 0.0, False
    case = score_case(sample.name, points, sample.truth, sample.cut)
    count = len(case.vertebrae)
    return Scored(
        sample.name,
        patient,
        tuple(landmarks),
        count,
        case.missed,
        case.false_positives,
        warned,
        round(float(lowest), 4),
    )


def share(scored: Sequence[Scored], of: Callable[[Scored], bool], value: Callable[[Scored], bool]) -> dict[str, object]:
    """Share of the crops chosen by ``of`` for which ``value`` holds, with an interval by bootstrap over patients.

    Returns:
        ``n``, ``share`` and ``interval`` (95 %); the latter two None where nothing is chosen.
    """
    patients = sorted({item.patient for item in scored})
    row = {patient: number for number, patient in enumerate(patients)}
    chosen, hits = np.zeros(len(patients)), np.zeros(len(patients))
    for item in scored:
        if of(item):
            chosen[row[item.patient]] += 1
            hits[row[item.patient]] += value(item)
    total = int(chosen.sum())
    if not total:
        return {"n": 0, "share": None, "interval": None}
    drawn = np.random.default_rng(0).integers(0, len(patients), (BOOTSTRAP, len(patients)))
    sums = chosen[drawn].sum(axis=1)
    values = hits[drawn].sum(axis=1)[sums > 0] / sums[sums > 0]
    low, high = np.percentile(values, (2.5, 97.5))
    return {
        "n": total,
        "share": round(float(hits.sum() / total), 4),
        "interval": [round(float(x), 4) for x in (low, high)],
    }


def report(scored: Sequence[Scored]) -> dict[str, object]:
    """All numbers as plain JSON values: ``groups`` of crops and every crop under ``crops``."""
    groups: dict[str, Callable[[Scored], bool]] = {
        "all": lambda item: True,
        "ct": lambda item: item.name.startswith("ct/"),
        "openkbp": lambda item: item.name.startswith("openkbp/"),
        "3-5 vertebrae": lambda item: item.count <= 5,
        "6-8 vertebrae": lambda item: 6 <= item.count <= 8,
        "9-12 vertebrae": lambda item: item.count >= 9,
        "no landmark": lambda item: not item.landmarks,
    }
    for landmark in dict.fromkeys(landmark for item in scored for landmark in item.landmarks):
        groups[landmark] = lambda item, landmark=landmark: landmark in item.landmarks
    crops = [
        {
            **{"name": item.name, "patient": item.patient, "landmarks": list(item.landmarks), "vertebrae": item.count},
            **{"correct": item.correct, "missed": list(item.missed), "wrong": list(item.wrong)},
            **{"warned": item.warned, "lowest_confidence": item.lowest},
        }
        for item in scored
    ]
    return {"groups": {name: _row(scored, member) for name, member in groups.items()}, "crops": crops}


def _row(scored: Sequence[Scored], member: Callable[[Scored], bool]) -> dict[str, object]:
    inside = [item for item in scored if member(item)]
    return {
        "correct": share(inside, lambda item: True, lambda item: item.correct),
        "correct_with_landmark": share(inside, lambda item: bool(item.landmarks), lambda item: item.correct),
        "wrong_flagged": share(inside, lambda item: not item.correct, lambda item: item.flagged),
        "correct_flagged": share(inside, lambda item: item.correct, lambda item: item.flagged),
        "n_patients": len({item.patient for item in inside}),
    }


COLUMNS = {
    "correct": "correct",
    "correct_with_landmark": "correct, with landmark",
    "wrong_flagged": "wrong: flagged",
    "correct_flagged": "correct: flagged",
}


def table(groups: dict[str, dict]) -> str:
    """The groups as a Markdown table; each cell: share, interval, n."""
    lines = [f"| crops | {' | '.join(COLUMNS.values())} | patients |", "|---" * (len(COLUMNS) + 2) + "|"]
    for name, row in groups.items():
        cells = " | ".join(_cell(row[key]) for key in COLUMNS)
        lines.append(f"| {name} | {cells} | {row['n_patients']} |")
    return "\n".join(lines)


def _cell(value: dict) -> str:
    if value["share"] is None:
        return "-"
    low, high = value["interval"]
    return f"{value['share']:.1%} ({low:.0%}-{high:.0%}), n {value['n']}"
