"""The header of an NRRD file (.nrrd, .nhdr)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .stored_voxels import BZIP2, DEFLATED, RAW, StoredVoxels
from .text_header import (
    MILLIMETERS,
    NO_AXES,
    OTHER_UNIT,
    TextHeader,
    are_numbers,
    numbers,
    read_lines,
    refuse,
    voxel_file,
)

_VECTOR = re.compile(r"\(([^()]*)\)")
_UNIT = re.compile(r'"([^"]*)"|(\S+)')
_WORLD = {
    **dict.fromkeys(("right-anterior-superior", "ras"), (1.0, 1.0, 1.0)),
    **dict.fromkeys(("left-anterior-superior", "las"), (-1.0, 1.0, 1.0)),
    **dict.fromkeys(("left-posterior-superior", "lps"), (-1.0, -1.0, 1.0)),
}
"""Signs that turn each of NRRD's spaces of a patient into RAS; the others do not say where left and front are."""

_BYTES = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"), 1),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), 2),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), 2),
    **dict.fromkeys(
        ("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t", "float"), 4
    ),
    **dict.fromkeys(("longlong", "long long", "int64", "int64_t", "ulonglong", "uint64", "uint64_t", "double"), 8),
}
_ENCODINGS = {"raw": RAW, "gzip": DEFLATED, "gz": DEFLATED, "bzip2": BZIP2, "bz2": BZIP2}
_WHOLE = re.compile(r"[0-9]{1,18}")


def read_nrrd_header(path: Path) -> TextHeader:
    """Read the header of an NRRD file.

    Raises:
        InputError: it is damaged, does not say where the voxels lie, is not in millimeters, or the file with the voxels
            is missing. One sentence.
    """
    fields, length = read_lines(path, ":", "")
    refuse(path, _fault(fields))
    return TextHeader(_affine(fields), _voxels(path, fields, length))


def _voxels(path: Path, fields: Mapping[str, str], header_bytes: int) -> StoredVoxels | None:
    name = fields.get("data file", fields.get("datafile", ""))
    if name.startswith("LIST") or "%" in name:
        return None
    file = voxel_file(path, name) if name else path
    size = fields.get("sizes", "").split()
    width, encoding = _BYTES.get(fields.get("type", "").lower(), 0), _ENCODINGS.get(fields.get("encoding", "").lower())
    skipped = any(f"{what}{gap}skip" in fields for what in ("line", "byte") for gap in ("", " "))
    if not width or encoding is None or not all(map(_WHOLE.fullmatch, size)) or skipped:
        return None
    return StoredVoxels(file, [int(length) for length in size], width, 0 if name else header_bytes, encoding)


def _fault(fields: Mapping[str, str]) -> str:
    if _is_flat(fields):
        return ""
    if _space(fields) not in _WORLD:
        return NO_AXES
    vectors = _VECTOR.findall(fields.get("space directions", ""))
    origin = _VECTOR.findall(fields.get("space origin", "(0,0,0)"))
    if not _has_time(fields) and max((vector.count(",") for vector in (*vectors, *origin)), default=0) > 2:
        return "writes its numbers with decimal commas"
    if sum(_is_place(vector) for vector in vectors) < 3:
        return NO_AXES
    if not set(_units(fields.get("space units", "")) + _units(fields.get("units", ""))) <= MILLIMETERS:
        return OTHER_UNIT
    return "" if len(origin) == 1 and _is_place(origin[0]) else "has a damaged header (space origin)"


def _affine(fields: Mapping[str, str]) -> np.ndarray | None:
    if _is_flat(fields):
        return None
    signs = np.array(_WORLD[_space(fields)])
    vectors = [numbers(vector)[:3] for vector in _VECTOR.findall(fields["space directions"])][:3]
    origin = numbers(_VECTOR.findall(fields.get("space origin", "(0,0,0)"))[0])[:3]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = np.transpose(vectors) * signs[:, None], origin * signs
    return affine


def _is_flat(fields: Mapping[str, str]) -> bool:
    return fields.get("dimension") in ("1", "2")


def _has_time(fields: Mapping[str, str]) -> bool:
    return fields.get("space", "").lower() != _space(fields)


def _space(fields: Mapping[str, str]) -> str:
    """The space of the three axes of a patient; that of a series has time as a fourth."""
    space = fields.get("space", "").lower()
    return space[:3] if space in ("rast", "last", "lpst") else space.removesuffix("-time")


def _units(text: str) -> list[str]:
    return [(quoted or bare).strip().lower() for quoted, bare in _UNIT.findall(text)]


def _is_place(text: str) -> bool:
    """Three finite numbers; four in a series of one volume."""
    return are_numbers(text, 3) or are_numbers(text, 4)
