"""Tell the user where implants may have misled the networks: metal and its streaks hide the vertebrae between."""

from __future__ import annotations

import numpy as np

from ..core.anatomy import LEVEL_INDEX
from ..core.label_warning import IMPLANTS, LabelWarning
from ..core.labels import SpineLabels
from ..core.volume import ijk_to_ras
from ..preprocessing.metal import METAL_HU
from ..preprocessing.prepared_scan import PreparedScan

NEAR_MM = 20.0  # of the points
LEAST_MM3 = 2500.0  # two screws and a rod; near the points of 77 held-out scans is less than 2000
AT_LEVEL_MM3 = 200.0
MOST_VOXELS = 200_000  # looked at; of more, every second, third ...
_C3 = LEVEL_INDEX["C3"]  # above it teeth and petrous bone are as bright


def levels_with_metal(scan: PreparedScan, labels: SpineLabels) -> list[str]:
    """The levels below C2 whose points have metal around them; empty where there is too little of it for an implant.

    Args:
        scan: the prepared scan.
        labels: its points.
    """
    points = [point for point in labels.points if LEVEL_INDEX[point.level] >= _C3]
    if not points:
        return []
    places = np.array([point.ras for point in points])
    box = scan.box(places, NEAR_MM)
    bright = np.flatnonzero(box.array > METAL_HU)
    if len(bright) == 0:
        return []
    every = 1 + len(bright) // MOST_VOXELS
    voxel = every * float(np.prod(box.spacing))
    metal = ijk_to_ras(box, np.stack(np.unravel_index(bright[::every], box.array.shape)[::-1], axis=1))
    near = np.stack([np.linalg.norm(metal - place, axis=1) <= NEAR_MM for place in places])
    if near.any(axis=0).sum() * voxel < LEAST_MM3:
        return []
    return [point.level for point, its in zip(points, near) if its.sum() * voxel >= AT_LEVEL_MM3]


def warnings_of(levels: list[str]) -> tuple[LabelWarning, ...]:
    """What the user is told of metal at ``levels``; nothing where there is none."""
    return (LabelWarning(IMPLANTS, tuple(levels)),) if levels else ()
