"""The header of one DICOM image, as far as sorting images into volumes needs it. Headers are data from outside."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .dicom_lengths import lengths_fit

logger = logging.getLogger(__name__)

_SUFFIXES = ("", ".dcm", ".dicom", ".ima")


@dataclass(frozen=True)
class SliceHeader:
    """What is needed of one file's header; ``position`` and ``orientation`` are LPS, None where the header has none."""

    path: Path
    instance_uid: str
    series_uid: str
    sop_class: str
    modality: str
    image_type: str
    number: str
    description: str
    acquisition: str
    instance: int
    frames: int
    samples: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, ...] | None


def looks_like_dicom(path: Path) -> bool:
    """The file carries the DICOM magic, or has no suffix that says otherwise (old files lack the magic)."""
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except OSError:
        return False
    return head[128:132] == b"DICM" or (len(head) == 132 and path.suffix.lower() in _SUFFIXES)


def readable_name(path: Path) -> bool:
    """The path is UTF-8: SimpleITK ends the whole process at one that is not."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def read_header(path: Path) -> SliceHeader | None:
    """The header of an image file; ``None`` for reports, structure sets, damaged files and anything else."""
    import SimpleITK as sitk

    if not readable_name(path) or not lengths_fit(path):
        logger.debug("%s: its name is not UTF-8, or its lengths do not fit", ascii(path))
        return None

    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        logger.debug("%s: %s", path, error)
        return None

    def tag(name: str) -> str:
        return _printable(reader.GetMetaData(name)) if reader.HasMetaDataKey(name) else ""

    return SliceHeader(
        path=path,
        instance_uid=tag("0008|0018"),
        series_uid=tag("0020|000e"),
        sop_class=tag("0008|0016"),
        modality=tag("0008|0060"),
        image_type=tag("0008|0008").upper(),
        number=tag("0020|0011"),
        description=tag("0008|103e")[:60],
        acquisition=tag("0020|0012"),
        instance=int((numbers_of(tag("0020|0013"), 1) or (0,))[0]),
        frames=int((numbers_of(tag("0028|0008"), 1) or (1,))[0]),
        samples=reader.GetNumberOfComponents(),
        position=numbers_of(tag("0020|0032"), 3),
        orientation=numbers_of(tag("0020|0037"), 6),
        pixel_spacing=numbers_of(tag("0028|0030"), 2),
    )


def _printable(text: str) -> str:
    """Header text as a harmless single line; bytes outside UTF-8 are taken as Latin-1."""
    raw = text.encode("utf-8", "surrogateescape")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return "".join(char if char.isprintable() else " " for char in text).strip()


def numbers_of(text: str, count: int) -> tuple[float, ...] | None:
    """The ``count`` finite numbers of a backslash-separated header value; ``None`` where it holds anything else."""
    try:
        values = tuple(float(part) for part in text.split("\\"))
    except ValueError:
        return None
    return values if len(values) == count and np.isfinite(values).all() else None
