"""The voxels of single files: read by GDCM, from the file itself or from a bare copy of it.

GDCM applies the first rescale that it finds to every frame of a file, and SimpleITK refuses a spacing of zero, wherever
in the header it stands, and inverts the values of pictures that are shown with air white. Then GDCM is given the voxels
with nothing but their layout, in a temporary file without any data of the patient, and the rescale of each plane is
applied here.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..preprocessing.sitk_image import shared_array
from .dicom_elements import open_header
from .dicom_frames import Frame, read_frames
from .dicom_headers import SHAPE_TAGS, DicomFile

logger = logging.getLogger(__name__)

_GROUPS_READ = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")  # Enhanced CT, and converted to it
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_IMPLICIT, _EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
_UNTYPED_BYTES = 8  # of an element before its value, where its type is not stored
_SAMPLE_BYTES = 4096


def read_planes(frames: Sequence[Frame], file: DicomFile) -> np.ndarray:
    """All planes of one file in HU.

    Args:
        frames: those of the file that are wanted.

    Returns:
        (N, rows, columns), N as many as the file has.

    Raises:
        InputError: the file is damaged. One sentence.
        OSError: there is no room for a copy.
    """
    rescale = {frame.rescale for frame in read_frames(file.path)[1]}  # of all frames, whichever are wanted
    if not file.inverted and len(rescale) == 1 and (file.sop_class in _GROUPS_READ or not frames[0].grouped):
        try:
            return _execute(file.path)
        except RuntimeError as error:
            logger.debug("%s: %s", file.path, error)
    with tempfile.TemporaryDirectory(prefix="voxels") as folder:
        try:
            stored = _execute(_bare_copy(file, Path(folder) / "voxels.dcm"))
        except OSError:
            raise
        except Exception as error:  # GDCM, or pydicom on a damaged header
            logger.debug("%s: %s", file.path, error)
            raise InputError(f"{file.path.name} cannot be read, it may be damaged: export the series again.") from error
    return _rescaled(stored, frames)


def _execute(path: Path) -> np.ndarray:
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    array = shared_array(reader.Execute())
    if array.ndim != 3:
        raise RuntimeError(f"{array.ndim} dimensions")
    return array


def _rescaled(stored: np.ndarray, frames: Sequence[Frame]) -> np.ndarray:
    """The stored values of the wanted frames in HU, in the smallest type that holds them; other frames are empty."""
    pairs = {frame.index: frame.rescale or (1.0, 0.0) for frame in frames}
    ends = [
        slope * float(end) + intercept
        for index, (slope, intercept) in pairs.items()
        for end in (stored[index].min(), stored[index].max())
    ]
    dtype = np.dtype(np.float32)
    if all(float(number).is_integer() for pair in pairs.values() for number in pair):
        dtype = np.result_type(np.int16, np.min_scalar_type(-int(max(-min(ends), max(ends) + 1))))
    out = np.zeros(stored.shape, dtype if dtype.itemsize <= 4 else np.float32)
    for index, (slope, intercept) in pairs.items():
        out[index] = stored[index] * slope + intercept
    return out


def _bare_copy(file: DicomFile, target: Path) -> Path:
    """The voxels of a file as stored, with nothing but their layout."""
    from pydicom.dataset import FileDataset, FileMetaDataset

    if file.pixels is None:
        raise ValueError("a deflated file")
    header = open_header(file.path, tuple(SHAPE_TAGS.values()))[0].dataset
    meta = FileMetaDataset()
    typed = file.pixels.value - file.pixels.element > _UNTYPED_BYTES
    meta.TransferSyntaxUID = header.file_meta.get("TransferSyntaxUID") or (_EXPLICIT if typed else _IMPLICIT)
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = _SECONDARY_CAPTURE, "2.25.1"
    bare = FileDataset(str(target), {}, file_meta=meta, preamble=bytes(128))
    bare.SOPClassUID, bare.SOPInstanceUID = _SECONDARY_CAPTURE, "2.25.1"
    for tag in SHAPE_TAGS.values():
        if tag in header:
            bare.add(header[tag])
    if file.inverted:
        bare.PhotometricInterpretation = "MONOCHROME2"
    bare.save_as(target)
    with file.path.open("rb") as source, target.open("ab") as copy:
        source.seek(file.pixels.element)
        shutil.copyfileobj(source, copy, 2**20)
    return target


def same_pixels(one: Frame, other: Frame) -> bool:
    """Whether two planes store the same voxels with the same rescale; the middle is compared first."""
    if one.rescale != other.rescale or one.file.frame_bytes != other.file.frame_bytes:
        return False
    spans = _span(one), _span(other)
    if None in spans or spans[0][2] != spans[1][2]:
        return False
    return _bytes_of(*spans[0], True) == _bytes_of(*spans[1], True) and _bytes_of(*spans[0]) == _bytes_of(*spans[1])


def _span(frame: Frame) -> tuple[Path, int, int] | None:
    """File, offset and length of a plane as stored; None where it cannot be told from others."""
    pixels, size = frame.file.pixels, frame.file.frame_bytes
    if pixels is None:
        return None
    if size is not None:
        return frame.file.path, pixels.value + frame.index * size, size
    if frame.multi:
        return None
    return frame.file.path, pixels.value, frame.file.path.stat().st_size - pixels.value


def _bytes_of(path: Path, offset: int, length: int, sample: bool = False) -> bytes:
    if sample and length > _SAMPLE_BYTES:
        offset, length = offset + length // 2, _SAMPLE_BYTES
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)
