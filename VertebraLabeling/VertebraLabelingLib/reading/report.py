"""Text for a radiology report: the levels seen, how they were counted, and what is unusual or uncertain."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from ..core.counting import COUNT, Count
from ..core.label_warning import GAP, NO_GPU, span
from ..core.labels import CONFIRMED, GIVEN, LOW_CONFIDENCE, LabeledPoint, SpineLabels
from ..core.marked import marked as _
from ..core.spacing import EDGES
from ..core.straight_spine import turning_level
from ..errors import InputError
from .spine import Spine

OF_THE_COMPUTER = frozenset((NO_GPU,))
"""Warnings that say nothing of patient or scan."""


def report(labels: SpineLabels, low_confidence: float = LOW_CONFIDENCE, translate: Callable[[str], str] = str) -> str:
    """Three sentences to paste into a report, each on a line; what is unusual or uncertain may take several.

    Args:
        low_confidence: levels below it are told as uncertain.
        translate: English template -> the same in the user's language.

    Raises:
        InputError: there are no vertebrae.
    """
    if not labels.points:
        raise InputError("There are no vertebrae to report: label the CT first.")
    lines = (_seen(labels, translate), _counted(labels, translate), _unusual(labels, low_confidence, translate))
    return "\n".join(lines)


def _seen(labels: SpineLabels, translate: Callable[[str], str]) -> str:
    parts = _listed([_range(run, translate) for run in _labeled_runs(labels.points)], translate)
    if len(labels.points) == 1:
        return translate(_("One vertebra was labeled: {levels}.")).format(levels=parts)
    return translate(_("{count} vertebrae were labeled: {levels}.")).format(count=len(labels.points), levels=parts)


def _counted(labels: SpineLabels, translate: Callable[[str], str]) -> str:
    """How the levels were counted; what a reader has said stands above what the program counted from."""
    confirmed, given = (
        [point.level for point in labels.points if point.status == status] for status in (CONFIRMED, GIVEN)
    )
    if len(confirmed) == len(labels.points):
        return translate(_("All levels were named or confirmed by a reader."))
    count = Count.from_json(labels.provenance.get(COUNT))
    if len(given) == len(labels.points) or not (confirmed or given or count):
        return translate(_("How the levels were counted is not recorded."))
    if not confirmed and not given:
        return count.sentence(translate)
    text = _("Counted from {levels}, named or confirmed by a reader.")
    if given:
        text = _("Counted from {given} as given, by whom is not recorded.")
    if confirmed and given:
        text = _(
            "Counted from {levels}, named or confirmed by a reader, and from {given} as given, by whom is not recorded."
        )
    return translate(text).format(levels=_ranges(confirmed, translate), given=_ranges(given, translate))


def _unusual(labels: SpineLabels, low_confidence: float, translate: Callable[[str], str]) -> str:
    sentences = [warning.sentence(translate) for warning in labels.warnings if warning.kind not in OF_THE_COMPUTER]
    gaps = [warning for warning in labels.warnings if warning.kind == GAP]
    if not gaps:
        sentences += [_missing(above, below, translate) for above, below in _interrupted(labels.points)]
    turning = turning_level(labels.points)
    if turning is not None:
        text = _("The spine turns back at {level}: a name or a place is wrong there.")
        sentences.append(translate(text).format(level=turning))
    doubtful = [point for point in labels.points if point.is_uncertain(low_confidence)]
    if doubtful:
        shown = [f"{point.level} ({point.shown_confidence:.2f})" for point in doubtful]
        text = _("Uncertain levels (confidence): {levels}.")
        sentences.append(translate(text).format(levels=", ".join(shown)))
    if COUNT not in labels.provenance:  # read from a file, or of another program
        sentences.append(translate(_("What the labeling warned of is not recorded.")))
    return " ".join(sentences) or translate(_("Nothing unusual was noted, and no level is uncertain."))


def _missing(above: str, below: str, translate: Callable[[str], str]) -> str:
    return translate(_("No vertebra was labeled between {above} and {below}.")).format(above=above, below=below)


def _runs(levels: Sequence[str], apart: Collection[str] = ()) -> list[list[str]]:
    """Levels, head to foot, cut where one is left out, and below those that are ``apart``."""
    runs = [[levels[0]]]
    for above, below in zip(levels, levels[1:]):
        if (above, below) in EDGES and above not in apart:
            runs[-1].append(below)
        else:
            runs.append([below])
    return runs


def _labeled_runs(points: Sequence[LabeledPoint]) -> list[list[str]]:
    return _runs([point.level for point in points], _apart(points))


def _apart(points: Sequence[LabeledPoint]) -> set[str]:
    """Levels that are farther from the next one than neighbors are: T11 where T12 has no point."""
    try:
        spine = Spine.of(points)
    except InputError:  # places that contradict the names tell no distance
        return set()
    return {level for level, joined in zip(spine.levels, spine.joined) if not joined}


def _interrupted(points: Sequence[LabeledPoint]) -> list[tuple[str, str]]:
    runs = _labeled_runs(points)
    return [(one[-1], other[0]) for one, other in zip(runs, runs[1:])]


def _range(run: Sequence[str], translate: Callable[[str], str]) -> str:
    return span(run) if len(run) < 3 else translate(_("{first} to {last}")).format(first=run[0], last=run[-1])


def _ranges(levels: Sequence[str], translate: Callable[[str], str]) -> str:
    return _listed([_range(run, translate) for run in _runs(levels)], translate) if levels else ""


def _listed(parts: Sequence[str], translate: Callable[[str], str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(parts) == 1:
        return parts[0]
    return ", ".join(parts[:-1]) + translate(_(" and ")) + parts[-1]
