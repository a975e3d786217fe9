"""The points of a chain drawn a little to the line that they share.

Each point is placed by itself, so what noise, thick slices and large voxels do to one of them is hardly what they do to
its neighbors. Along the usual distances of vertebrae a spine changes its direction and its scale only a little: most
likely are points near where they were seen, on a line whose second divided differences are small (Whittaker 1923, "On a
new method of graduation", doi:10.1017/S0013091500077853; Eilers 2003, "A perfect smoother", doi:10.1021/ac034173t).
See docs/decisions/0003-centroid-network.md.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from ..core.anatomy import LEVELS
from ..core.evidence import Evidence
from ..core.parameters import SHIPPED, SmoothingParameters
from ..core.spacing import EDGES, VERSE_SPACING, scale_of
from ..solver.chain import Chain
from ..solver.chain_ends import cut_levels

OFF_THE_LINE = ("C1", "C2")  # their points lie at the dens and at its base


def with_smooth_chain(evidence: Evidence, chain: Chain, p: SmoothingParameters = SHIPPED.smoothing) -> Evidence:
    """Evidence with the candidates of its chain moved by at most ``most_mm``.

    An end that the field of view cuts is left out: its point lies at the middle of what is seen of it, and would draw
    its neighbor along.

    Args:
        evidence: points change.
        chain: its cheapest chain.
    """
    levels, moved = [LEVELS[k] for k in chain.levels], evidence.points.copy()
    cut = cut_levels(levels, chain.points, scale_of(chain.points, chain.levels), evidence)
    cut_ends = [level for level in (*levels[:1], *levels[-1:]) if level in cut]
    for piece in _pieces(levels, (*OFF_THE_LINE, *cut_ends)):
        before = chain.points[piece]
        named = [levels[row] for row in piece]
        gaps = [VERSE_SPACING[pair] for pair in zip(named, named[1:])]
        moved[chain.rows[piece]] = smooth(before, np.array(gaps), p)
    return replace(evidence, points=moved)


def smooth(points: np.ndarray, gaps: np.ndarray, p: SmoothingParameters = SHIPPED.smoothing) -> np.ndarray:
    """(M, 3) points of neighboring vertebrae, mm, drawn to their line; fewer than three say nothing about it.

    Args:
        points: from head to foot.
        gaps: (M - 1,) usual distances between them, of any scale.
    """
    number = len(points)
    if number < 3:
        return points
    bend = np.zeros((number - 2, number))
    for row, (above, below) in enumerate(zip(gaps, gaps[1:])):
        # the second divided difference, in the size that it has where the gaps are equal
        bend[row, row : row + 3] = np.array([1 / above, -1 / above - 1 / below, 1 / below]) * (above + below) / 2
    step = np.linalg.solve(np.eye(number) + p.stiffness * bend.T @ bend, points) - points
    length = np.linalg.norm(step, axis=1, keepdims=True)
    return points + step * np.minimum(1.0, p.most_mm / np.maximum(length, p.most_mm))


def _pieces(levels: list[str], off_the_line: Collection[str]) -> list[list[int]]:
    """The rows of a chain in runs of neighbors."""
    pieces: list[list[int]] = []
    for row, level in enumerate(levels):
        if level in off_the_line:
            continue
        if pieces and (levels[pieces[-1][-1]], level) in EDGES:
            pieces[-1].append(row)
        else:
            pieces.append([row])
    return pieces
