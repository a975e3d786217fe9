"""The straightened spine as a NIfTI file, and its points, which fit that file and not the scan."""

from __future__ import annotations

import os

import numpy as np

from ..core.labels import SpineLabels
from ..core.straight_spine import straight_spine
from ..core.volume import Volume
from ..formats.mrk_json import write_labels
from ..formats.nifti_mark import STRAIGHTENED
from ..preprocessing.sitk_image import to_sitk
from ..preprocessing.straight_volume import straight_volume
from ..system.atomic import atomic_path

_INT16 = np.iinfo(np.int16)


def write_straight_volume(path: str | os.PathLike, volume: Volume, labels: SpineLabels) -> None:
    """Write the scan along its spine, whole or not at all; its header says that it is none of a patient.

    Its world are the straight coordinates of :mod:`core.straight_spine`: up is minus the way from the uppermost point.

    Raises:
        InputError: the points give no curve.
        OSError: the file cannot be written.
    """
    import SimpleITK as sitk

    straight = straight_volume(volume, straight_spine(labels.points))
    array = straight.array
    if array.dtype != np.int16 and _INT16.min <= array.min() and array.max() <= _INT16.max:  # HU need no fractions
        array = np.rint(array).astype(np.int16)
    image = to_sitk(Volume(array, straight.ijk_to_ras))
    image.SetMetaData("ITK_FileNotes", STRAIGHTENED)
    with atomic_path(path) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=True)
        except RuntimeError as error:  # of SimpleITK, for whatever stops it
            raise OSError("the disk may be full or read-only") from error


def write_straight_points(path: str | os.PathLike, labels: SpineLabels) -> None:
    """Write the points at their places in that volume, in a file that says so: it is never taken for points of a scan.

    Raises:
        InputError: the points give no curve.
        OSError: the file cannot be written.
    """
    write_labels(path, straight_spine(labels.points).labels(labels), straightened=True)
