"""The voxels of a DICOM series, placed by its slice positions.

A series reader assumes orthogonal, evenly spaced slices; a tilted gantry or a missing slice would move the vertebrae.
So SimpleITK/GDCM reads the pixels and the geometry is built here.
"""

from __future__ import annotations

import logging

import numpy as np

from ..core.slice_positions import check_in_line, evenly_spaced, tilt_note
from ..core.volume import Volume, lps_affine_to_ras
from ..errors import InputError
from ..preprocessing.sitk_image import from_sitk
from .dicom_series import DicomSeries

logger = logging.getLogger(__name__)

_BESIDE_MM = 2.0  # slices further from a common line are not one volume


def read_series(series: DicomSeries) -> tuple[Volume, tuple[str, ...]]:
    """Read the voxels of a series and place them by its slice positions.

    Returns:
        The volume in HU (the rescale slope and intercept are applied), and notes for the user: gantry tilt, slices
        that were missing and have been interpolated.

    Raises:
        InputError: a file is damaged, the slices do not line up, or a hole is wider than
            :data:`.slice_positions.MAX_HOLE_MM`.
    """
    import SimpleITK as sitk

    first = series.slices[0]
    if len(series.slices) == 1:
        single = sitk.ImageFileReader()
        single.SetFileName(series.files[0])
        return _execute(single, series), series.notes

    positions = np.array([item.position for item in series.slices])
    check_in_line(positions, f"series {series}", _BESIDE_MM)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(series.files)
    array = _execute(reader, series).array
    if array.shape[0] != len(series.slices):
        raise InputError(f"Series {series} mixes images of different kinds: export the series again.")
    array, step, notes = evenly_spaced(array, positions, f"series {series}")
    affine = np.eye(4)
    row, column = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    affine[:3, 0], affine[:3, 1] = row * first.pixel_spacing[1], column * first.pixel_spacing[0]
    affine[:3, 2], affine[:3, 3] = step, first.position
    notes += tilt_note(row, column, step)
    return Volume(array, lps_affine_to_ras(affine)), (*series.notes, *notes)


def _execute(reader, series: DicomSeries) -> Volume:
    """Run a SimpleITK reader; its own words go to the log."""
    reader.SetImageIO("GDCMImageIO")
    try:
        return from_sitk(reader.Execute())
    except RuntimeError as error:
        logger.debug("series %s: %s", series.uid, error)
        raise InputError(
            f"The images of series {series} cannot be read, they may be damaged: export it again."
        ) from error
