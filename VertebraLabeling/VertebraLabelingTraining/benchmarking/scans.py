"""The scans that are timed: a CT laid into 512 x 512 x N voxels, and the spine cut out of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from VertebraLabelingLib.core.volume import AIR_HU, Volume, apply_affine, ras_to_ijk, to_canonical

SIDE = 512
PIXEL_MM = 500 / SIDE
CROP_MM = (200.0, 200.0, 700.0)


def whole_body(ct: Volume, slices: int) -> Volume:
    """Lay a CT at its natural size into (slices, 512, 512) int16 voxels of 0.98 x 0.98 x 1 mm.

    The CT is centered; its outer slices are repeated up and down. The result is a scan of that size that contains a
    real spine, with no air above and below to save work on.
    """
    import SimpleITK as sitk

    canonical = to_canonical(ct)
    image = sitk.GetImageFromArray(np.ascontiguousarray(canonical.array).astype(np.int16))
    image.SetSpacing(canonical.spacing.tolist())
    extent = np.array(image.GetSize()) * canonical.spacing
    length = extent[2] - canonical.spacing[2]  # between the centers of the outer slices
    own = int(min(slices, length + 1))
    grid = sitk.Image(SIDE, SIDE, own, sitk.sitkInt16)
    grid.SetSpacing([PIXEL_MM, PIXEL_MM, 1.0])
    grid.SetOrigin([*(extent[:2] / 2 - 250), (length - own + 1) / 2])
    array = sitk.GetArrayFromImage(sitk.Resample(image, grid, sitk.Transform(), sitk.sitkLinear, AIR_HU))
    above = (slices - own) // 2
    array = np.pad(array, ((slices - own - above, above), (0, 0), (0, 0)), mode="edge")
    return Volume(array, np.diag([PIXEL_MM, PIXEL_MM, 1.0, 1.0]))


def spine_crop(volume: Volume, points: Iterable[Iterable[float]]) -> Volume:
    """Cut 200 x 200 x 700 mm (where the volume is that large) around the spine out of a canonical volume.

    Args:
        points: world RAS mm of vertebrae; the crop is centered on the middle of their extent.
    """
    ijk = ras_to_ijk(volume, np.array([list(point) for point in points]))
    middle = (ijk.min(axis=0) + ijk.max(axis=0)) / 2
    shape = np.array(volume.array.shape[::-1])
    size = np.minimum(np.round(np.array(CROP_MM) / volume.spacing).astype(int), shape)
    start = np.clip(np.round(middle - size / 2).astype(int), 0, shape - size)
    (i0, j0, k0), (i1, j1, k1) = start, start + size
    affine = volume.ijk_to_ras.copy()
    affine[:3, 3] = apply_affine(affine, start)[0]
    return Volume(np.ascontiguousarray(volume.array[k0:k1, j0:j1, i0:i1]), affine)


def write_scan(path: Path, volume: Volume) -> None:
    """Write a scan for a measuring process: ``.npy`` with its affine as ``.json`` beside it."""
    np.save(path, volume.array)
    path.with_suffix(".json").write_text(json.dumps(volume.ijk_to_ras.tolist()))


def read_scan(path: Path) -> Volume:
    """The inverse of :func:`write_scan`, into memory."""
    return Volume(np.load(path), np.array(json.loads(path.with_suffix(".json").read_text())))
