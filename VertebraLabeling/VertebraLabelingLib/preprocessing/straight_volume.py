"""A scan along the straightened spine: cross-sections of the curve as the slices of a volume of their own."""

from __future__ import annotations

import numpy as np

from ..core.straight_spine import BACK_MM, FRONT_MM, SIDE_MM, StraightSpine
from ..core.volume import AIR_HU, Volume, ras_to_ijk
from .sitk_image import shared_array

VOXEL_MM = 0.7
_SLAB_MM = 12.0  # of the curve, for which one part of the scan is taken: little of a long scan is held at once
_SPARSE = 8  # every so many voxels along each axis tell whether a scan has values below 0


def straight_volume(volume: Volume, spine: StraightSpine, voxel_mm: float = VOXEL_MM) -> Volume:
    """Sample a scan along the spine.

    Beside the result only a part of the scan is held in memory, never a copy of it.

    Args:
        volume: CT or MR, of any orientation; axes may be sheared.
        spine: see :func:`core.straight_spine.straight_spine`.
        voxel_mm: size of the isotropic voxels.

    Returns:
        Volume whose world are the straight coordinates: I to the right, J to the front, K up along the curve, with
        :data:`SIDE_MM`, :data:`BACK_MM` and :data:`FRONT_MM` around it. int16 where the scan is int16 or less, else
        float32. Outside the scan lies air, or 0 where the scan has no values below 0, as an MR.
    """
    sides, back, front = (int(reach / voxel_mm) for reach in (SIDE_MM, BACK_MM, FRONT_MM))
    low, high = int(np.ceil(spine.lowest / voxel_mm)), int(np.floor(spine.highest / voxel_mm))
    shape = (high - low + 1, back + front + 1, 2 * sides + 1)
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = np.array([-sides, -back, low]) * voxel_mm
    kind = volume.array.dtype
    out = np.empty(shape, dtype=np.int16 if kind.itemsize == 1 or kind == np.int16 else np.float32)
    outside = _outside(volume)
    slab = max(1, int(_SLAB_MM / voxel_mm))
    for first in range(0, len(out), slab):
        part = out[first : first + slab]
        _sample(volume, _planes(volume, spine, affine, range(first, first + len(part)), shape), part, outside)
    return Volume(out, affine)


def _outside(volume: Volume) -> float:
    seen = volume.array[::_SPARSE, ::_SPARSE, ::_SPARSE]
    return AIR_HU if (seen < 0).any() else 0.0


def _planes(volume: Volume, spine: StraightSpine, affine: np.ndarray, rows: range, shape) -> np.ndarray:
    """(R, 3, 3) of each cross-section: the voxel (i, j, k) of its first cell, and the steps along its I and J."""
    _, depth, width = shape
    cells = np.array([(0, 0, row) for row in rows] + [(width, 0, row) for row in rows] + [(0, depth, r) for r in rows])
    places = spine.to_world(cells * affine[0, 0] + affine[:3, 3])
    corner, along, across = ras_to_ijk(volume, places).reshape(3, len(rows), 3)
    return np.stack([corner, (along - corner) / width, (across - corner) / depth], axis=1)


def _sample(volume: Volume, planes: np.ndarray, out: np.ndarray, outside: float) -> None:
    """Fill (R, J, I) cells of some planes by linear interpolation."""
    import SimpleITK as sitk

    _, depth, width = out.shape
    ends = planes[:, None, 0] + np.array([(0, 0), (width, 0), (0, depth), (width, depth)]) @ planes[:, 1:]
    size = np.array(volume.array.shape[::-1])
    low = np.clip(np.floor(ends.min(axis=(0, 1))).astype(int) - 1, 0, size)
    high = np.clip(np.ceil(ends.max(axis=(0, 1))).astype(int) + 2, 0, size)
    if (high <= low).any():
        out[...] = outside
        return
    (i, j, k), (i2, j2, k2) = low, high
    values = np.ascontiguousarray(volume.array[k:k2, j:j2, i:i2], dtype=np.float32)
    part = sitk.GetImageFromArray(np.nan_to_num(values, copy=False, nan=outside, posinf=outside, neginf=outside))
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize((width, depth, 1))
    resampler.SetDefaultPixelValue(outside)
    resampler.SetInterpolator(sitk.sitkLinear)
    resampler.SetNumberOfThreads(1)  # a section is done before other threads have awoken
    for (corner, along, across), row in zip(planes, out):
        normal = np.cross(along, across)
        matrix = np.stack([along, across, normal / np.linalg.norm(normal)], axis=1)
        resampler.SetTransform(sitk.AffineTransform(matrix.ravel().tolist(), (corner - low).tolist()))
        cells = shared_array(resampler.Execute(part))[0]
        row[...] = np.rint(cells) if out.dtype.kind == "i" else cells
