"""Volumes from and to SimpleITK images, which hold LPS."""

from __future__ import annotations

import numpy as np

from ..core.volume import Volume, lps_affine_to_ras
from ..errors import InputError


class _SharedBuffer:
    """Keeps an image alive as long as an array looks at its voxels; SimpleITK's own array view does not."""

    def __init__(self, image, view: np.ndarray) -> None:
        self._image = image
        self.__array_interface__ = view.__array_interface__


def shared_array(image) -> np.ndarray:
    """The voxels of a SimpleITK image, (K, J, I), shared and not copied."""
    import SimpleITK as sitk

    return np.asarray(_SharedBuffer(image, sitk.GetArrayViewFromImage(image)))


def from_sitk(image) -> Volume:
    """A SimpleITK image (LPS) as a :class:`Volume` (RAS). The voxel buffer is shared, not copied.

    Raises:
        InputError: the image is not a 3-D scalar image.
    """
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError("The image has color or vector voxels: choose a scalar CT volume.")
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    if image.GetDimension() != 3:
        raise InputError(f"The image has {image.GetDimension()} dimensions: choose one three-dimensional CT volume.")
    affine, direction = np.eye(4), np.array(image.GetDirection()).reshape(3, 3)
    if not np.allclose(np.linalg.norm(direction, axis=0), 1.0, atol=0.01):
        raise InputError("The image has a damaged orientation matrix: export the scan again.")
    affine[:3, :3] = direction * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return Volume(shared_array(image), lps_affine_to_ras(affine))


def to_sitk(volume: Volume):
    """The inverse of :func:`from_sitk`: a SimpleITK image in LPS. The direction matrix must be free of shear."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array))
    affine = lps_affine_to_ras(volume.ijk_to_ras)
    image.SetSpacing(volume.spacing.tolist())
    image.SetDirection((affine[:3, :3] / volume.spacing).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    return image
