"""Geometry of a solved chain: what it passes over, what is missing at its ends, what the image edge cuts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.anatomy import LEVEL_INDEX, USUAL_LEVELS
from ..core.counting import THORACIC, Count
from ..core.evidence import LANDMARK_SIGNS, Evidence
from ..core.field_of_view import distance_along, distance_to_face
from ..core.label_warning import DENS, FIRST_RIB, LAST_RIB, SACRUM
from ..core.spacing import distance_from, lacks_t12
from . import landmark_costs
from .corrected_evidence import SAME_POINT_MM

HALF_BODY = 0.4  # half the height of a vertebral body, as a part of the distance to the next one
SACRUM_ROOM_MM = 25.0  # the first sacral segment, about as high as L5, must lie in view
PRESENT = 0.9  # of the level beyond an end: it is seen, hardly any doubt
ROOM = 1.5  # in view there, in distances from end to level: the whole body of the level and some tissue below it
FAR_MM = 25.0  # of a candidate from every named point: a thoracic vertebra away
SEEN, FEWEST = 0.4, 2  # detection of such candidates, and how many tell of a part: ribs and hips look like one


def skipped(levels: Sequence[str]) -> list[tuple[str, str, list[str]]]:
    """Neighbors of a chain, head to foot, with the usual levels that it passes over between them, where there are."""
    pairs = []
    for above, below in zip(levels, levels[1:]):
        between = [level for level in USUAL_LEVELS if LEVEL_INDEX[above] < LEVEL_INDEX[level] < LEVEL_INDEX[below]]
        if between:
            pairs.append((above, below, between))
    return pairs


def missing_at_ends(
    levels: Sequence[str], points: np.ndarray, scale: float, evidence: Evidence
) -> list[tuple[str, str, np.ndarray]]:
    """Levels beyond an end of a chain that should have been found: level, level at that end, likely place (mm).

    The networks see that level in the scan, and behind the end there is room in view for the whole vertebra.

    Args:
        levels, points, scale, evidence: see :func:`warnings.warnings_for`.
    """
    found = []
    for step in (-1, 1) if len(points) > 1 else ():
        level = next_to(levels, step)
        if level is None or evidence.presence[LEVEL_INDEX[level]] < PRESENT:
            continue
        place, way = place_beyond(levels, points, scale, step)
        room = _room_beyond(points, step, evidence)
        if room > ROOM * way:
            found.append((level, end_of(levels, step), place))
    return found


def place_beyond(levels: Sequence[str], points: np.ndarray, scale: float, step: int) -> tuple[np.ndarray, float]:
    """(3,) likely place, world RAS mm, of :func:`next_to` beyond an end of two points or more, and its distance, mm."""
    way = scale * distance_from()[LEVEL_INDEX[end_of(levels, step)], LEVEL_INDEX[next_to(levels, step)]]
    last, direction = _end_and_direction(points, step)
    return last + way * direction, way


def _end_and_direction(points: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """(3,) the first (``step`` -1) or last (1) point of a chain, and the unit direction in which it goes on there."""
    last, before = (points[-1], points[-2]) if step > 0 else (points[0], points[1])
    return last, (last - before) / max(np.linalg.norm(last - before), 1e-6)


def _room_beyond(points: np.ndarray, step: int, evidence: Evidence) -> float:
    """Mm in view beyond the first (``step`` -1) or last (1) point of a chain, in the direction in which it goes on."""
    last, direction = _end_and_direction(points, step)
    return float(distance_along(last[None], direction[None], evidence.corners)[0])


def end_of(levels: Sequence[str], step: int) -> str:
    """The first level of a chain, head to foot (``step`` -1), or the last (1)."""
    return levels[-1] if step > 0 else levels[0]


def next_to(levels: Sequence[str], step: int) -> str | None:
    """The usual level beyond the first (``step`` -1) or the last (1) of a chain; None beyond C1 and L5."""
    index = LEVEL_INDEX[end_of(levels, step)]
    beyond = [level for level in USUAL_LEVELS if (LEVEL_INDEX[level] - index) * step > 0]
    return beyond[0 if step > 0 else -1] if beyond else None


def cut_levels(levels: Sequence[str], points: np.ndarray, scale: float, evidence: Evidence) -> list[str]:
    """Levels so near a face of the field of view that a part of the vertebra lies outside."""
    spacing = distance_from().min(axis=1)[[LEVEL_INDEX[level] for level in levels]]
    room = distance_to_face(points, evidence.corners)
    return [level for level, near in zip(levels, room < HALF_BODY * scale * spacing) if near]


def has_further_bodies(points: np.ndarray, evidence: Evidence) -> bool:
    """Whether a part of the spine may be left out: candidates that the network is sure of, far from all points."""
    seen = evidence.points[evidence.detection >= SEEN]
    away = np.linalg.norm(seen[:, None] - points[None], axis=2).min(axis=1)
    return bool((away > FAR_MM).sum() >= FEWEST)


def landmarks_in_view(levels: Sequence[str], points: np.ndarray, evidence: Evidence) -> list[str]:
    """Landmarks that a chain, head to foot, shows by its names; empty for the middle of a spine.

    Args:
        points: (M, 3) its places, world RAS mm.
        evidence: tells what single vertebrae look like and, where it says nothing of the sacrum, whether that lies in
            the field of view.
    """
    seen, signs = [], signs_at(points, evidence)
    if "C1" in levels or "C2" in levels:
        seen.append(DENS)
    if "T1" in levels and ("C7" in levels or signs[list(levels).index("T1"), landmark_costs.FIRST_RIB] > 0):
        seen.append(FIRST_RIB)
    if "L1" in levels and any(level in levels for level in ("T11", "T12", "T13")):
        seen.append(LAST_RIB)
    if levels[-1] in ("L4", "L5", "L6") and len(points) > 1:
        room = _room_beyond(points, 1, evidence)
        in_view = room > SACRUM_ROOM_MM + np.linalg.norm(points[-1] - points[-2]) / 2
        said = signs[-1, landmark_costs.LAST]
        if said > 0 or (said == 0 and in_view):
            seen.append(SACRUM)
    return seen


def signs_at(points: np.ndarray, evidence: Evidence) -> np.ndarray:
    """(M, 4) log-odds of :data:`.evidence.LANDMARK_SIGNS` of the candidates at (M, 3) points; 0 where there is none."""
    if not len(evidence.points):
        return np.zeros((len(points), len(LANDMARK_SIGNS)))
    apart = np.linalg.norm(points[:, None] - evidence.points[None], axis=2)
    return np.where(apart.min(axis=1)[:, None] < SAME_POINT_MM, evidence.landmarks[apart.argmin(axis=1)], 0.0)


def count_of(levels: Sequence[str], points: np.ndarray, scale: float, evidence: Evidence) -> Count:
    """From where a chain, head to foot, was counted, and to which numbers.

    Args:
        levels, points, evidence: see :func:`landmarks_in_view`.
        scale: size of the spine relative to the spacing statistics.
    """
    seen = landmarks_in_view(levels, points, evidence)
    if SACRUM in seen and levels[-1] != "L5" and signs_at(points, evidence)[-1, landmark_costs.LAST] <= 0:
        seen.remove(SACRUM)  # there is room for it, but nobody has seen it: an L5 may be missed, or not be the last
    upper, last_rib, sacrum = bool({DENS, FIRST_RIB}.intersection(seen)), LAST_RIB in seen, SACRUM in seen
    more = int("T13" in levels) - lacks_t12(levels, points, scale)
    return Count(
        tuple(seen),
        THORACIC + more if upper and last_rib and "T1" in levels else None,
        int(levels[-1].removeprefix("L")) if last_rib and sacrum else None,
        more,
        levels[-1] if sacrum else None,
    )
