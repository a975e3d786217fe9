"""Score a model on cases with truth by what a user gets: the whole pipeline, solver included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.core.metrics import CaseScore, report, score_case
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import NoSpineError
from VertebraLabelingLib.formats.mrk_json import read_points
from VertebraLabelingLib.pipeline.labeler import VertebraLabeler
from VertebraLabelingLib.scans.read_scan import read_volume

from ..data.cases import truth_file

WORSE_MM = 0.5
"""Mean errors that differ by less count as equal. Truth is usually a prediction that somebody corrected, and at the
points that nobody moved the network that made them has no error at all: the comparison favors it."""


def score_model(
    weights: Path, cases: Mapping[str, Path], device: str = "cpu", progress: Callable[[float, str], None] | None = None
) -> dict:
    """Label every case and compare it with its truth.

    Args:
        weights: model file.
        cases: name -> CT file with truth beside it.
        device: where the network runs.
        progress: called with the fraction 0..1 done and the case that comes next.

    Returns:
        :func:`metrics.report`. A scan in which no vertebra is found has missed all.
    """
    return report(score_cases(VertebraLabeler(weights, device).label, cases, progress))


def score_cases(
    label: Callable[[Volume], SpineLabels],
    cases: Mapping[str, Path],
    progress: Callable[[float, str], None] | None = None,
) -> list[CaseScore]:
    """Label every case with ``label`` and compare it with the truth beside it; see :func:`score_model`."""
    scores = []
    for number, (name, ct) in enumerate(cases.items()):
        if progress:
            progress(number / len(cases), name)
        truth = read_points(truth_file(ct))
        try:
            found = {point.level: point.ras for point in label(read_volume(ct)).points}
        except NoSpineError:
            found = {}
        cut = {point.level for point in truth if point.cut}
        scores.append(score_case(name, found, {point.level: point.ras for point in truth}, cut))
    return scores


def is_worse(before: dict, after: dict) -> bool:
    """Whether a score of :func:`score_model` has fallen.

    It has when fewer vertebrae are named correctly, or fewer scans are all correct; or when equally many are named
    correctly with more false positives, or with a mean error that is larger by more than :data:`WORSE_MM`.
    """
    if after["strict_id"] < before["strict_id"] or after["scans_all_correct"] < before["scans_all_correct"]:
        return True
    if after["strict_id"] > before["strict_id"]:
        return False
    farther = (after["mean_mm"] or 0.0) > (before["mean_mm"] or 0.0) + WORSE_MM
    return farther or after["false_positives"] > before["false_positives"]


def table(before: dict, after: dict) -> str:
    """Both scores side by side for people, pooled and for each case."""
    correct = [f"{each['scans_all_correct']} of {each['n_scans']}" for each in (before, after)]
    rows = [
        ("", "before", "after"),
        ("strict id", *(_percent(each["strict_id"]) for each in (before, after))),
        ("mean error", *(_mm(each["mean_mm"]) for each in (before, after))),
        ("scans correct", *correct),
        ("false positives", *(str(each["false_positives"]) for each in (before, after))),
    ]
    lines = [f"{name:<18}{old:>12}{new:>12}" for name, old, new in rows]
    for name, old in before["cases"].items():
        new = after["cases"][name]
        lines.append(f"  {name}: {_case(old)} -> {_case(new)}")
    return "\n".join(lines)


def _case(score: dict) -> str:
    named = round(score["strict_id"] * score["n_vertebrae"]) if score["n_vertebrae"] else 0
    return f"{named} of {score['n_vertebrae']} named correctly, {_mm(score['mean_mm'])}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _mm(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} mm"
