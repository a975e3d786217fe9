"""Read a CT from a file (NIfTI, NRRD, MHA) or a DICOM folder. Every failure is one sentence (:class:`InputError`).

SimpleITK reads. The libraries' own messages go to the log at level DEBUG.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..core.volume import Volume
from ..errors import InputError
from ..preprocessing.ct_check import check_ct, to_hounsfield
from ..system.decimal_point import decimal_point
from ..system.native_output import native_output_to_log
from .dicom_headers import looks_like_dicom, readable_name
from .dicom_lengths import lengths_fit
from .dicom_series import choose_series, find_series
from .dicom_volume import read_series
from .volume_file import execute, open_reader, read_volume_file

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
        path: a NIfTI, NRRD or MetaImage file, or a folder with the files of a DICOM series.
        series: for a DICOM folder with several CT series, the number (or SeriesInstanceUID) of the one to read.

    Returns:
        Voxel values as stored with their rescale slope and intercept applied; world RAS mm.

    Raises:
        InputError: missing, unreadable, truncated, not three-dimensional, color, or several series and none chosen.
    """
    return read_scan(path, series).volume


def read_scan(path: str | os.PathLike, series: str | int | None = None) -> Scan:
    """As :func:`read_volume`, with the reader's notes and the DICOM files beside the volume."""
    path = Path(path)
    try:
        if not path.exists():
            raise InputError(f"{path} does not exist: check the path.")
        if not readable_name(path):
            raise InputError(f"The name of {path} is not valid UTF-8, so it cannot be opened: rename it.")
        with native_output_to_log(), decimal_point():
            if not path.is_dir():
                return _read_file(path)
            chosen = choose_series(find_series(path), series, path)
            volume, notes = read_series(chosen)
            return Scan(volume, notes, chosen.files)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{path} cannot be read ({reason}): check the path and its permissions.") from error
    except MemoryError as error:
        raise InputError(f"{path} needs more memory than this computer has free: close programs or crop it.") from error


def _read_file(path: Path) -> Scan:
    if path.name.lower().endswith(VOLUME_SUFFIXES):
        return Scan(*read_volume_file(path))
    if looks_like_dicom(path):
        return Scan(_read_multi_frame(path), dicom_files=(str(path),))
    raise InputError(f"{path.name} is none of {', '.join(VOLUME_SUFFIXES)} or a DICOM folder: convert it first.")


def _read_multi_frame(path: Path) -> Volume:
    if not lengths_fit(path):
        raise InputError(f"{path.name} holds fewer or more bytes than its header says: export it again.")
    reader = open_reader(path, "GDCMImageIO")
    if reader.GetDimension() < 3 or reader.GetSize()[2] < 2:
        raise InputError(f"{path.name} is one slice of a DICOM series: give its folder instead.")
    return execute(path, reader)
