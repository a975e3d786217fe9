"""The voxels of a DICOM series, placed by its slice positions.

A series reader assumes orthogonal, evenly spaced slices; a tilted gantry or a missing slice would move the vertebrae.
So SimpleITK/GDCM reads the pixels (:mod:`dicom_pixels`) and the geometry is built here.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from ..core.slice_positions import evenly_spaced, tilt_note
from ..core.volume import Volume, lps_affine_to_ras
from ..errors import InputError
from .agreement import LARGEST_COSINE, largest_cosine
from .dicom_pixels import read_planes
from .dicom_series import DicomSeries
from .dicom_stacks import LINE_UP_MM, edges

_LEAP_HU = 300.0
"""Neighboring slices whose rescale differs may differ by less, in the median: noise and anatomy, not 1024."""

_STRANGER = 1.2
"""Of two interleaved scans the next slice differs from a slice more, by this factor, than the one after it does. In 87
real CT the factor is 0.2 to 0.7."""

_LEAP = 3.5
"""Times the usual change from slice to slice. In 20 real CT the largest is 1.2 to 2.7, from one patient to another 4.4
and more."""

_TISSUE_HU = -300.0  # a slice without any is blank, as an anonymizer or an export leaves it
_FEW = 8  # slices that have no usual change


def read_series(series: DicomSeries) -> tuple[Volume, tuple[str, ...]]:
    """Read the voxels of a series and place them by its slice positions.

    Returns:
        The volume in HU (rescale slope and intercept of each slice are applied), and notes for the user: gantry tilt,
        slices that were missing and have been interpolated.

    Raises:
        InputError: a file is damaged, the slices do not line up, are shifted farther than by a tilted gantry or do not
            continue each other, their rescale is missing in part, or a hole is wider than
            :data:`.slice_positions.MAX_HOLE_MM`.
    """
    if series.fault:
        raise InputError(f"Series {series} {series.fault}.")
    _check_rescale(series)
    affine, steps = _grid(series)
    if largest_cosine(affine) > LARGEST_COSINE:
        raise InputError(
            f"The slices of series {series} are shifted along themselves, as no gantry does: export it again."
        )
    array = _voxels(series)
    leaps = _check_continuity(array, steps, series)
    positions = np.array([frame.position for frame in series.slices])
    array, affine[:3, 2], notes = evenly_spaced(array, positions, f"series {series}")
    notes += leaps
    notes += tilt_note(affine[:3, 0], affine[:3, 1], affine[:3, 2])
    return Volume(array, lps_affine_to_ras(affine)), (*series.notes, *notes)


def _check_rescale(series: DicomSeries) -> None:
    """Refuse a series of which only some slices say how their values become HU; none, or no change, is a habit."""
    stored = [frame.rescale for frame in series.slices]
    without = stored.count(None)
    if 0 < without < len(stored) and set(stored) - {None, (1.0, 0.0)}:
        raise InputError(
            f"{without} of {len(stored)} images of series {series} lack the rescale slope and intercept that the "
            "others have, so their values are unknown: export the series again."
        )


def _grid(series: DicomSeries) -> tuple[np.ndarray, np.ndarray]:
    """(4, 4) LPS affine with the mean step, and (N-1, 3) steps from slice to slice, LPS mm.

    Raises:
        InputError: a corner of a slice lies beside the grid, so they are not one volume.
    """
    positions = np.array([frame.position for frame in series.slices])
    sides = np.array([edges(frame) for frame in series.slices])
    rows, columns = series.slices[0].shape
    line = positions[-1] - positions[0]
    line = line / np.linalg.norm(line)
    row, column = sides.mean(axis=0)
    for corner in product((0, 1), (0, 1)):
        beside = positions + corner @ sides - (positions[0] + corner @ np.array([row, column]))
        beside -= ((positions - positions[0]) @ line)[:, None] * line
        if np.linalg.norm(beside, axis=1).max() > LINE_UP_MM:
            raise InputError(f"The slices of series {series} do not line up: export the series again.")
    affine = np.eye(4)
    steps = np.diff(positions, axis=0)
    affine[:3, 0], affine[:3, 1], affine[:3, 3] = row / columns, column / rows, positions[0]
    affine[:3, 2] = steps.mean(axis=0)
    return affine, steps


def _voxels(series: DicomSeries) -> np.ndarray:
    """(N, rows, columns) in the order of the slices; each file is decoded once.

    Raises:
        InputError: a file is damaged, or holds other planes than its header says.
    """
    slices = series.slices
    of_file: dict[str, list[int]] = {}
    for number, frame in enumerate(slices):
        of_file.setdefault(str(frame.file.path), []).append(number)
    out = None
    for numbers in of_file.values():
        frames = [slices[number] for number in numbers]
        planes = read_planes(frames, frames[0].file)
        if planes.shape[1:] != frames[0].shape or len(planes) <= max(frame.index for frame in frames):
            raise InputError(f"{frames[0].file.path.name} holds other images than its header says: export it again.")
        if len(numbers) == len(slices) == len(planes) and all(slices[k].index == k for k in range(len(slices))):
            return planes  # one file in order: no copy
        dtype = np.dtype(np.float32) if planes.dtype.kind == "f" else planes.dtype
        if out is None:
            out = np.empty((len(slices), *frames[0].shape), dtype)
        if not np.can_cast(dtype, out.dtype):
            out = out.astype(np.result_type(dtype, out.dtype))
        for number, frame in zip(numbers, frames):
            out[number] = planes[frame.index]
    return out


def _check_continuity(array: np.ndarray, steps: np.ndarray, series: DicomSeries) -> list[str]:
    """Look whether each slice goes on where the one before it ended.

    Returns:
        A note where there is one leap between slices at the usual distance, as between two patients.

    Raises:
        InputError: the slices are of two scans, or have a rescale that is not theirs.
    """
    sample = array[:, :: max(1, array.shape[1] // 64), :: max(1, array.shape[2] // 64)].astype(np.float32)
    change = np.abs(np.diff(sample, axis=0)).reshape(len(sample) - 1, -1)
    rescale = [frame.rescale for frame in series.slices]
    rescaled = [k for k in range(len(change)) if rescale[k] != rescale[k + 1]]
    if rescaled and np.median(np.median(change[rescaled], axis=1)) > _LEAP_HU:
        raise InputError(
            f"The values of series {series} leap where the rescale of its images changes, so one of them is wrong: "
            "export the series again."
        )
    if len(sample) < _FEW:
        return []
    change = change.mean(axis=1)
    after_next = np.abs(sample[2:] - sample[:-2]).reshape(len(sample) - 2, -1).mean(axis=1)
    if np.median(change) > _STRANGER * np.median(after_next) + 1.0:
        raise InputError(
            f"Neighboring slices of series {series} do not continue each other, as if two scans were mixed: "
            "export each scan on its own."
        )
    lengths = np.linalg.norm(steps, axis=1)
    blank = sample.reshape(len(sample), -1).max(axis=1) < _TISSUE_HU
    usual = (lengths < 1.5 * np.median(lengths)) & ~blank[1:] & ~blank[:-1]
    if change[usual].max(initial=0.0) > _LEAP * np.median(change) + 1.0:
        return [f"The picture of series {series} leaps between two slices: check that it shows one patient and scan."]
    return []
