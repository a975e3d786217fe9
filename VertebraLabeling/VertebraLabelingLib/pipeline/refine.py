"""An optional second look: each candidate is placed once more on a grid shifted by half a voxel, and the mean is taken.

Both places are local integrals of the same network; the second sees the anatomy at other sub-voxel positions. Off by
default, since on held-out scans it gains less than 0.1 mm: docs/lessons.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..core.evidence import Evidence
from ..core.volume import Volume
from ..preprocessing.cropping import crop_around
from ..preprocessing.prepared_scan import GRID_MM, PreparedScan
from ..preprocessing.resampling import to_working_grid

SHIFT = 0.5  # voxels, along each axis
MARGIN_MM = 48.0  # around the candidates: the ribs and the outline of the trunk near the spine stay in view
SAME_MM = 6.0  # candidates of the two passes that are nearer are the same body


def refine(evidence: Evidence, scan: PreparedScan, run: Callable[[Volume], Evidence]) -> Evidence:
    """Move each candidate to the mean of its place and that of its partner in a second pass, where it has one.

    Args:
        evidence: of the first pass; levels and costs stay as they are.
        scan: the prepared scan.
        run: the network on a working grid.
    """
    if len(evidence.points) == 0:
        return evidence
    shifted = crop_around(to_working_grid(scan.volume, GRID_MM, SHIFT), evidence.points, MARGIN_MM)
    return replace(evidence, points=mean_of_pairs(evidence.points, run(shifted).points))


def mean_of_pairs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N, 3) means of each point of ``first`` and the nearest of ``second`` (M, 3), mm; those without one stay."""
    if len(second) == 0:
        return first
    distance = np.linalg.norm(first[:, None] - second[None], axis=2)
    paired = distance.min(axis=1) < SAME_MM
    return np.where(paired[:, None], (first + second[distance.argmin(axis=1)]) / 2, first)
