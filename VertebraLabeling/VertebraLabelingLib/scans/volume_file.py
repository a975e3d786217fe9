"""Read a volume from one NIfTI, NRRD or MetaImage file.

SimpleITK reads. What a header alone tells (not a volume, color, more voxels than the file can hold, a place that is
missing or contradictory) is refused before any voxel is read; what was read is compared with the header.
"""

from __future__ import annotations

import logging
from math import prod
from pathlib import Path

from ..core.volume import Volume
from ..errors import InputError
from ..preprocessing.sitk_image import from_sitk
from .agreement import AGREE_MM, LARGEST_COSINE, corner_distance, largest_cosine
from .meta_image import read_meta_header
from .nifti import placed, read_header, sheared_axes_allowed, stored
from .nrrd import read_nrrd_header
from .stored_voxels import StoredVoxels, check_stored

logger = logging.getLogger(__name__)

MAX_VOXELS = 2**31
"""A 512 x 512 CT of 8000 slices; a header that promises more is taken as damaged."""

MAX_BYTES = 4 * MAX_VOXELS
"""The same in 32-bit numbers."""

_MAX_DEFLATE_RATIO = 1032  # the most that gzip and zlib can compress


def read_volume_file(path: Path) -> tuple[Volume, tuple[str, ...]]:
    """The volume, and what the user must know of its place.

    Raises:
        InputError: unreadable, truncated, not three-dimensional, color, or its header is damaged, does not say where
            the voxels lie, or contradicts itself or the voxels.
    """
    return _read_nifti(path) if path.name.lower().endswith((".nii", ".nii.gz")) else _read_text_header(path)


def _read_nifti(path: Path) -> tuple[Volume, tuple[str, ...]]:
    header = read_header(path)
    with sheared_axes_allowed():
        reader = open_reader(path)
        _check_header(path, reader)
        if header is None:
            raise InputError(f"{path.name} has no NIfTI header: convert the scan again.")
        _check_stored(path, stored(path, header))
        return placed(execute(path, reader), header, path.name)


def _read_text_header(path: Path) -> tuple[Volume, tuple[str, ...]]:
    """NRRD and MetaImage."""
    is_meta = path.name.lower().endswith((".mha", ".mhd"))
    header = read_meta_header(path) if is_meta else read_nrrd_header(path)  # before the library sees it
    reader = open_reader(path)
    _check_header(path, reader)
    _check_stored(path, header.voxels)
    volume, said = execute(path, reader), header.ijk_to_ras
    if largest_cosine(volume.ijk_to_ras) > LARGEST_COSINE:
        raise InputError(f"{path.name} has a damaged orientation matrix (far from right angles): export it again.")
    if said is not None and not corner_distance(said, volume.ijk_to_ras, reader.GetSize()[:3]) <= AGREE_MM:
        raise InputError(f"{path.name} is read elsewhere than its header says: export it again.")
    return volume, ()


def _check_stored(path: Path, voxels: StoredVoxels | None) -> None:
    if voxels is not None:
        check_stored(path.name, voxels, limit=MAX_BYTES)


def open_reader(path: Path, image_io: str = ""):
    """A SimpleITK reader that has read the header.

    Args:
        image_io: name of ITK's reader; that of the file's kind by default.

    Raises:
        InputError: the header cannot be read.
    """
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


def execute(path: Path, reader) -> Volume:
    """Read the voxels.

    Raises:
        InputError: they cannot be read to their end, or are no scalars in three dimensions.
    """
    try:
        return from_sitk(reader.Execute())
    except RuntimeError as error:
        logger.debug("%s: %s", path, error)
        raise InputError(
            f"{path.name} cannot be read to its end, it is truncated or damaged: export it again."
        ) from error
