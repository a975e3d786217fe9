"""What the user is told about a solved chain, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..core.anatomy import LEVEL_INDEX, USUAL_LEVELS
from ..core.evidence import Evidence
from ..core.field_of_view import distance_along, distance_to_face
from ..core.spacing import distance_from

HALF_BODY = 0.4  # half the height of a vertebral body, as a part of the distance to the next one
SACRUM_ROOM_MM = 25.0
LOW_CONFIDENCE = 0.7
"""A point below this confidence is uncertain: the panel shows it in amber."""

IMPLANTS = "Metal or cement lies at"
_SHIFT, _CUT = "Levels may be shifted by one:", "The field of view ends inside"
_L6, _T13 = "L6 or lumbarized S1 found", "T13 found"
_BETWEEN, _ABOVE, _BELOW = _MISSING = ("not found between", "not found above", "not found below")
_FURTHER = "Further vertebral bodies are seen far from the named ones: look whether a part of the spine is missing."
PRESENT, ROOM = 0.9, 1.5  # presence of the level beyond an end; room in view there, in distances from end to level
FAR_MM, SEEN, FEWEST = 25.0, 0.4, 2  # of a candidate from every named point; its detection; how many tell of a part


def is_solver_warning(text: str) -> bool:
    """Whether :func:`warnings_for` wrote this sentence, so that a new solution replaces it."""
    return text.startswith((_SHIFT, _CUT, _L6, _T13, _FURTHER)) or _tells_of_missing(text)


def is_shift_warning(text: str) -> bool:
    """Whether a sentence says that levels may be shifted by one."""
    return text.startswith(_SHIFT)


def asks_for_a_look(text: str) -> bool:
    """Whether a sentence says that levels may be shifted, or that vertebrae were or may be missed."""
    return is_shift_warning(text) or _tells_of_missing(text) or text.startswith((IMPLANTS, _FURTHER))


def _tells_of_missing(text: str) -> bool:
    return any(words in text for words in _MISSING)


def skipped(levels: Sequence[str]) -> list[tuple[str, str, list[str]]]:
    """Neighbors of a chain, head to foot, with the usual levels that it passes over between them, where there are."""
    pairs = []
    for above, below in zip(levels, levels[1:]):
        between = [level for level in USUAL_LEVELS if LEVEL_INDEX[above] < LEVEL_INDEX[level] < LEVEL_INDEX[below]]
        if between:
            pairs.append((above, below, between))
    return pairs


def warnings_for(
    levels: Sequence[str], points: np.ndarray, scale: float, evidence: Evidence, may_be_shifted: bool
) -> tuple[str, ...]:
    """Sentences about a chain.

    Args:
        levels: found levels from head to foot.
        points: (M, 3) their positions, world RAS mm.
        scale: size of the spine relative to the spacing statistics.
        evidence: tells where the field of view ends.
        may_be_shifted: the shifted chain is nearly as likely.
    """
    sentences = []
    if may_be_shifted:
        sentences.append(f"{_SHIFT} {_why(levels, points, evidence)}.")
    sentences += _variants_and_gaps(levels)
    sentences += [_at_end(level, end) for level, end, _ in missing_at_ends(levels, points, scale, evidence)]
    sentences += [f"{_CUT} {level}." for level in cut_levels(levels, points, scale, evidence)]
    if _further_bodies(points, evidence):
        sentences.append(_FURTHER)
    return tuple(sentences)


def warnings_after_renaming(warnings: Sequence[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """The sentences that hold once the user has given every vertebra of a chain a new name.

    The user's count settles a possible shift, so that sentence goes. The vertebrae that the field of view cuts are
    the same ones under their new names, a vertebra that is missing at an end is the next one, and what is not named
    still is not. Sentences that :func:`warnings_for` did not write stay.

    Args:
        warnings: the sentences before.
        names: old level -> new level, from head to foot.
    """
    cut = [f"{_CUT} {new}." for old, new in names.items() if f"{_CUT} {old}." in warnings]
    foreign = [text for text in warnings if not is_solver_warning(text)]
    further = [text for text in warnings if text == _FURTHER]
    before, after = (list(its) for its in (names, names.values()))
    ends = [
        _at_end(new, _end_of(after, step))
        for step in ((-1, 1) if names else ())
        if (old := _next_to(before, step)) and (new := _next_to(after, step))
        if _at_end(old, _end_of(before, step)) in warnings
    ]
    return (*_variants_and_gaps(after), *ends, *cut, *further, *foreign)


def _variants_and_gaps(levels: Sequence[str]) -> list[str]:
    """Sentences about L6, T13 and missed vertebrae of a chain from head to foot."""
    sentences = []
    if "L6" in levels:
        sentences.append(f"{_L6}.")
    if "T13" in levels:
        sentences.append(f"{_T13}.")
    for above, below, between in skipped(levels):
        missing = between[0] if len(between) == 1 else f"{between[0]}-{between[-1]}"
        sentences.append(f"{missing} {_BETWEEN} {above} and {below}.")
    return sentences


def missing_at_ends(
    levels: Sequence[str], points: np.ndarray, scale: float, evidence: Evidence
) -> list[tuple[str, str, np.ndarray]]:
    """Levels beyond an end of a chain that should have been found: level, level at that end, likely place (mm).

    The networks see that level in the scan, and behind the end there is room in view for the whole vertebra.

    Args:
        levels, points, scale, evidence: see :func:`warnings_for`.
    """
    found = []
    for step in (-1, 1) if len(points) > 1 else ():
        end, level = _end_of(levels, step), _next_to(levels, step)
        if level is None or evidence.presence[LEVEL_INDEX[level]] < PRESENT:
            continue
        direction, room = _room_beyond(points, step, evidence)
        way = scale * distance_from()[LEVEL_INDEX[end], LEVEL_INDEX[level]]
        if room > ROOM * way:
            found.append((level, end, points[-1 if step > 0 else 0] + way * direction))
    return found


def _room_beyond(points: np.ndarray, step: int, evidence: Evidence) -> tuple[np.ndarray, float]:
    """(3,) unit direction in which a chain goes on at its first (``step`` -1) or last (1) point; mm in view there."""
    last, before = (points[-1], points[-2]) if step > 0 else (points[0], points[1])
    direction = (last - before) / max(np.linalg.norm(last - before), 1e-6)
    return direction, float(distance_along(last[None], direction[None], evidence.corners)[0])


def _end_of(levels: Sequence[str], step: int) -> str:
    """The first level of a chain, head to foot (``step`` -1), or the last (1)."""
    return levels[-1] if step > 0 else levels[0]


def _next_to(levels: Sequence[str], step: int) -> str | None:
    """The usual level beyond the first (``step`` -1) or the last (1) of a chain; None beyond C1 and L5."""
    index = LEVEL_INDEX[_end_of(levels, step)]
    beyond = [level for level in USUAL_LEVELS if (LEVEL_INDEX[level] - index) * step > 0]
    return beyond[0 if step > 0 else -1] if beyond else None


def _at_end(level: str, end: str) -> str:
    """The sentence of a missing level beyond an end."""
    where = _BELOW if LEVEL_INDEX[level] > LEVEL_INDEX[end] else _ABOVE
    return f"{level} {where} {end}, where it should be in view."


def cut_levels(levels: Sequence[str], points: np.ndarray, scale: float, evidence: Evidence) -> list[str]:
    """Levels so near a face of the field of view that a part of the vertebra lies outside."""
    spacing = distance_from().min(axis=1)[[LEVEL_INDEX[level] for level in levels]]
    room = distance_to_face(points, evidence.corners)
    return [level for level, near in zip(levels, room < HALF_BODY * scale * spacing) if near]


def _further_bodies(points: np.ndarray, evidence: Evidence) -> bool:
    """Whether a part of the spine may be left out: candidates that the network is sure of, far from all points."""
    seen = evidence.points[evidence.detection >= SEEN]
    away = np.linalg.norm(seen[:, None] - points[None], axis=2).min(axis=1)
    return bool((away > FAR_MM).sum() >= FEWEST)


def anchors_seen(levels: Sequence[str], points: np.ndarray, evidence: Evidence) -> list[str]:
    """What a chain, head to foot, shows by its names that a spine can be counted from; empty for the middle of a spine.

    Args:
        points: (M, 3) its places, world RAS mm.
        evidence: tells whether the sacrum lies in the field of view.
    """
    seen = []
    if "C1" in levels or "C2" in levels:
        seen.append("C2")
    if "C7" in levels and "T1" in levels:
        seen.append("the first rib")
    if "L1" in levels and any(level in levels for level in ("T11", "T12", "T13")):
        seen.append("the last rib")
    if levels[-1] in ("L4", "L5", "L6") and len(points) > 1:
        _, room = _room_beyond(points, 1, evidence)
        if room > SACRUM_ROOM_MM + np.linalg.norm(points[-1] - points[-2]) / 2:
            seen.append("the sacrum")
    return seen


def _why(levels: Sequence[str], points: np.ndarray, evidence: Evidence) -> str:
    seen = anchors_seen(levels, points, evidence)
    if seen:
        return f"what is seen at {' and '.join(seen)} does not settle the count"
    return "no anchor is in view (C2, the first rib at T1, the last rib at T12, or the sacrum below L5)"
