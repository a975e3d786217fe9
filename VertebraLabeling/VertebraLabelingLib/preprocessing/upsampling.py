"""Large voxels divided into smaller ones by cubic B-splines.

Linear interpolation shows a body between large voxels otherwise than one at the middle of a voxel; splines hardly do
(Thevenaz, Blu, Unser 2000, "Interpolation revisited", doi:10.1109/42.875199).
"""

from __future__ import annotations

import numpy as np

from ..core.volume import AIR_HU, Volume

LARGE_MM, FINE_MM = 2.5, 2.0
ROUNDING_MM = 1e-3  # of voxel sizes: what a turned header says of 4 mm may be 4.0000001


def divisions(volume: Volume) -> np.ndarray:
    """(3,) parts along I, J, K that :func:`finer` makes of each voxel; 1 where it is not large."""
    spacing = volume.spacing - ROUNDING_MM
    return np.where(spacing > LARGE_MM, np.ceil(spacing / FINE_MM), 1).astype(int)


def finer(volume: Volume) -> Volume:
    """The same field of view with the voxels divided along each axis where they are larger than :data:`LARGE_MM`.

    Args:
        volume: HU.

    Returns:
        voxels of at most :data:`FINE_MM`, but for rounding, along those axes, float32; the volume itself where no axis
        is coarse.
    """
    import SimpleITK as sitk

    parts = divisions(volume)
    if (parts == 1).all():
        return volume
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array, dtype=np.float32))
    size, step = np.array(image.GetSize()) * parts, 1 / parts
    first = (step - 1) / 2  # center of the first small voxel, in large ones
    fine = sitk.Resample(
        *(image, size.tolist(), sitk.Transform(), sitk.sitkBSpline, first.tolist(), step.tolist()),
        *(np.eye(3).ravel().tolist(), AIR_HU),
    )
    affine = volume.ijk_to_ras.copy()
    affine[:3, 3] += affine[:3, :3] @ first
    affine[:3, :3] *= step
    return Volume(sitk.GetArrayFromImage(fine), affine)
