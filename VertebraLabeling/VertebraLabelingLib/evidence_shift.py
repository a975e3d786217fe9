"""A user's correction tells more than one level: the evidence of the neighbors is off by as much.

A network that counts wrongly is wrong by the same number of levels over the whole scan, or over a long part of it.
Where a fixed point contradicts what the evidence alone would say, the costs of the vertebrae around it are read with
the same offset; otherwise each of them would vote against the correction.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .anatomy import LEVEL_INDEX, USUAL_LEVELS
from .labels import Evidence

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
    says = dict(alone)
    known = [n for n in np.flatnonzero(clamp >= 0) if n in says]
    offsets = np.array([np.trunc(_RANK[clamp[n]] - _RANK[says[n]]) for n in known], dtype=int)
    if not offsets.any():
        return evidence
    nearest = np.abs(position[:, None] - position[known][None]).argmin(axis=1)
    unary = np.array([shifted(cost, offset) for cost, offset in zip(evidence.unary, offsets[nearest])])
    # what the network says about presence was counted wrongly as well
    return replace(evidence, unary=unary, presence=np.full_like(evidence.presence, 0.5))


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
