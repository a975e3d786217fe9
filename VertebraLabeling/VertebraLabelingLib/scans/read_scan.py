"""Read a CT from a file (NIfTI, NRRD, MHA) or a DICOM folder. Every failure is one sentence (:class:`InputError`).

SimpleITK reads. The libraries' own messages go to the log at level DEBUG.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.volume import Volume
from ..errors import InputError
from ..preprocessing.ct_check import check_ct, to_hounsfield
from ..system.decimal_point import decimal_point
from ..system.native_output import native_output_to_log
from .dicom_headers import DICOMDIR, looks_like_dicom, readable_name
from .dicom_series import DicomSeries, choose_series, find_images, find_series
from .dicom_tree import folders_below
from .dicom_volume import read_series
from .volume_file import read_volume_file

__all__ = ["VOLUME_SUFFIXES", "Scan", "check_ct", "read_scan", "read_volume", "to_hounsfield"]

VOLUME_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
"""File names that are read as volumes; a folder is read as DICOM."""


@dataclass(frozen=True)
class Scan:
    """A volume as read, with what the reader noticed.

    Attributes:
        volume: the CT.
        notes: sentences for the user (gantry tilt, interpolated slices).
        dicom_files: the files of the series in slice order; empty for other formats.
    """

    volume: Volume
    notes: tuple[str, ...] = ()
    dicom_files: tuple[str, ...] = ()


def read_volume(path: str | os.PathLike, series: str | int | None = None) -> Volume:
    """Read a CT volume.

    Args:
        path: a NIfTI, NRRD or MetaImage file, a multi-frame DICOM file, or a folder with the files of a DICOM series,
            in it or, where it holds none, below it. A DICOMDIR stands for its folder.
        series: for a DICOM folder with several CT series, the number (or SeriesInstanceUID) of the one to read.

    Returns:
        Voxel values as stored with their rescale slope and intercept applied; world RAS mm.

    Raises:
        InputError: missing, unreadable, truncated, not three-dimensional, color, or several series and none chosen.
    """
    return read_scan(path, series).volume


def read_scan(
    path: str | os.PathLike, series: str | int | None = None, folders: Sequence[str | os.PathLike] = ()
) -> Scan:
    """As :func:`read_volume`, with the reader's notes and the DICOM files beside the volume.

    Args:
        folders: those that hold the files of a DICOM series which lies in several; ``path`` then only names it.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise InputError(f"{path} does not exist: check the path.")
        if not readable_name(path):
            raise InputError(f"The name of {path} is not valid UTF-8, so it cannot be opened: rename it.")
        with native_output_to_log(), decimal_point():
            if path.name.lower().endswith(VOLUME_SUFFIXES) and not path.is_dir():
                return Scan(*read_volume_file(path))
            chosen = dicom_series_at(path, series, folders)
            volume, notes = read_series(chosen)
            return Scan(volume, notes, chosen.files)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{path} cannot be read ({reason}): check the path and its permissions.") from error
    except MemoryError as error:
        raise InputError(f"{path} needs more memory than this computer has free: close programs or crop it.") from error


def dicom_series_at(path: Path, series: str | int | None, folders: Sequence[str | os.PathLike]) -> DicomSeries:
    """The series that is meant by a file, by a folder, or by the folders that hold it."""
    if folders:
        return choose_series(find_series(*map(Path, folders)), series, path)
    if path.name.upper() == DICOMDIR and path.is_file():
        path = path.parent  # it lists what lies in its folder
    if path.is_dir():
        found = find_series(path)
        if all(item.skipped for item in found):
            found = find_series(*folders_below(path))
        return choose_series(found, series, path)
    if not looks_like_dicom(path):
        raise InputError(f"{path.name} is none of {', '.join(VOLUME_SUFFIXES)} or a DICOM folder: convert it first.")
    found, rejected = find_images(path)
    if rejected:
        raise InputError(f"{path.name} holds no image that can be read ({rejected[0][1]}): choose or export another.")
    if len(found) == 1 and len(found[0].slices) == 1:
        raise InputError(f"{path.name} is one slice of a DICOM series: give its folder instead.")
    return choose_series(found, series, path)
