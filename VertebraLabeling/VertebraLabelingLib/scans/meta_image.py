"""The header of a MetaImage (.mha, .mhd).

MetaIO ends the whole process at an absurd number of dimensions and at a ``%`` in the name of a data file; where
compressed voxels cannot be unpacked it leaves what was in memory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..core.volume import lps_affine_to_ras
from .agreement import unit_columns
from .stored_voxels import DEFLATED, RAW, StoredVoxels
from .text_header import (
    MILLIMETERS,
    NO_AXES,
    OTHER_UNIT,
    TextHeader,
    are_numbers,
    first_of,
    numbers,
    read_lines,
    refuse,
    voxel_file,
)

_SIZES = ("elementspacing", "elementsize")
_MATRIX = ("transformmatrix", "rotation", "orientation")
_ORIGIN = ("offset", "position", "origin")
_SIDES = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}  # axis and sign in RAS
_ALONG_COSINE = 0.3  # ITK names axes by the nearest sides; the last one gets what is left, at worst at a cosine of 1/3
_BYTES = {"CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "FLOAT": 4, "DOUBLE": 8}
_WHOLE = re.compile(r"[0-9]{1,18}")


def read_meta_header(path: Path) -> TextHeader:
    """Read the header of a MetaImage.

    Raises:
        InputError: it is damaged, does not say where the voxels lie, contradicts itself, is not in millimeters, or the
            file with the voxels is missing. One sentence.
    """
    fields, length = read_lines(path, "=", "elementdatafile")
    refuse(path, _fault(fields))
    return TextHeader(_affine(fields), _voxels(path, fields, length))


def _voxels(path: Path, fields: Mapping[str, str], header_bytes: int) -> StoredVoxels | None:
    name = fields.get("elementdatafile", "")
    local = name.upper() == "LOCAL"
    if not name or name.upper().startswith("LIST"):
        return None
    file = path if local else voxel_file(path, name)
    size = fields.get("dimsize", "").split()
    width = _BYTES.get(fields.get("elementtype", "").removeprefix("MET_"), 0)
    as_text = fields.get("binarydata", "").lower() in ("false", "0")
    if as_text or not width or not all(map(_WHOLE.fullmatch, size)) or fields.get("headersize", "0") != "0":
        return None
    packed = fields.get("compresseddata", "").lower() in ("true", "1")
    if packed and not _WHOLE.fullmatch(fields.get("compresseddatasize", "")):
        refuse(path, "does not say how long its compressed voxels are (CompressedDataSize)")
    return StoredVoxels(
        file,
        [int(length) for length in size],
        width,
        header_bytes if local else 0,
        DEFLATED if packed else RAW,
        int(fields["compresseddatasize"]) if packed else None,
    )


def _fault(fields: Mapping[str, str]) -> str:
    count = fields.get("ndims", "")
    if count not in ("1", "2", "3", "4"):
        return "has a damaged header (the number of dimensions)"
    if "%" in fields.get("elementdatafile", ""):
        return "names its voxels by a pattern, which is not read"
    n = int(count)
    if not first_of(fields, *_SIZES):
        return "does not say how large its voxels are"
    for names, length in ((_SIZES, n), (_ORIGIN, n), (_MATRIX, n * n)):
        for name in names:
            if name in fields and not are_numbers(fields[name], length):
                return f"has a damaged header ({name})"
    for names in (_ORIGIN, _MATRIX):
        if len({tuple(numbers(fields[name])) for name in names if name in fields}) > 1:
            return "says two different things of where it lies"
    if min(numbers(first_of(fields, *_SIZES))) <= 0:
        return "has voxels without a size"
    if fields.get("distanceunits", "").strip('"').lower() not in MILLIMETERS:
        return OTHER_UNIT
    return _anatomy_fault(fields, _affine(fields)) if n == 3 else ""


def _anatomy_fault(fields: Mapping[str, str], ijk_to_ras: np.ndarray) -> str:
    """Letters of the axes that contradict the matrix: the sides where they begin or, as some write, where they end."""
    letters = fields.get("anatomicalorientation", "").upper()
    known = len(letters) == 3 and all(len(set(letters) & set(pair)) == 1 for pair in ("LR", "AP", "IS"))
    if not known:
        return "" if first_of(fields, *_MATRIX) else NO_AXES
    columns = unit_columns(ijk_to_ras).T
    along = [column[axis] * sign for column, (axis, sign) in zip(columns, map(_SIDES.get, letters))]
    if min(along) > _ALONG_COSINE or max(along) < -_ALONG_COSINE:
        return ""
    return "says two different things of how its axes lie in the patient"


def _affine(fields: Mapping[str, str]) -> np.ndarray | None:
    n = int(fields["ndims"])
    if n < 3:
        return None
    axes = np.array(numbers(first_of(fields, *_MATRIX)) or np.eye(n)).reshape(n, n).T[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = axes * numbers(first_of(fields, *_SIZES))[:3]
    affine[:3, 3] = (numbers(first_of(fields, *_ORIGIN)) or [0.0] * n)[:3]
    return lps_affine_to_ras(affine)
