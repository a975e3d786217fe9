"""Disc labels of the Spinal Cord Toolbox (spinalcordtoolbox.com): an image with one voxel for each disc.

The image lies on the grid of the CT. The value of a voxel is the number of the vertebra below the disc, counted from
C1: 3 is C2/C3, 8 C7/T1, 20 T12/L1, 25 L5/S1. The voxel lies at the posterior edge of the disc, as ``sct_label_utils``
and ``sct_label_vertebrae -discfile`` expect it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from ..core.anatomy import USUAL_LEVELS
from ..core.volume import Volume, lps_affine_to_ras, ras_to_ijk
from ..errors import InputError
from ..reading.discs import Disc
from ..system.atomic import atomic_path

DISC_VALUES: dict[str, int] = {
    f"{above}/{below}": number
    for number, (above, below) in enumerate(zip(USUAL_LEVELS, (*USUAL_LEVELS[1:], "S1")), start=2)
    if number > 2
}
"""Name of a disc -> its value. Discs beside T13 or L6, or where T12 is missing, have none in this convention."""


def write_discs(path: str | os.PathLike, discs: Sequence[Disc], volume: Volume) -> tuple[str, ...]:
    """Write the image (``.nii.gz``, unsigned bytes).

    Args:
        volume: the CT, whose grid the image has.

    Returns:
        Sentences for the user: what was left out.

    Raises:
        InputError: no disc has a value or lies in the image, or the voxels are sheared.
        OSError: the file cannot be written; nothing is left behind.
    """
    axes = volume.ijk_to_ras[:3, :3] / volume.spacing
    if np.abs(axes.T @ axes - np.eye(3)).max() > 1e-3:
        raise InputError("The slices of this scan are tilted, and such a grid cannot hold disc labels: resample it.")
    values = np.zeros(volume.array.shape, dtype=np.uint8)
    unnamed = [disc.name for disc in discs if disc.name not in DISC_VALUES]
    for disc in discs:
        ijk = np.round(ras_to_ijk(volume, np.array([disc.posterior]))[0]).astype(int)
        if disc.name in DISC_VALUES and (ijk >= 0).all() and (ijk < values.shape[::-1]).all():
            values[tuple(ijk[::-1])] = DISC_VALUES[disc.name]
    if not values.any():
        raise InputError("No disc that the Spinal Cord Toolbox has a number for lies in this image: use other formats.")
    _write_image(path, values, volume)
    if not unnamed:
        return ()
    return (f"The Spinal Cord Toolbox has no number for {', '.join(unnamed)}: left out of the disc labels.",)


def _write_image(path: str | os.PathLike, values: np.ndarray, volume: Volume) -> None:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(values)
    affine = lps_affine_to_ras(volume.ijk_to_ras)  # RAS to LPS is the same map
    image.SetSpacing(volume.spacing.tolist())
    image.SetDirection((affine[:3, :3] / volume.spacing).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    with atomic_path(path) as temporary:
        sitk.WriteImage(image, str(temporary), useCompression=True)
