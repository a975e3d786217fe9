"""Where the spine runs through a scan, however the patient lies: enough to see in which pose he lies.

Seen along the patient, no other place shows so much bone in so many slices. A column around it is a small part of the
scan, and the detection network knows scans that show no more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.volume import Volume, apply_affine
from .cropping import crop_around, keep_slices
from .pose import PatientPose
from .prepared_scan import PreparedScan

SOFT_HU, BONE_HU = 100.0, 300.0  # what is less is no bone; what is more counts as much: an arm's shaft, metal
VERTEBRA_MM = 60.0  # body, arch and processes
LENGTH_MM = 240.0  # ten thoracic vertebrae, and short enough for a straight axis
REACH_MM = 80.0  # bodies lie within 57 mm of the axis (28 scans), and half a body is 20 mm
TURNED = 1.45  # how much wider a square must be to hold it turned by 45 degrees


@dataclass(frozen=True)
class SpineColumn:
    """The part of a scan around the spine.

    Attributes:
        scan: that part, wide enough to be turned.
        axis: (2, 3) world RAS mm, the lowest and the highest point of a straight line along the spine.
    """

    scan: PreparedScan
    axis: np.ndarray

    @classmethod
    def of(cls, grid: Volume, scan: PreparedScan | None = None) -> SpineColumn:
        """Find the spine.

        Args:
            grid: the working grid.
            scan: what the column is cut from, for detail; by default the working grid.
        """
        slices, most = grid.array.shape[0], round(LENGTH_MM / grid.spacing[2])
        first = max(0, (slices - most) // 2)
        axis = spine_axis(keep_slices(grid, first, min(slices, first + most)))
        whole = scan.volume if scan is not None else grid
        return cls(PreparedScan(crop_around(whole, _around(axis, TURNED * REACH_MM), 0)), axis)

    def in_pose(self, pose: PatientPose) -> Volume:
        """The working grid of the column, the patient in a pose; the middle of the axis stays where it is.

        Raises:
            NoSpineError: there is nothing but air.
        """
        center = self.axis.mean(axis=0)
        grid = self.scan.in_pose(pose, center).grid
        return crop_around(grid, (self.axis - center) @ pose.matrix.T + center, REACH_MM)


def spine_axis(grid: Volume) -> np.ndarray:
    """(2, 3) world RAS mm: a line along the scan's third axis, where its slices show the most bone.

    Of a slice's bone the logarithm counts: a prosthesis or a heart full of contrast agent is in some slices only.
    """
    bone = np.clip(grid.array, SOFT_HU, BONE_HU) - SOFT_HU
    for axis in (1, 2):
        bone = _window_sums(bone, max(1, round(VERTEBRA_MM / grid.spacing[2 - axis])), axis)
    shown = np.log1p(bone / max(float(bone.mean()), 1.0)).sum(axis=0)
    j, i = np.unravel_index(int(shown.argmax()), shown.shape)
    return apply_affine(grid.ijk_to_ras, np.array([[i, j, 0], [i, j, grid.array.shape[0] - 1]], dtype=float))


def _around(axis: np.ndarray, reach_mm: float) -> np.ndarray:
    """(8, 3) corners of the box around a line, as long as that."""
    aside = reach_mm * np.array([(x, y, 0) for x in (-1, 1) for y in (-1, 1)])
    return (axis[:, None] + aside).reshape(-1, 3)


def _window_sums(values: np.ndarray, width: int, axis: int) -> np.ndarray:
    """The sum of the ``width`` values around each, along an axis; beyond the edge there is nothing."""
    sums = np.cumsum(np.insert(values.astype(float), 0, 0.0, axis=axis), axis=axis)
    at = np.arange(values.shape[axis])
    low, high = (at - width // 2).clip(0), (at + (width + 1) // 2).clip(max=len(at))
    return np.take(sums, high, axis=axis) - np.take(sums, low, axis=axis)
