"""Read a CT from a file (NIfTI, NRRD, MHA) or a DICOM folder. Every failure is one sentence (:class:`InputError`).

SimpleITK reads. What a header alone tells (not a volume, color, more voxels than the file can hold) is refused before
any voxel is read. The libraries' own messages go to the log at level DEBUG.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from math import prod
from pathlib import Path

from ..core.volume import Volume
from ..errors import InputError
from ..preprocessing.ct_check import check_ct, to_hounsfield
from ..preprocessing.sitk_image import from_sitk
from ..system.decimal_point import decimal_point
from ..system.native_output import native_output_to_log
from .agreement import AGREE_MM, LARGEST_COSINE, corner_distance, largest_cosine
from .dicom_headers import looks_like_dicom, readable_name
from .dicom_lengths import lengths_fit
from .dicom_series import choose_series, find_series
from .dicom_volume import read_series
from .meta_image import read_meta_header
from .nifti import placed, read_header, sheared_axes_allowed, stored
from .nrrd import read_nrrd_header
from .stored_voxels import StoredVoxels, check_stored

__all__ = ["VOLUME_SUFFIXES", "Scan", "check_ct", "read_scan", "read_volume", "to_hounsfield"]

logger = logging.getLogger(__name__)

VOLUME_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
"""File names that are read as volumes; a folder is read as DICOM."""

MAX_VOXELS = 2**31
"""A 512 x 512 CT of 8000 slices; a header that promises more is taken as damaged."""

MAX_BYTES = 4 * MAX_VOXELS
"""The same in 32-bit numbers."""

_MAX_DEFLATE_RATIO = 1032  # the most that gzip and zlib can compress


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
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return _read_nifti(path)
    if name.endswith(VOLUME_SUFFIXES):
        return _read_text_header(path)
    if looks_like_dicom(path):
        return Scan(_read_multi_frame(path), dicom_files=(str(path),))
    raise InputError(f"{path.name} is none of {', '.join(VOLUME_SUFFIXES)} or a DICOM folder: convert it first.")


def _read_nifti(path: Path) -> Scan:
    header = read_header(path)
    with sheared_axes_allowed():
        reader = _reader(path)
        _check_header(path, reader)
        if header is None:
            raise InputError(f"{path.name} has no NIfTI header: convert the scan again.")
        _check_stored(path, stored(path, header))
        return Scan(*placed(_execute(path, reader), header, path.name))


def _read_text_header(path: Path) -> Scan:
    """NRRD and MetaImage."""
    is_meta = path.name.lower().endswith((".mha", ".mhd"))
    header = read_meta_header(path) if is_meta else read_nrrd_header(path)  # before the library sees it
    reader = _reader(path)
    _check_header(path, reader)
    _check_stored(path, header.voxels)
    volume, said = _execute(path, reader), header.ijk_to_ras
    if largest_cosine(volume.ijk_to_ras) > LARGEST_COSINE:
        raise InputError(f"{path.name} has a damaged orientation matrix (far from right angles): export it again.")
    if said is not None and not corner_distance(said, volume.ijk_to_ras, reader.GetSize()[:3]) <= AGREE_MM:
        raise InputError(f"{path.name} is read elsewhere than its header says: export it again.")
    return Scan(volume)


def _check_stored(path: Path, voxels: StoredVoxels | None) -> None:
    if voxels is not None:
        check_stored(path.name, voxels, limit=MAX_BYTES)


def _read_multi_frame(path: Path) -> Volume:
    if not lengths_fit(path):
        raise InputError(f"{path.name} holds fewer or more bytes than its header says: export it again.")
    reader = _reader(path, "GDCMImageIO")
    if reader.GetDimension() < 3 or reader.GetSize()[2] < 2:
        raise InputError(f"{path.name} is one slice of a DICOM series: give its folder instead.")
    return _execute(path, reader)


def _reader(path: Path, image_io: str = ""):
    """A SimpleITK reader that has read the header."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetImageIO(image_io)
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        logger.debug("%s: %s", path, error)
        if "orthonormal" in str(error):
            raise InputError(f"{path.name} has a damaged orientation matrix: convert the scan again.") from error
        raise InputError(f"{path.name} cannot be read, it is damaged or of another format: export it again.") from error
    return reader


def _check_header(path: Path, reader) -> None:
    """Refuse by the header alone what must not be read: no volume, or more voxels than the file can hold."""
    size = reader.GetSize()
    if reader.GetNumberOfComponents() != 1:
        raise InputError(f"{path.name} is a color or vector image: choose a scalar CT volume.")
    if len(size) < 3 or sum(length > 1 for length in size[:3]) < 3 or max((*size[3:], 1)) > 1:
        shape = " x ".join(map(str, size))
        raise InputError(f"{path.name} is {shape} voxels, not a three-dimensional volume: choose one whole CT series.")
    voxels = prod(size)
    if voxels > MAX_VOXELS or voxels * _bytes_per_voxel(reader) > MAX_BYTES:
        raise InputError(f"{path.name} claims {voxels:.2g} voxels, so its header is damaged: export it again.")
    if path.name.lower().endswith((".nhdr", ".mhd")):
        return  # the voxels lie in other files, which the reader checks
    if voxels > path.stat().st_size * _MAX_DEFLATE_RATIO:  # at one byte per voxel, the least there is
        raise InputError(f"{path.name} is shorter than its header says, so it is truncated: copy or export it again.")


def _bytes_per_voxel(reader) -> int:
    import SimpleITK as sitk

    try:
        return sitk.Image([1, 1, 1], reader.GetPixelIDValue()).GetSizeOfPixelComponent()
    except (RuntimeError, ValueError):  # a type that cannot be read, which reading will say
        return 1


def _execute(path: Path, reader) -> Volume:
    try:
        return from_sitk(reader.Execute())
    except RuntimeError as error:
        logger.debug("%s: %s", path, error)
        raise InputError(
            f"{path.name} cannot be read to its end, it is truncated or damaged: export it again."
        ) from error
