"""A user's correction tells more than one level: the evidence of the neighbors is off by as much.

A network that counts wrongly is wrong by the same number of levels over the whole scan, or over a long part of it.
Where a fixed point contradicts what the evidence alone would say, the costs of the vertebrae around it are read with
the same offset; otherwise each of them would vote against the correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .anatomy import LEVEL_INDEX, LEVELS, USUAL_LEVELS
from .labels import Evidence, SpineLabels
from .spine_curve import spine_curve

_SEQUENCE = np.array([LEVEL_INDEX[level] for level in (*USUAL_LEVELS, "L6")])
_T12, _T13, _L1 = (LEVEL_INDEX[level] for level in ("T12", "T13", "L1"))
_RANK = np.empty(len(_SEQUENCE) + 1)
_RANK[_SEQUENCE] = np.arange(len(_SEQUENCE))
_RANK[_T13] = (_RANK[_T12] + _RANK[_L1]) / 2


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
    above, below = np.array([_offsets(int(n), int(clamp[n]), dict(alone)) for n in fixed], dtype=int).T
    if not above.any() and not below.any():
        return evidence
    nearest = np.abs(position[:, None] - position[fixed][None]).argmin(axis=1)
    offset = np.where(np.arange(len(position)) < fixed[nearest], above[nearest], below[nearest])
    # what the network says about presence was counted wrongly as well
    return replace(_read_with(evidence, offset), presence=np.full_like(evidence.presence, 0.5))


def after_removal(labels: SpineLabels, evidence: Evidence, removed: Sequence[Sequence[float]]) -> list[Evidence]:
    """Ways to read the evidence once points between two others are deleted as no vertebrae.

    Either they stood in the way only, or they had been counted: then the vertebrae below are one level too low, or
    those above one too high.

    Args:
        labels: the result with the points.
        evidence: its evidence without their candidates.
        removed: (R, 3) world RAS mm.

    Returns:
        ``evidence`` as it is and, where that is possible, recounted below and recounted above.
    """
    ways = [evidence]
    levels = [point.level for point in labels.points]
    for ras in removed:
        apart = [float(np.linalg.norm(np.subtract(point.ras, ras))) for point in labels.points]
        row = int(np.argmin(apart))
        if apart[row] > 1.0 or not 0 < row < len(levels) - 1 or not len(evidence.points):
            continue
        known = np.array([point.ras for point in labels.points])
        curve = spine_curve(
            np.concatenate([known, evidence.points]),
            np.concatenate([np.ones(len(known)), evidence.detection]),
            np.concatenate([_certain(levels), evidence.unary]),
        )
        place = np.argsort(curve.order)
        lower = place[len(known) :] > place[row]
        ways = [
            *ways,
            *(_read_with(way, np.where(side, step, 0)) for way in ways for side, step in ((lower, -1), (~lower, 1))),
        ]
    return ways


def _offsets(n: int, level: int, says: dict[int, int]) -> tuple[int, int]:
    """By how many levels the evidence above and below a fixed point is off.

    A point where the evidence sees a vertebra moves both sides alike. One that the evidence leaves out moves a side
    only as far as it must to make room.
    """
    rank = _RANK[level]
    if n in says:
        offset = int(np.trunc(rank - _RANK[says[n]]))
        return offset, offset
    above = [_RANK[k] for m, k in says.items() if m < n]
    below = [_RANK[k] for m, k in says.items() if m > n]
    up = min(rank - 1 - max(above), 0) if above else 0
    down = max(rank + 1 - min(below), 0) if below else 0
    return int(np.trunc(up)), int(np.trunc(down))


def _read_with(evidence: Evidence, offset: np.ndarray) -> Evidence:
    unary = np.array([shifted(cost, int(step)) for cost, step in zip(evidence.unary, offset)])
    return replace(evidence, unary=unary.reshape(evidence.unary.shape))


def _certain(levels: Sequence[str]) -> np.ndarray:
    cost = np.full((len(levels), len(LEVELS)), 12.0)
    cost[np.arange(len(levels)), [LEVEL_INDEX[level] for level in levels]] = 0.0
    return cost


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
