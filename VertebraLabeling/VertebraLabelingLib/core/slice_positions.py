"""Slices that lie where each of them says: as one volume with evenly spaced slices, or why they are none.

A tilted gantry moves every slice by the same step, which an affine holds. Slices that are missing, or spaced unevenly,
are interpolated.
"""

from __future__ import annotations

import numpy as np

from ..errors import InputError

MAX_HOLE_MM = 15.0
"""A wider hole between slices could hide a whole vertebra, so the count would be wrong."""

MAX_DISTANCE_MM = 12.0
"""Between slices. From 12.5 mm on a vertebra of the neck may lie between two: levels of a real CT were off by one."""

_DISTANCE_WORTH_A_NOTE_MM = 8.0  # the tests compare labels with those of thinner slices up to here
_TILT_WORTH_A_NOTE_DEG = 0.5


def check_in_line(positions: np.ndarray, name: str, most_mm: float) -> None:
    """Raise InputError unless slices (K, 3), mm, lie on a straight line, each at most ``most_mm`` beside it."""
    start, line = positions[0], positions[-1] - positions[0]
    line = line / max(float(np.linalg.norm(line)), np.finfo(float).tiny)
    beside = positions - start - ((positions - start) @ line)[:, None] * line
    if not np.linalg.norm(beside, axis=1).max() <= most_mm or (np.diff(positions, axis=0) @ line <= 0).any():
        raise InputError(f"The slices of {name} do not line up: export the series again.")


def evenly_spaced(
    array: np.ndarray, positions: np.ndarray, name: str, most_mm: float = 1.0
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The voxels on slices of one distance, interpolating where slices are missing or the distance changes.

    Args:
        array: (K, J, I) voxels.
        positions: (K, 3) place of the first voxel of each slice, mm; along a line (:func:`check_in_line`).
        name: of the scan, for the words of errors; notes go along with the result, e.g. into reports, and bear none.
        most_mm: slices are left as they are where none is further from its even place, nor than a quarter of a step.

    Returns:
        (K', J, I) array, the same one where nothing was interpolated; (3,) step between slices in mm; notes for the
        user.

    Raises:
        InputError: a hole is wider than :data:`MAX_HOLE_MM`.
    """
    steps = np.diff(positions, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    along = np.concatenate(([0.0], np.cumsum(lengths)))
    even = np.linspace(0.0, along[-1], len(along))
    direction = steps.sum(axis=0) / np.linalg.norm(steps.sum(axis=0))
    usual = float(np.median(lengths))
    if np.abs(along - even).max() <= min(0.25 * usual, most_mm):
        return array, direction * along[-1] / (len(along) - 1), []
    widest = float(lengths.max())
    if widest > MAX_HOLE_MM and widest > 1.5 * usual:
        raise InputError(
            f"There is a hole of {widest:.0f} mm between slices of {name}, so vertebrae may be missing: "
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
        f"The slices are not evenly spaced ({lengths.min():.1f} to {widest:.1f} mm, "
        "slices may be missing): they were interpolated, so check the levels there."
    )
    return out, direction * along[-1] / (count - 1), [note]


def distance_note(spacing: np.ndarray) -> list[str]:
    """What the user is told of slices that lie far apart.

    Args:
        spacing: (3,) voxel size along any axes, mm.

    Raises:
        InputError: a vertebra may lie between two slices.
    """
    widest = float(np.max(spacing))
    if widest > MAX_DISTANCE_MM:
        raise InputError(
            f"The slices of this volume are {widest:.3g} mm apart, so vertebrae may be missing between them: "
            f"choose a series with slices at most {MAX_DISTANCE_MM:.0f} mm apart."
        )
    if widest > _DISTANCE_WORTH_A_NOTE_MM:
        return [f"The slices are {widest:.3g} mm apart: points may be off by some millimeters, so check the levels."]
    return []


def tilt_note(row: np.ndarray, column: np.ndarray, step: np.ndarray) -> list[str]:
    """What the user is told of a tilted gantry: (3,) directions of rows, columns and slice to slice, any length."""
    normal = np.cross(row, column)
    cosine = abs(normal @ step) / (np.linalg.norm(normal) * np.linalg.norm(step))
    tilt = np.degrees(np.arccos(np.clip(cosine, 0, 1)))
    if not tilt > _TILT_WORTH_A_NOTE_DEG:
        return []
    return [f"The gantry is tilted by {tilt:.0f} degrees; positions take it into account."]
