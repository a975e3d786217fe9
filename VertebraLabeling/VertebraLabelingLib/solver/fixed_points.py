"""Points that the user has fixed, and how they enter the solver's evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..core.anatomy import LEVEL_INDEX, LEVELS
from ..core.evidence import Evidence
from ..core.labels import CONFIRMED, GIVEN, MOVED, SpineLabels
from ..core.spacing import distance_from
from ..errors import InputError
from .spine_curve import SpineCurve

REACH_MM = 12.0  # half a thoracic vertebra: farther away another one is meant
REACH_OF_SPACING = 0.6  # of the distance to the next vertebra, where that is less: in the neck
SMALLEST, LARGEST = 0.5, 1.3  # size of a patient against the usual: a newborn, a giant
SAME_PLACE_MM = 5.0  # no two vertebrae are so near


@dataclass(frozen=True)
class FixedPoint:
    """A point that is a vertebra for certain.

    Attributes:
        ras: world RAS mm; kept to the last digit.
        level: level name, or ``None`` where only the place is certain.
        status: the status that the point shall have in the result.
        new: given in this call; an older fixed point gives way to a new one where the two contradict each other.
        settled: the level is certain; else it is only kept, as the name that the user sees.
    """

    ras: tuple[float, float, float]
    level: str | None
    status: str = CONFIRMED
    new: bool = True

    @property
    def settled(self) -> bool:
        return self.level is not None and self.status != MOVED


def new_fixed_points(fixed: Mapping[str, Sequence[float]] | None) -> list[FixedPoint]:
    """Check fixed points given by a caller: level -> world RAS mm.

    Raises:
        InputError: an unknown level, a position that is not three finite numbers, or two levels at one place.
    """
    fixed_points: list[FixedPoint] = []
    for level, ras in (fixed or {}).items():
        if level not in LEVEL_INDEX:
            raise InputError(f"{level!r} is not a vertebral level: use C1-C7, T1-T13 or L1-L6.")
        try:
            position = np.asarray(ras, dtype=np.float64)
        except (TypeError, ValueError):
            position = np.empty(0)
        if position.shape != (3,) or not np.isfinite(position).all():
            raise InputError(f"The position of {level} is not three finite numbers: place the point again.")
        fixed_points.append(FixedPoint((float(position[0]), float(position[1]), float(position[2])), level))
    fixed_points.sort(key=lambda fixed_point: LEVEL_INDEX[fixed_point.level])
    for row, one in enumerate(fixed_points):
        for other in fixed_points[row + 1 :]:
            if _apart(one.ras, other.ras) < SAME_PLACE_MM:
                raise InputError(
                    f"{one.level} and {other.level} are fixed at the same place: delete or move one of them."
                )
    return fixed_points


def fixed_points_for_relabel(
    labels: SpineLabels, fixed: Mapping[str, Sequence[float]], removed: Sequence[Sequence[float]]
) -> list[FixedPoint]:
    """The new fixed points, and those of earlier corrections that still stand.

    A confirmed or given point keeps its place and level, and a moved point keeps its place. Neither is kept where a new
    fixed point claims its level or its place, or where it was removed. A moved point keeps its name too, unless a new
    fixed point renames a vertebra: moving says where the vertebra is, not which, so it then follows the renamed chain.
    """
    new = new_fixed_points(fixed)
    reach = {point.level: reach_mm(point.level, labels) for point in labels.points}
    renamed = any(
        point.level != fixed_point.level and _apart(point.ras, fixed_point.ras) < reach[point.level]
        for fixed_point in new
        for point in labels.points
    )
    fixed_points = list(new)
    for point in labels.points:
        if point.status not in (MOVED, CONFIRMED, GIVEN) or point.level in fixed:
            continue
        if any(_apart(point.ras, ras) < SAME_PLACE_MM for ras in removed):
            continue
        if any(_apart(point.ras, fixed_point.ras) < reach[point.level] for fixed_point in new):
            continue
        level = None if renamed and point.status == MOVED else point.level
        fixed_points.append(FixedPoint(point.ras, level, point.status, new=False))
    return fixed_points


def with_places(fixed_points: Sequence[FixedPoint], placed: Sequence[Sequence[float]]) -> list[FixedPoint]:
    """The fixed points and the places of further vertebrae, except where a fixed point stands already."""
    found = list(fixed_points)
    for ras in placed:
        if all(_apart(ras, fixed_point.ras) >= SAME_PLACE_MM for fixed_point in found):
            found.append(FixedPoint((float(ras[0]), float(ras[1]), float(ras[2])), None, MOVED, new=False))
    return found


def check_kept(fixed_points: Sequence[FixedPoint], before: SpineLabels, after: SpineLabels) -> None:
    """Whether a result holds all that earlier corrections said: the solver leaves out, or renames, what contradicts.

    Args:
        fixed_points: what should be kept; see :func:`fixed_points_for_relabel`.
        before, after: labels before and after naming again; those before give the names for the words.

    Raises:
        InputError: a fixed point is nowhere in the result, or, where its level is settled, bears another one there.
    """
    named = {point.ras: point.level for point in before.points}
    levels = {point.ras: point.level for point in after.points}
    lost = [
        named.get(fixed_point.ras, fixed_point.level)
        for fixed_point in fixed_points
        if fixed_point.ras not in levels or (fixed_point.settled and levels[fixed_point.ras] != fixed_point.level)
    ]
    if lost:
        said = ", ".join(fixed_point.level for fixed_point in fixed_points if fixed_point.new)
        new = f" with {said} where it is now" if said else ""
        raise InputError(
            f"What you moved or confirmed ({', '.join(lost)}) does not fit together any more{new}, so nothing was "
            "named again: drag the point back, or rename or delete what is wrong."
        )


def reach_mm(level: str | None, labels: SpineLabels | None = None) -> float:
    """How far from a fixed point a candidate may lie and still be the same vertebra, mm.

    12 mm, less where vertebrae follow each other closely (neck, small patients).
    """
    if level is None:
        return REACH_MM
    table = distance_from()
    spacing = float(np.min(table[LEVEL_INDEX[level]]))
    if labels is not None and len(labels.points) > 1:
        index = [LEVEL_INDEX[point.level] for point in labels.points]
        found = np.linalg.norm(np.diff([point.ras for point in labels.points], axis=0), axis=1)
        usual = table[index[:-1], index[1:]]
        known = np.isfinite(usual)
        if known.any():
            spacing *= float(np.clip(np.median(found[known] / usual[known]), SMALLEST, LARGEST))
    return min(REACH_MM, REACH_OF_SPACING * spacing)


def drop_removed(evidence: Evidence, labels: SpineLabels, removed: Sequence[Sequence[float]]) -> Evidence:
    """The evidence without the candidates nearest to deleted points, so that they do not come back."""
    keep = np.ones(len(evidence.points), bool)
    for ras in removed:
        position = np.asarray(ras, dtype=np.float64)
        if position.shape != (3,) or not np.isfinite(position).all():
            raise InputError("The position of a deleted point is not three finite numbers: delete it again.")
        nearest = min(labels.points, key=lambda point: _apart(point.ras, position), default=None)
        distance = np.where(keep, np.linalg.norm(evidence.points - position, axis=1), np.inf)
        if nearest is not None and len(distance) and distance.min() < reach_mm(nearest.level, labels):
            keep[distance.argmin()] = False
    return evidence.kept(keep)


def join(evidence: Evidence, fixed_points: Sequence[FixedPoint], reach: Sequence[float]) -> tuple[Evidence, np.ndarray]:
    """Put fixed points in the place of their nearest candidates, or beside them where none is near.

    Args:
        evidence: the network's candidates.
        fixed_points: see :func:`new_fixed_points`.
        reach: (A,) mm, one per fixed point; see :func:`reach_mm`.

    Returns:
        The joined evidence, and per candidate the index of its fixed point or -1.
    """
    points, detection = evidence.points.copy(), evidence.detection.copy()
    owner = np.full(len(points), -1)
    pairs = [
        (float(distance), row, n)
        for row, fixed_point in enumerate(fixed_points)
        for n, distance in enumerate(np.linalg.norm(evidence.points - fixed_point.ras, axis=1))
        if distance < reach[row]
    ]
    placed: set[int] = set()
    for _, row, n in sorted(pairs):
        if row not in placed and owner[n] < 0:
            placed.add(row)
            owner[n] = row
            points[n] = fixed_points[row].ras
            if fixed_points[row].settled:
                detection[n] = 1.0
    rest = [row for row in range(len(fixed_points)) if row not in placed]
    owner = np.concatenate([owner, np.array(rest, dtype=int)])
    joined = replace(evidence, points=points, detection=detection).with_candidates(
        np.array([fixed_points[row].ras for row in rest]), np.zeros((len(rest), len(LEVELS))), np.ones(len(rest))
    )
    return joined, owner


def check_order(fixed_points: Sequence[FixedPoint], owner: np.ndarray, curve: SpineCurve) -> np.ndarray:
    """The level index that each candidate is clamped to, in the order of the curve; -1 where it is free.

    An older fixed point that stands in the wrong order to a new one, or to one kept before it, loses its level.

    Raises:
        InputError: two new fixed points stand in the wrong order along the spine.
    """
    clamp = np.full(len(curve.order), -1)
    place = {int(row): n for n, row in enumerate(owner[curve.order]) if row >= 0}
    rows = [row for row, fixed_point in enumerate(fixed_points) if fixed_point.level is not None]
    for row in sorted(rows, key=lambda row: not fixed_points[row].new):
        level, n = LEVEL_INDEX[fixed_points[row].level], place[row]
        for other in np.flatnonzero(clamp >= 0):
            if (level - clamp[other]) * (n - other) > 0:
                continue
            if fixed_points[row].new:
                upper, lower = sorted((int(clamp[other]), level))
                raise InputError(
                    f"{LEVELS[upper]} is fixed below {LEVELS[lower]}, against the order of the spine: "
                    "rename, move or delete one of the two points."
                )
            break
        else:
            clamp[n] = level
    return clamp


def _apart(a: Sequence[float], b: Sequence[float]) -> float:
    return float(np.linalg.norm(np.subtract(a, b)))
