"""The voxels of a DICOM series, placed by its slice positions.

A series reader assumes orthogonal, evenly spaced slices; a tilted gantry or a missing slice would move the vertebrae.
So SimpleITK/GDCM reads the pixels and the geometry is built here.
"""

from __future__ import annotations

import logging

import numpy as np

from ..core.volume import Volume, lps_affine_to_ras
from ..errors import InputError
from ..preprocessing.sitk_image import from_sitk
from .dicom_series import DicomSeries

logger = logging.getLogger(__name__)

MAX_HOLE_MM = 15.0
"""A wider hole between slices could hide a whole vertebra, so the count would be wrong."""

_TILT_WORTH_A_NOTE_DEG = 0.5


def read_series(series: DicomSeries) -> tuple[Volume, tuple[str, ...]]:
    """Read the voxels of a series and place them by its slice positions.

    Returns:
        The volume in HU (the rescale slope and intercept are applied), and notes for the user: gantry tilt, slices
        that were missing and have been interpolated.

    Raises:
        InputError: a file is damaged, the slices do not line up, or a hole is wider than :data:`MAX_HOLE_MM`.
    """
    import SimpleITK as sitk

    first = series.slices[0]
    if len(series.slices) == 1:
        single = sitk.ImageFileReader()
        single.SetFileName(series.files[0])
        return _execute(single, series), series.notes

    steps = _slice_steps(series)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(series.files)
    array = _execute(reader, series).array
    if array.shape[0] != len(series.slices):
        raise InputError(f"Series {series} mixes images of different kinds: export the series again.")
    array, step, notes = _evenly_spaced(array, steps, series)
    affine = np.eye(4)
    row, column = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    affine[:3, 0], affine[:3, 1] = row * first.pixel_spacing[1], column * first.pixel_spacing[0]
    affine[:3, 2], affine[:3, 3] = step, first.position
    tilt = np.degrees(np.arccos(np.clip(abs(np.cross(row, column) @ step) / np.linalg.norm(step), 0, 1)))
    if tilt > _TILT_WORTH_A_NOTE_DEG:
        notes.append(f"The gantry is tilted by {tilt:.0f} degrees; positions take it into account.")
    return Volume(array, lps_affine_to_ras(affine)), (*series.notes, *notes)


def _slice_steps(series: DicomSeries) -> np.ndarray:
    """(N-1, 3) steps from slice to slice, LPS mm.

    Raises:
        InputError: the slices leave a common straight line, so they are not one volume.
    """
    positions = np.array([item.position for item in series.slices])
    start, line = positions[0], positions[-1] - positions[0]
    line = line / np.linalg.norm(line)
    beside = positions - start - ((positions - start) @ line)[:, None] * line
    if np.linalg.norm(beside, axis=1).max() > 2.0:
        raise InputError(f"The slices of series {series} do not line up: export the series again.")
    return np.diff(positions, axis=0)


def _evenly_spaced(
    array: np.ndarray, steps: np.ndarray, series: DicomSeries
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The array on slices of one distance, interpolating where slices are missing or the distance changes.

    Returns:
        (K', J, I) array, (3,) step between slices in LPS mm, notes.
    """
    lengths = np.linalg.norm(steps, axis=1)
    along = np.concatenate(([0.0], np.cumsum(lengths)))
    even = np.linspace(0.0, along[-1], len(along))
    direction = steps.sum(axis=0) / np.linalg.norm(steps.sum(axis=0))
    usual = float(np.median(lengths))
    if np.abs(along - even).max() <= min(0.25 * usual, 1.0):
        return array, direction * along[-1] / (len(along) - 1), []
    widest = float(lengths.max())
    if widest > MAX_HOLE_MM and widest > 1.5 * usual:
        raise InputError(
            f"Series {series} has a hole of {widest:.0f} mm between slices, so vertebrae may be missing: "
            "export the complete series again."
        )
    count = round(along[-1] / usual) + 1
    wanted = np.linspace(0.0, along[-1], count)
    above = np.clip(np.searchsorted(along, wanted), 1, len(along) - 1)
    weight = (wanted - along[above - 1]) / lengths[above - 1]
    out = np.empty((count, *array.shape[1:]), dtype=np.result_type(array.dtype, np.int16))
    for k, (upper, share) in enumerate(zip(above, weight)):
        mixed = array[upper - 1] * (1.0 - share) + array[upper] * share
        out[k] = np.round(mixed) if out.dtype.kind in "iu" else mixed
    note = (
        f"The slices of series {series} are not evenly spaced ({lengths.min():.1f} to {widest:.1f} mm, "
        "slices may be missing): they were interpolated, so check the levels there."
    )
    return out, direction * along[-1] / (count - 1), [note]


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
