"""Vertebrae of one patient in the trunk of another: more shapes of bone than there are whole-trunk maps.

Each vertebra keeps its level. It is set on the body center of the one it replaces, turned to the line of the spine
and scaled to the distance between the levels, so that the truth of the trunk stays valid.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .local import Frame, frames
from .sources import LabelMapSource, structure_mask

_HALF_MM = np.array([60.0, 95.0, 60.0])  # room about a body center for all processes: right, anterior, up
_KEPT = ("rib_", "sacrum", "hip_", "vertebrae_S1")


def transplant(trunk: LabelMapSource, donor: LabelMapSource) -> LabelMapSource:
    """Replace every vertebra of ``trunk`` that ``donor`` shows whole.

    Args:
        trunk: a whole-trunk map.
        donor: any map with vertebrae and their body centers.
    """
    ours = {frame.level: frame for frame in frames(trunk.truth)}
    theirs = {frame.level: frame for frame in frames(donor.truth) if frame.level not in donor.cut}
    levels = [level for level in theirs if level in ours and level not in trunk.cut and _id(donor, level)]
    labels = trunk.labels.copy()
    labels[structure_mask(labels, [_id(trunk, level) for level in levels])] = 0
    fixed = structure_mask(np.arange(256, dtype=np.uint8), trunk.ids(*_KEPT))
    fixed[trunk.ids("vertebrae_")] = True
    for level in levels:
        _place(labels, fixed, trunk, donor, ours[level], theirs[level])
    return replace(trunk, name=f"{trunk.name}+{donor.name}", labels=labels, bone_hu=None, cache={})


def _id(source: LabelMapSource, level: str) -> int:
    return next((number for number, name in source.names.items() if name == f"vertebrae_{level}"), 0)


def _place(
    labels: np.ndarray, fixed: np.ndarray, trunk: LabelMapSource, donor: LabelMapSource, our: Frame, their: Frame
):
    """Write one vertebra of the donor, by nearest voxel, where no rib, pelvis or other vertebra is."""
    scale = float(np.clip(our.spacing / their.spacing, 0.8, 1.25))
    s = trunk.spacing_mm
    low = np.maximum(np.floor((our.center - _HALF_MM) / s).astype(int), 0)
    high = np.minimum(np.ceil((our.center + _HALF_MM) / s).astype(int) + 1, labels.shape[::-1])
    x, y, z = (np.arange(low[axis], high[axis]) * s - our.center[axis] for axis in range(3))
    offset = np.stack(np.broadcast_arrays(x[None, None, :], y[None, :, None], z[:, None, None]), axis=-1)
    source = their.center + (offset @ our.axes.T / scale) @ their.axes
    index = np.rint(source / donor.spacing_mm).astype(int)
    inside = ((index >= 0) & (index < donor.labels.shape[::-1])).all(axis=-1)
    i, j, k = np.moveaxis(np.where(inside[..., None], index, 0), -1, 0)
    found = inside & (donor.labels[k, j, i] == _id(donor, our.level))
    region = labels[low[2] : high[2], low[1] : high[1], low[0] : high[0]]
    region[found & ~fixed[region]] = _id(trunk, our.level)
