"""One DICOM file: whose it is, what kind of object, and whether its voxels are in it."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import InputError
from .dicom_elements import Header, PixelElement, is_deflated, open_header, pydicom

logger = logging.getLogger(__name__)

SHAPE_TAGS = {
    **{"samples": 0x00280002, "photometric": 0x00280004, "planes": 0x00280006, "frames": 0x00280008},
    **{"rows": 0x00280010, "columns": 0x00280011, "bits": 0x00280100, "stored": 0x00280101, "high": 0x00280102},
    **{"sign": 0x00280103},
}
"""What a decoder needs to know of the voxels."""

PLACE_TAGS = {
    **{"position": 0x00200032, "orientation": 0x00200037, "spacing": 0x00280030},
    **{"intercept": 0x00281052, "slope": 0x00281053},
}
SHARED_GROUPS, FRAME_GROUPS = 0x52009229, 0x52009230
"""The functional groups of a multi-frame object: of all frames together, and of each."""

_PATIENT_TAGS = (0x00100020, 0x00100010, 0x00100030, 0x00100040)  # identifier, name, date of birth, sex
_TEXT_TAGS = {
    **{"study": 0x0020000D, "series": 0x0020000E, "number": 0x00200011, "frame_of_reference": 0x00200052},
    **{"instance_uid": 0x00080018, "sop_class": 0x00080016, "modality": 0x00080060, "image_type": 0x00080008},
    **{"description": 0x0008103E, "concatenation": 0x00209161},
}
_PART, _PARTS = 0x00209162, 0x00209163
ORDER_TAGS = {
    **{"instance": 0x00200013, "acquisition": 0x00200012, "temporal": 0x00200100, "cardiac": 0x00209241},
    **{"trigger": 0x00181060, "kernel": 0x00181210, "time": 0x00080032},
}
"""What tells the images at one position apart."""

TAGS = (
    *(*SHAPE_TAGS.values(), *PLACE_TAGS.values(), *ORDER_TAGS.values(), SHARED_GROUPS, FRAME_GROUPS),
    *(*_PATIENT_TAGS, *_TEXT_TAGS.values(), _PART, _PARTS),
)
"""All that is looked at."""

DICOMDIR = "DICOMDIR"
"""The name of the file that lists what lies in its folder."""

DAMAGED = "damaged"
NO_IMAGE = "no image"


@dataclass(frozen=True)
class DicomFile:
    """One file.

    Attributes:
        patient: digests of identifier, name, date of birth and sex, empty where missing. No name is kept.
        study, series, number, frame_of_reference: identifiers, empty where missing.
        samples: values a voxel.
        inverted: shown with air white (MONOCHROME1); the stored values are the same.
        concatenation, part, parts: of a multi-frame object that was split over files.
        pixels: where the voxels lie; None in deflated files.
        frame_bytes: of one plane; None where compressed.
        fault: :data:`DAMAGED`, or :data:`NO_IMAGE` in a report, structure set and the like; empty for an image.
    """

    path: Path
    patient: tuple[str, ...] = ("", "", "", "")
    study: str = ""
    series: str = ""
    number: str = ""
    frame_of_reference: str = ""
    instance_uid: str = ""
    sop_class: str = ""
    modality: str = ""
    image_type: str = ""
    description: str = ""
    concatenation: str = ""
    part: int = 0
    parts: int = 0
    samples: int = 1
    inverted: bool = False
    pixels: PixelElement | None = None
    frame_bytes: int | None = None
    fault: str = ""

    @property
    def identity(self) -> tuple[str, ...]:
        """Whose series this is; images of one volume agree in it. It begins with the patient."""
        return *self.patient, self.series, self.study, self.number, self.frame_of_reference


def looks_like_dicom(path: Path) -> bool:
    """The file carries the DICOM magic, or begins with an element as old files without a preamble do."""
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except OSError:
        return False
    return head[128:132] == b"DICM" or _begins_with_element(head)


def _begins_with_element(head: bytes) -> bool:
    """The first element of group 2 or 8, in either byte order, with a type or with a length of no more than 64 kB."""
    if len(head) < 132 or head[:2] not in (b"\x02\0", b"\x08\0", b"\0\x08"):
        return False
    kind = head[4:6]
    return (kind.isalpha() and kind.isupper()) or head[6:8] == b"\0\0"


def readable_name(path: Path) -> bool:
    """The path is UTF-8: SimpleITK ends the whole process at one that is not."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def read_file(path: Path) -> tuple[DicomFile | None, Header | None]:
    """A file and its header; no header where the file has a fault, no file where it is no DICOM.

    Raises:
        InputError: pydicom is not installed.
    """
    if not readable_name(path):
        logger.debug("%s: its name is not UTF-8", ascii(path))
        return _faulty(DicomFile(path), None), None
    try:
        header, pixels = open_header(path, TAGS)
        file = _file(path, header)
        shape = {name: header.whole(SHAPE_TAGS[name]) for name in ("samples", "rows", "columns", "bits")}
        frames = max(header.whole(SHAPE_TAGS["frames"]) or 1, 1)
    except InputError:
        raise
    except Exception as error:  # pydicom raises many kinds on a damaged file
        logger.debug("%s: %s", path, type(error).__name__)
        return _faulty(DicomFile(path), None), None
    if not (_as_many_voxels(path, pixels, shape, frames) if pixels else is_deflated(header)):
        return _faulty(file, shape["rows"]), None
    plain = pixels is not None and pixels.length is not None and None not in shape.values()
    size = _row_bytes(shape) * shape["rows"] if plain else None
    inverted = header.text(SHAPE_TAGS["photometric"]).upper() == "MONOCHROME1"
    file = replace(file, samples=shape["samples"] or 1, inverted=inverted, pixels=pixels, frame_bytes=size)
    return file, header


def _file(path: Path, header: Header) -> DicomFile:
    names = [header.text(tag).strip(" ^").casefold() for tag in _PATIENT_TAGS]
    told = {name: header.text(tag) for name, tag in _TEXT_TAGS.items()}
    told["sop_class"] = told["sop_class"] or str(header.dataset.file_meta.get("MediaStorageSOPClassUID", ""))
    told["image_type"], told["description"] = told["image_type"].upper(), told["description"][:60]
    return DicomFile(
        path,
        tuple(hashlib.sha256(name.encode()).hexdigest()[:16] if name else "" for name in names),
        part=header.whole(_PART) or 0,
        parts=header.whole(_PARTS) or 0,
        **told,
    )


def _faulty(file: DicomFile, rows: int | None) -> DicomFile | None:
    """A file without usable voxels: damaged where it is an image by its kind; None where nothing says it is DICOM."""
    with file.path.open("rb") as stream:
        magic = stream.read(132)[128:] == b"DICM"
    if not magic and not file.sop_class:
        return None
    image = rows is not None or not file.sop_class or "Image" in pydicom().uid.UID(file.sop_class).name
    return replace(file, fault=DAMAGED if image else NO_IMAGE)


def _as_many_voxels(path: Path, pixels: PixelElement, shape: dict[str, int | None], frames: int) -> bool:
    """Whether the voxels lie in the file and fill rows, columns and frames; true where these are not known.

    GDCM reads what is there: with fewer or more voxels the picture would be cut or sheared. Less than a row more is
    padding, and so is any number of zeros.
    """
    if pixels.length is None:
        return True
    end = pixels.value + pixels.length
    if end > path.stat().st_size:
        return False
    if None in shape.values() or shape["bits"] not in (8, 16, 32):
        return True
    row = _row_bytes(shape)
    more = pixels.length - row * shape["rows"] * frames
    if more < max(row, 2):
        return more >= 0
    with path.open("rb") as file:
        file.seek(end - more)
        return not any(file.read(more))


def _row_bytes(shape: dict[str, int]) -> int:
    return shape["columns"] * shape["samples"] * shape["bits"] // 8
