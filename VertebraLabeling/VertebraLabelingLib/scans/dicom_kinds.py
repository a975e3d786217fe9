"""What a DICOM file is that holds no CT image: reports and structure sets lie beside the images of a study."""

from __future__ import annotations

import struct
from collections.abc import Collection
from pathlib import Path

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_KINDS = {
    "88.67": "a radiation dose report",
    "88.68": "a radiation dose report",
    "88.73": "a radiation dose report",
    "88.76": "a radiation dose report",
    "88.59": "a key object selection",
    "88": "a structured report",
    "481.3": "an RT structure set",
    "481.2": "an RT dose",
    "481.5": "an RT plan",
    "481.8": "an RT ion plan",
    "481": "a radiotherapy record",
    "66.4": "a segmentation",
    "66": "a registration or other spatial object",
    "11": "a presentation state",
    "104": "an encapsulated document",
    "9": "a waveform",
    "67": "a real world value mapping",
    "78": "an ophthalmic measurement",
    "68": "a surface scan",
    "79": "an ophthalmic measurement",
    "80": "an ophthalmic measurement",
}
_CT = ("2", "2.1", "2.2")
_META_CLASS = (0x0002, 0x0002)
_LONG = (b"OB", b"OW", b"UN", b"SQ", b"UT")
_META_BYTES = 4096

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")


def kind_of(path: Path) -> str:
    """What a file is in words, where it is DICOM without an image; empty for images and for all that is not known.

    Only the meta header counts, which all files with a preamble have.
    """
    number = storage_class(path).removeprefix(_STORAGE)
    return _KINDS.get(number) or _KINDS.get(number.split(".")[0], "")


def may_be_ct(path: Path) -> bool:
    """Whether a DICOM file says to be a CT image, or does not say what it is."""
    number = storage_class(path)
    return not number or number.removeprefix(_STORAGE) in _CT


def storage_class(path: Path) -> str:
    """The SOP class of the meta header; empty where there is none."""
    try:
        with path.open("rb") as file:
            head = file.read(_META_BYTES)
    except OSError:
        return ""
    if head[128:132] != b"DICM":
        return ""
    at = 132
    while at + 8 <= len(head):
        group, element, kind = struct.unpack_from("<HH2s", head, at)
        long = kind in _LONG
        if group != 2 or (long and at + 12 > len(head)):
            return ""
        (length,) = struct.unpack_from("<I", head, at + 8) if long else struct.unpack_from("<H", head, at + 6)
        at += 12 if long else 8
        if (group, element) == _META_CLASS:
            return head[at : at + length].decode("ascii", "replace").strip(" \0")
        at += length
    return ""


def beside_the_series(
    folder: Path, used: Collection[str], besides: tuple[str, ...]
) -> tuple[dict[str, list[Path]], list[Path]]:
    """The DICOM files of a folder that are in no series, and the links that lead nowhere.

    Args:
        used: the files of the series that were found in the folder.
        besides: ends of names of files of other formats.

    Returns:
        What they are -> the files; and those that may be CT images and cannot be read, or are another one's copy.

    Raises:
        OSError: the folder cannot be listed.
    """
    kinds: dict[str, list[Path]] = {}
    lost: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or str(path) in used or path.name.upper() == "DICOMDIR":
            continue
        if path.is_symlink() and not path.exists():
            if not path.name.lower().endswith(besides):
                kinds.setdefault("a link whose file is missing", []).append(path)
        elif path.is_file() and (_has_magic(path) or path.suffix.lower() in DICOM_SUFFIXES):
            kind = kind_of(path)
            if kind:
                kinds.setdefault(kind, []).append(path)
            elif may_be_ct(path):
                lost.append(path)
            else:
                kinds.setdefault("a DICOM object that is no CT image", []).append(path)
    return kinds, lost


def _has_magic(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False
