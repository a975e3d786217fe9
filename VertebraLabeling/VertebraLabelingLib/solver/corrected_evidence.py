"""A user's correction tells more than one level: the evidence of the neighbors is off by as much.

A network that counts wrongly is wrong by the same number of levels over the whole scan, or over a long part of it.
Where a fixed point contradicts what the evidence alone would say, the costs of the vertebrae around it are read with
the same offset; otherwise each of them would vote against the correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..core.anatomy import LEVEL_INDEX, LEVEL_RANK, LEVELS, USUAL_LEVELS
from ..core.counting import Count
from ..core.evidence import MAX_COST, Evidence
from ..core.labels import SpineLabels
from ..core.spacing import lacks_t12, scale_of
from .spine_curve import spine_curve

SAME_POINT_MM = 1.0  # a point and its candidate lie at one place, but for rounding

_SEQUENCE = np.array([LEVEL_INDEX[level] for level in (*USUAL_LEVELS, "L6")])
_T12, _T13, _L1 = (LEVEL_INDEX[level] for level in ("T12", "T13", "L1"))


def follow_fixed(
    evidence: Evidence, position: np.ndarray, clamp: np.ndarray, alone: tuple[tuple[int, int], ...]
) -> Evidence:
    """Read every candidate's costs with the offset of the nearest fixed point along the spine.

    Args:
        evidence: N candidates in order along the spine.
        position: (N,) their arc length, mm.
        clamp: (N,) level index of fixed points, -1 elsewhere.
        alone: (candidate, level) pairs of the chain that the evidence alone would give.
    """
    fixed = np.flatnonzero(clamp >= 0)
    says = dict(alone)
    more = _more_ribs(evidence.points[list(says)], np.array(list(says.values()), dtype=int))
    above, below = np.array([_offsets(int(n), int(clamp[n]), says, more) for n in fixed], dtype=int).T
    if not above.any() and not below.any():
        return evidence
    nearest = np.abs(position[:, None] - position[fixed][None]).argmin(axis=1)
    offset = np.where(np.arange(len(position)) < fixed[nearest], above[nearest], below[nearest])
    # what the network says about presence was counted wrongly as well
    return replace(_read_with(evidence, offset), presence=np.full_like(evidence.presence, 0.5))


def after_removal(labels: SpineLabels, evidence: Evidence, removed: Sequence[Sequence[float]]) -> list[Evidence]:
    """Ways to read the evidence once a point between two others is deleted as no vertebra.

    Either it stood in the way only, or it had been counted: then the vertebrae below are one level too low, or those
    above one too high. Of several points deleted at once all are taken to have stood in the way only.

    Args:
        labels: the result with the point.
        evidence: its evidence without the point's candidate.
        removed: (R, 3) world RAS mm.

    Returns:
        ``evidence`` as it is and, where that is possible, recounted below and recounted above.
    """
    known = np.array([point.ras for point in labels.points]).reshape(-1, 3)
    if len(removed) != 1 or not len(known) or not len(evidence.points):
        return [evidence]
    apart = np.linalg.norm(known - removed[0], axis=1)
    row = int(apart.argmin())
    if apart[row] > SAME_POINT_MM or not 0 < row < len(known) - 1:
        return [evidence]
    curve = spine_curve(
        np.concatenate([known, evidence.points]),
        np.concatenate([np.ones(len(known)), evidence.detection]),
        np.concatenate([_certain(labels), evidence.unary]),
    )
    place = np.argsort(curve.order)
    below = place[len(known) :] > place[row]
    return [evidence, _read_with(evidence, np.where(below, -1, 0)), _read_with(evidence, np.where(below, 0, 1))]


def after_moves(
    labels: SpineLabels, evidence: Evidence, moves: Sequence[tuple[Sequence[float], Sequence[float]]]
) -> Evidence:
    """The evidence once vertebrae were moved: what was seen of each stands where the vertebra is now.

    A point that was put onto another named vertebra takes that one's evidence instead, and leaves its own behind.

    Args:
        labels: the points before they were moved.
        evidence: its evidence.
        moves: (place before, place now), world RAS mm.
    """
    points = evidence.points.copy()
    known = np.array([point.ras for point in labels.points]).reshape(-1, 3)
    for before, now in moves:
        if not len(known) or not len(points):
            break
        apart = np.linalg.norm(evidence.points - before, axis=1)
        nearest = labels.points[int(np.linalg.norm(known - now, axis=1).argmin())]
        if apart.min() < SAME_POINT_MM and np.linalg.norm(np.subtract(nearest.ras, before)) < SAME_POINT_MM:
            points[apart.argmin()] = now
    return replace(evidence, points=points)


def _more_ribs(points: np.ndarray, levels: np.ndarray) -> int:
    """1 where a chain of (M, 3) points with (M,) level indices has a T13, -1 where it has no T12, else 0."""
    names = [LEVELS[k] for k in levels]
    return int("T13" in names) - lacks_t12(names, points, scale_of(points, levels))


def _offsets(n: int, level: int, says: dict[int, int], more: int) -> tuple[int, int]:
    """By how many levels the evidence above and below a fixed point is off.

    A point where the evidence sees a vertebra moves both sides by as many places in the spine. The levels below follow
    by more or fewer where there is a T13 or no T12 any more, or now. One that the evidence leaves out moves a side only
    as far as it must to make room.
    """
    rank = LEVEL_RANK[level]
    if n in says:
        after = _more_after(n, level, says, more)
        moved = Count(more=after).place(LEVELS[level]) - Count(more=more).place(LEVELS[says[n]])
        return moved, moved - (after - more)
    above = [LEVEL_RANK[k] for m, k in says.items() if m < n]
    below = [LEVEL_RANK[k] for m, k in says.items() if m > n]
    up = min(rank - 1 - max(above), 0) if above else 0
    down = max(rank + 1 - min(below), 0) if below else 0
    return int(np.trunc(up)), int(np.trunc(down))


def _more_after(n: int, level: int, says: dict[int, int], more: int) -> int:
    """:func:`_more_ribs` of a chain once one of its vertebrae is another level."""
    if level == _T13:
        return 1
    if more > 0:
        others = [m for m, k in says.items() if k == _T13 and m != n]
        return int(any((m < n) == (level > _T13) for m in others))
    return 0 if level == _T12 else more


def _read_with(evidence: Evidence, offset: np.ndarray) -> Evidence:
    """The evidence with costs moved by (N,) levels; what was taken for a landmark there says nothing any more."""
    unary = np.array([shifted(cost, int(step)) for cost, step in zip(evidence.unary, offset)])
    landmarks = np.where(offset[:, None] == 0, evidence.landmarks, 0.0)
    return replace(evidence, unary=unary.reshape(evidence.unary.shape), landmarks=landmarks)


def _certain(labels: SpineLabels) -> np.ndarray:
    """(M, 26) costs that leave no doubt about the levels."""
    return np.where(np.array([[level == point.level for level in LEVELS] for point in labels.points]), 0.0, MAX_COST)


def shifted(cost: np.ndarray, offset: int) -> np.ndarray:
    """(26,) costs moved by ``offset`` levels toward the feet; levels that nothing moves to cost the most."""
    if offset == 0:
        return cost
    source = np.arange(len(_SEQUENCE)) - offset
    inside = (source >= 0) & (source < len(_SEQUENCE))
    result = np.full_like(cost, cost.max())
    result[_SEQUENCE[inside]] = cost[_SEQUENCE[source[inside]]]
    result[_T13] = (result[_T12] + result[_L1]) / 2
    return result
