"""Balance the places of proposed points along the spine between what was seen and how far neighbors usually are apart.

Each point keeps its distance from the line through the row and moves along it: the posterior mean of a chain whose
points and gaps have independent normal errors. The usual gaps come from truth of the same kind of scan, scaled to the
patient.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

import numpy as np

from ..core.anatomy import LEVEL_INDEX
from ..core.spacing import EDGES

POINT_SD_MM = 2.0
GAP_SD_MM = 1.0
FEWEST = 4  # points from which a patient's scale is estimated well enough

Position = tuple[float, float, float]
Gaps = Mapping[tuple[str, str], float]


def usual_gaps(truths: Iterable[Mapping[str, Position]]) -> dict[tuple[str, str], float]:
    """Median distance, mm, of each pair of neighbors in many spines (level -> world mm each)."""
    found = chain.from_iterable(_gaps(truth, EDGES) for truth in truths)
    lengths: dict[tuple[str, str], list[float]] = {}
    for pair, length in found:
        lengths.setdefault(pair, []).append(length)
    return {pair: float(np.median(values)) for pair, values in lengths.items()}


def balanced(points: Mapping[str, Position], usual: Gaps) -> dict[str, Position]:
    """Points moved along the spine toward usual spacing.

    Args:
        points: level -> world mm. Fewer than :data:`FEWEST` are returned as they are.
        usual: :func:`usual_gaps`; a pair that it lacks is left free.

    Returns:
        level -> world mm, from head to foot.
    """
    levels = sorted(points, key=LEVEL_INDEX.__getitem__)
    places = np.array([points[level] for level in levels], dtype=float).reshape(-1, 3)
    seen = dict(_gaps(points, usual))
    if len(levels) < FEWEST or not seen:
        return dict(zip(levels, map(tuple, places.tolist())))
    scale = float(np.median([length / usual[pair] for pair, length in seen.items()]))
    arc = np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(places, axis=0), axis=1))))
    precision, weighted = np.eye(len(levels)) / POINT_SD_MM**2, arc / POINT_SD_MM**2
    for upper, lower in seen:
        n = levels.index(upper)
        precision[n : n + 2, n : n + 2] += np.array([[1, -1], [-1, 1]]) / GAP_SD_MM**2
        weighted[n : n + 2] += np.array([-1, 1]) * scale * usual[upper, lower] / GAP_SD_MM**2
    moved = np.linalg.solve(precision, weighted) - arc
    tangent = np.gradient(places, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-6)
    return dict(zip(levels, map(tuple, (places + moved[:, None] * tangent).tolist())))


def _gaps(points: Mapping[str, Position], pairs: Iterable[tuple[str, str]]) -> list[tuple[tuple[str, str], float]]:
    """The distances of those pairs that follow each other directly in the row."""
    levels = sorted(points, key=LEVEL_INDEX.__getitem__)
    wanted = set(pairs)
    return [
        (pair, float(np.linalg.norm(np.subtract(points[pair[0]], points[pair[1]]))))
        for pair in zip(levels, levels[1:])
        if pair in wanted
    ]
