"""What SimpleITK lets pass in a NIfTI file, or refuses without need.

Its reader fills what a truncated file lacks with zeros and says nothing, and it refuses axes that are not orthogonal,
although the sform of a scan with tilted gantry rightly has such axes.
"""

from __future__ import annotations

import gzip
import logging
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..core.volume import Volume
from ..errors import InputError

logger = logging.getLogger(__name__)

_LARGEST_HEADER = 540
_PERMISSIVE = "ITK_NIFTI_SFORM_PERMISSIVE"


def check_complete(path: Path, limit: int) -> None:
    """Refuse a file that ends before its header says. A ``.gz`` is unpacked once to nowhere (300 MB/s).

    Unpacking stops where the header's promise is kept, so a bomb behind a small header costs nothing.

    Args:
        limit: bytes after which unpacking stops whatever the header promises.

    Raises:
        InputError: truncated, or the compressed data are damaged.
    """
    if path.name.lower().endswith(".gz"):
        head, length = _unpacked(path, limit)
    else:
        with path.open("rb") as file:
            head, length = file.read(_LARGEST_HEADER), path.stat().st_size
    expected = promised_bytes(head)
    if expected is not None and length < min(expected, limit):
        raise InputError(f"{path.name} is shorter than its header says, so it is truncated: copy or export it again.")
    _check_geometry(path.name, head)


def _check_geometry(name: str, head: bytes) -> None:
    """Refuse a NIfTI-1 header that ITK would take for another than it is.

    ITK reads a file without signature as Analyze (no orientation), voxels from wherever ``vox_offset`` says, and takes
    the voxel size from ``pixdim``, 1 mm where that is no number, even where the sform says something else.

    Raises:
        InputError: see above.
    """
    if len(head) < _LARGEST_HEADER or 540 in struct.unpack_from("<i", head) + struct.unpack_from(">i", head):
        return
    order = "<" if struct.unpack_from("<h", head, 40)[0] in range(1, 8) else ">"
    magic = head[344:348]
    if magic not in (b"n+1\0", b"ni1\0"):
        raise InputError(f"{name} has no NIfTI signature, so its orientation is unknown: convert the scan again.")
    offset = struct.unpack_from(order + "f", head, 108)[0]
    if magic == b"n+1\0" and not 352 <= offset < 2**31:
        raise InputError(f"{name} has a damaged header (vox_offset): convert the scan again.")
    sizes = np.array(struct.unpack_from(order + "3f", head, 80), dtype=float)
    sform = np.array(struct.unpack_from(order + "12f", head, 280), dtype=float).reshape(3, 4)
    if not np.isfinite(sizes).all() or (sizes <= 0).any():
        raise InputError(f"{name} does not say how large its voxels are: convert the scan again.")
    lengths = np.linalg.norm(sform[:, :3], axis=0)
    if struct.unpack_from(order + "h", head, 254)[0] <= 0 or _is_sheared(sform):
        return  # the qform counts, or with_sheared_axes() takes the sform as it is
    if not np.isfinite(sform).all():
        raise InputError(f"{name} has a damaged orientation matrix: convert the scan again.")
    if not np.allclose(lengths, sizes, rtol=0.01):
        raise InputError(f"{name} gives two different sizes of its voxels (pixdim, sform): convert the scan again.")


def promised_bytes(head: bytes) -> int | None:
    """Size of the (unpacked) file that a NIfTI-1 or NIfTI-2 header promises; ``None`` where it is no such header."""
    if len(head) < _LARGEST_HEADER:
        return None
    for order in "<>":
        size = struct.unpack_from(order + "i", head)[0]
        if size == 348:
            dims = struct.unpack_from(order + "8h", head, 40)
            bits, offset = struct.unpack_from(order + "h", head, 72)[0], struct.unpack_from(order + "f", head, 108)[0]
        elif size == 540:
            dims = struct.unpack_from(order + "8q", head, 16)
            bits, offset = struct.unpack_from(order + "h", head, 14)[0], struct.unpack_from(order + "q", head, 168)[0]
        else:
            continue
        voxels = 1
        for length in dims[1 : 1 + max(0, min(dims[0], 7))]:
            voxels *= max(1, length)
        return int(offset) + voxels * bits // 8 if 0 <= offset < 2**24 and bits > 0 else None
    return None


def _unpacked(path: Path, limit: int) -> tuple[bytes, int]:
    try:
        with gzip.open(path) as file:
            head = file.read(_LARGEST_HEADER)
            length, wanted = len(head), min(promised_bytes(head) or 0, limit)
            while length <= wanted and (block := file.read(2**22)):  # one read beyond the end tests the checksum
                length += len(block)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        logger.debug("%s: %s", path, error)
        raise InputError(f"{path.name} is truncated or damaged: copy or download it again.") from error
    return head, length


@contextmanager
def sheared_axes_allowed() -> Iterator[None]:
    """Let ITK read an sform with sheared axes; :func:`with_sheared_axes` then puts the true axes back."""
    before = os.environ.get(_PERMISSIVE)
    os.environ[_PERMISSIVE] = "ON"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_PERMISSIVE]
        else:
            os.environ[_PERMISSIVE] = before


def with_sheared_axes(volume: Volume, reader) -> Volume:
    """The volume with the axes of its sform where these are sheared: ITK keeps the nearest orthogonal ones instead.

    Args:
        reader: the SimpleITK reader that read the volume; it holds the header's ``srow_x`` to ``srow_z`` (RAS mm).
    """
    try:
        rows = [[float(value) for value in reader.GetMetaData(f"srow_{axis}").split()] for axis in "xyz"]
        code = int(reader.GetMetaData("sform_code"))
    except (RuntimeError, ValueError):
        return volume
    sform = np.vstack((rows, (0.0, 0.0, 0.0, 1.0)))
    return Volume(volume.array, sform) if code > 0 and _is_sheared(sform) else volume


def _is_sheared(sform: np.ndarray) -> bool:
    """Whether the axes of a sound sform are not at right angles."""
    lengths = np.linalg.norm(sform[:3, :3], axis=0)
    if not np.isfinite(sform).all() or lengths.min() < 1e-3:
        return False
    cosines = sform[:3, :3] / lengths
    return not np.allclose(cosines.T @ cosines, np.eye(3), atol=1e-3)
