"""Neighboring vertebrae look alike: a network's level costs, read with its habit of being off by one or two.

A network that is unsure of a level spreads its probability over the neighbors, yet it is too sure of how far the spread
goes; thirteen vertebrae of one chest then outvote the truth together. Here a level costs at most a given step more
than the level next to it, so each vertebra votes in proportion to the distance in levels, and the votes of a spine meet
in their median.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..core.anatomy import LEVEL_INDEX, LEVEL_RANK


def confused(unary: np.ndarray, steps: tuple[float, float, float] | None) -> np.ndarray:
    """Lower each cost to that of the cheapest level plus the way to it.

    Args:
        unary: (N, 26) negative log-likelihood of each candidate being each level.
        steps: cost of one level of distance in the cervical, thoracic and lumbar spine; ``None`` changes nothing.

    Returns:
        (N, 26): ``min over j of unary[:, j] + distance(j, k)``.
    """
    if steps is None or not len(unary):
        return unary
    return (unary[:, None, :] + _distance(tuple(steps))).min(axis=2)


@lru_cache(maxsize=4)
def _distance(steps: tuple[float, float, float]) -> np.ndarray:
    """(26, 26) cost of the way between two levels along the spine; the steps change at C7 and at T12."""
    rank = np.array(LEVEL_RANK, dtype=float)
    knots = rank[[LEVEL_INDEX[level] for level in ("C1", "C7", "T12")]]
    ends = np.append(knots[1:], np.inf)
    along = sum(step * np.clip(rank - low, 0.0, high - low) for step, low, high in zip(steps, knots, ends))
    return np.abs(along[:, None] - along[None])
