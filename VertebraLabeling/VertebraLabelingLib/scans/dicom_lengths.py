"""Whether what a DICOM file promises is in it, looked up before GDCM allocates what the lengths say.

A file of a kilobyte can promise four gigabytes in one element. And where the stored voxels are fewer or more than rows
and columns say, GDCM reads what is there, and the picture is sheared or cut.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_IMPLICIT, _EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_ENDLESS = 0xFFFFFFFF
_ITEMS = 0xFFFE
_SYNTAX, _PIXELS = (0x0002, 0x0010), (0x7FE0, 0x0010)
_FRAMES = (0x0028, 0x0008)
_SHAPE = {"samples": (0x0028, 0x0002), "rows": (0x0028, 0x0010), "columns": (0x0028, 0x0011), "bits": (0x0028, 0x0100)}


def lengths_fit(path: Path) -> bool:
    """Whether every element up to the voxels ends within the file, and the voxels are as many as the header says.

    Files in other encodings than little endian are left to GDCM, and so is whatever cannot be followed.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(132)[128:] != b"DICM":
            return True
        return _walk(file, size)


def _walk(file: BinaryIO, size: int) -> bool:
    """Element after element, into sequences; only the first value of each tag counts (icons have rows too)."""
    values: dict[tuple[int, int], bytes] = {}
    explicit, syntax = True, ""
    while len(head := file.read(8)) == 8:
        tag = struct.unpack("<HH", head[:4])
        if tag[0] > 2 and not syntax:
            syntax = values.get(_SYNTAX, _EXPLICIT.encode()).decode("latin-1").strip("\0 ") or _EXPLICIT
            if syntax == f"{_EXPLICIT}.99" or syntax == "1.2.840.10008.1.2.2":
                return True
            explicit = syntax != _IMPLICIT
        if tag[0] == _ITEMS:
            continue
        kind, length = _kind_and_length(file, head, explicit)
        if length is None:
            return True
        if tag == _PIXELS:
            return syntax not in (_IMPLICIT, _EXPLICIT) or length == _ENDLESS or _as_many_voxels(values, length)
        if length == _ENDLESS or kind == b"SQ":
            continue
        if file.tell() + length > size:
            return False
        if tag in (_SYNTAX, _FRAMES, *_SHAPE.values()):
            values.setdefault(tag, file.read(length))
        else:
            file.seek(length, 1)
    return True


def _kind_and_length(file: BinaryIO, head: bytes, explicit: bool) -> tuple[bytes, int | None]:
    """Value representation and length of an element; no length where the bytes are no element."""
    if not explicit:
        return b"", struct.unpack("<I", head[4:])[0]
    kind = head[4:6]
    if not (kind.isalpha() and kind.isupper()):
        return kind, None
    if kind not in _LONG:
        return kind, struct.unpack("<H", head[6:])[0]
    more = file.read(4)
    return kind, struct.unpack("<I", more)[0] if len(more) == 4 else None


def _as_many_voxels(values: dict[tuple[int, int], bytes], length: int) -> bool:
    """Whether the voxels fill rows, columns and frames, to less than a row; true where these are not known."""
    try:
        shape = {name: struct.unpack("<H", values[tag])[0] for name, tag in _SHAPE.items()}
        frames = int(values.get(_FRAMES, b"1").strip(b"\0 ") or 1)
    except (KeyError, struct.error, ValueError):
        return True
    if shape["bits"] not in (8, 16, 32):
        return True
    row = shape["columns"] * shape["samples"] * shape["bits"] // 8
    wanted = row * shape["rows"] * frames
    return wanted <= length < wanted + max(row, 2)
