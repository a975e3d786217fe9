"""MetaImage and NRRD headers, as far as the C++ readers must not be trusted with them.

MetaIO ends the whole process at an absurd number of dimensions and at a ``%`` in the name of a data file, and both
readers put an identity or a zero where a number cannot be read: the vertebrae would be named at the wrong place.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from ..errors import InputError

_HEADER_BYTES = 2**16
_VECTOR = re.compile(r"\(([^()]*)\)")


def check_text_header(path: Path) -> None:
    """Refuse a MetaImage or NRRD file whose header is damaged or does not say where the voxels lie.

    Raises:
        InputError: see above. One sentence.
    """
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    if path.name.lower().endswith((".mha", ".mhd")):
        fault = _meta_fault(_fields(head, "=", "ElementDataFile"))
    else:
        fault = _nrrd_fault(_fields(head, ":", ""))
    if fault:
        raise InputError(f"{path.name} {fault}: export it again, with its geometry.")


def _fields(head: bytes, sign: str, last: str) -> dict[str, str]:
    """``name sign value`` lines up to the line ``last`` (an empty line where that is empty)."""
    fields: dict[str, str] = {}
    for line in head.decode("latin-1").splitlines():
        name, found, value = line.partition(sign)
        if found:
            fields.setdefault(name.strip(), value.lstrip("=").strip())
        if name.strip() == last:
            break
    return fields


def _meta_fault(fields: dict[str, str]) -> str:
    count = fields.get("NDims", "")
    if count not in ("1", "2", "3", "4"):
        return "has a damaged header (the number of dimensions)"
    if "%" in fields.get("ElementDataFile", ""):
        return "names its voxels by a pattern, which is not read"
    n = int(count)
    if not any(name in fields for name in ("ElementSpacing", "ElementSize")):
        return "does not say how large its voxels are"
    numbers = {"ElementSpacing": n, "ElementSize": n, "Offset": n, "Position": n, "Origin": n}
    numbers.update({"TransformMatrix": n * n, "Orientation": n * n, "Rotation": n * n})
    for name, length in numbers.items():
        if name in fields and not _are_numbers(fields[name], length):
            return f"has a damaged header ({name})"
    sizes = fields.get("ElementSpacing", fields.get("ElementSize", ""))
    return "" if min(map(float, sizes.split())) > 0 else "has voxels without a size"


def _nrrd_fault(fields: dict[str, str]) -> str:
    if "space" not in fields and "space dimension" not in fields:
        return "does not say how its axes lie in the patient"
    vectors = _VECTOR.findall(fields.get("space directions", ""))
    if sum(_is_place(vector) for vector in vectors) < 3:
        return "does not say how its axes lie in the patient"
    origin = _VECTOR.findall(fields.get("space origin", "(0,0,0)"))
    return "" if len(origin) == 1 and _is_place(origin[0]) else "has a damaged header (space origin)"


def _is_place(text: str) -> bool:
    """Three finite numbers; four in a series of one volume."""
    return _are_numbers(text, 3) or _are_numbers(text, 4)


def _are_numbers(text: str, count: int) -> bool:
    """``count`` finite numbers, separated by spaces or commas."""
    try:
        values = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        return False
    return len(values) == count and all(map(math.isfinite, values))
