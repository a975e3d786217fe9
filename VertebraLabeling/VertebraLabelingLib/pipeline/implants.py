"""Tell the user where implants may have misled the networks: metal and its streaks hide the vertebrae between."""

from __future__ import annotations

import numpy as np

from ..core.anatomy import LEVEL_INDEX
from ..core.label_warning import IMPLANTS, LabelWarning
from ..core.labels import SpineLabels
from ..core.parameters import SHIPPED, ImplantParameters
from ..core.volume import ijk_to_ras
from ..preprocessing.metal import METAL_HU
from ..preprocessing.prepared_scan import PreparedScan

MOST_VOXELS = 200_000  # looked at; of more, every second, third: a fraction of a second is enough for a warning
_C3 = LEVEL_INDEX["C3"]  # above it teeth and petrous bone are as bright


def levels_with_metal(scan: PreparedScan, labels: SpineLabels, p: ImplantParameters = SHIPPED.implants) -> list[str]:
    """The levels below C2 whose points have metal around them; empty where there is too little of it for an implant.

    Args:
        scan: the prepared scan.
        labels: its points.
        p: the chosen numbers.
    """
    points = [point for point in labels.points if LEVEL_INDEX[point.level] >= _C3]
    if not points:
        return []
    places = np.array([point.ras for point in points])
    box = scan.box(places, p.near_mm)
    bright = np.flatnonzero(box.array > METAL_HU)
    if len(bright) == 0:
        return []
    every = 1 + len(bright) // MOST_VOXELS
    voxel = every * float(np.prod(box.spacing))
    metal = ijk_to_ras(box, np.stack(np.unravel_index(bright[::every], box.array.shape)[::-1], axis=1))
    near = np.stack([np.linalg.norm(metal - place, axis=1) <= p.near_mm for place in places])
    if near.any(axis=0).sum() * voxel < p.least_mm3:
        return []
    return [point.level for point, its in zip(points, near) if its.sum() * voxel >= p.at_level_mm3]


def warnings_of(levels: list[str]) -> tuple[LabelWarning, ...]:
    """What the user is told of metal at ``levels``; nothing where there is none."""
    return (LabelWarning(IMPLANTS, tuple(levels)),) if levels else ()
