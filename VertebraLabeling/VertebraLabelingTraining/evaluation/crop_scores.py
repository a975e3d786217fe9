"""Score the crops of :mod:`.field_of_view_crops`: how many are all correct, how many of either kind are flagged.

A crop is *right* if every whole vertebra is a strict hit and no other point is placed; *flagged* if the user sees that
levels may be shifted, that a vertebra between two others was not found, or a point of low confidence, or that no spine
was found.
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
GOAL_RIGHT = 0.15  # at most this share of the right crops may be flagged


@dataclass(frozen=True)
class Scored:
    """One crop or scan after solving.

    Attributes:
        name: case name.
        patient: whom it shows.
        anchors: anchors that lie whole in it.
        count: number of whole vertebrae.
        missed, wrong: levels of whole vertebrae that are no strict hit, and of points that count as wrong.
        warned: the user is told that levels may be shifted by one, or which vertebra was not found.
        lowest: the lowest confidence of its points; 0 where nothing was found.
    """

    name: str
    patient: str
    anchors: tuple[str, ...]
    count: int
    missed: tuple[str, ...]
    wrong: tuple[str, ...]
    warned: bool
    lowest: float

    @property
    def right(self) -> bool:
        """Every whole vertebra is named rightly and nothing else is placed."""
        return not self.missed and not self.wrong

    @property
    def flagged(self) -> bool:
        """The user is told to look."""
        return self.warned or self.lowest < LOW_CONFIDENCE


def score_sample(sample: Sample, patient: str, anchors: Sequence[str] = ()) -> Scored:
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
        sample.name, patient, tuple(anchors), count, case.missed, case.false_positives, warned, round(float(lowest), 4)
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
        "no anchor": lambda item: not item.anchors,
    }
    for anchor in dict.fromkeys(anchor for item in scored for anchor in item.anchors):
        groups[anchor] = lambda item, anchor=anchor: anchor in item.anchors
    crops = [
        {
            **{"name": item.name, "patient": item.patient, "anchors": list(item.anchors), "vertebrae": item.count},
            **{"right": item.right, "missed": list(item.missed), "wrong": list(item.wrong)},
            **{"warned": item.warned, "lowest_confidence": item.lowest},
        }
        for item in scored
    ]
    return {"groups": {name: _row(scored, member) for name, member in groups.items()}, "crops": crops}


def _row(scored: Sequence[Scored], member: Callable[[Scored], bool]) -> dict[str, object]:
    inside = [item for item in scored if member(item)]
    return {
        "right": share(inside, lambda item: True, lambda item: item.right),
        "anchored_right": share(inside, lambda item: bool(item.anchors), lambda item: item.right),
        "wrong_flagged": share(inside, lambda item: not item.right, lambda item: item.flagged),
        "right_flagged": share(inside, lambda item: item.right, lambda item: item.flagged),
        "n_patients": len({item.patient for item in inside}),
    }


COLUMNS = {
    "right": "right",
    "anchored_right": "right, with anchor",
    "wrong_flagged": "wrong: flagged",
    "right_flagged": "right: flagged",
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
