"""What MetaImage and NRRD have in common: a header of lines, which their C++ readers must not be trusted with.

Both readers put an identity or a zero where a number cannot be read, take any unit for millimeters, and axes that
nobody described for those of DICOM: the vertebrae would be named at the wrong place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from .stored_voxels import StoredVoxels

NO_AXES = "does not say how its axes lie in the patient"
OTHER_UNIT = "gives its geometry in another unit than millimeters, which Slicer takes for millimeters"
MILLIMETERS = frozenset(("", "?", "???", "mm", "millimeter", "millimeters", "millimetre", "millimetres"))

_HEADER_BYTES = 2**16


@dataclass(frozen=True)
class TextHeader:
    """What a sound header says.

    Attributes:
        ijk_to_ras: (4, 4) voxel indices to RAS mm; ``None`` where there are fewer than three axes.
        voxels: where they are stored; ``None`` where that cannot be checked.
    """

    ijk_to_ras: np.ndarray | None
    voxels: StoredVoxels | None = None


def read_lines(path: Path, sign: str, last: str) -> tuple[dict[str, str], int]:
    """``name sign value`` lines, names in lower case, and the bytes up to the end of the header.

    Args:
        last: name of the last line; the header ends at an empty line where that is empty.
    """
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    fields: dict[str, str] = {}
    length = 0
    for line in head.split(b"\n"):
        length += len(line) + 1
        name, found, value = line.decode("utf-8", "surrogateescape").partition(sign)
        name = name.strip().lower()
        if found:
            fields.setdefault(name, value.lstrip("=").strip())
        if name == last:
            break
    return fields, length


def refuse(path: Path, fault: str) -> None:
    """Say what is wrong with a header; nothing happens where ``fault`` is empty.

    Raises:
        InputError: one sentence.
    """
    if fault:
        raise InputError(f"{path.name} {fault}: export it again, with its geometry.")


def voxel_file(path: Path, name: str) -> Path:
    """The file beside the header that holds the voxels.

    Raises:
        InputError: it is missing.
    """
    file = path.parent / name
    try:
        if file.exists() or "%" in name:  # a pattern, which the library resolves
            return file
    except (OSError, ValueError):  # a name that no file can have
        pass
    raise InputError(f"{path.name} keeps its voxels in {name}, which is missing: copy it beside the header.")


def first_of(fields: Mapping[str, str], *names: str) -> str:
    """The value of the first of these fields that is there; an empty text where none is."""
    return next((fields[name] for name in names if name in fields), "")


def are_numbers(text: str, count: int) -> bool:
    """``count`` finite numbers, separated by spaces or commas."""
    try:
        values = numbers(text)
    except ValueError:
        return False
    return len(values) == count and all(map(math.isfinite, values))


def numbers(text: str) -> list[float]:
    """Numbers separated by spaces or commas, with a decimal point in every locale."""
    return [float(part) for part in text.replace(",", " ").split()]
