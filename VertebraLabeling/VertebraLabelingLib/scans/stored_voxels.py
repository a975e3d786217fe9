"""Do the voxels in a file fill the sizes that its header gives? The libraries say nothing where they do not.

NIfTI is filled up with zeros, MetaImage with whatever was in memory, and of a file that holds more than its header says
the first voxels are taken, line after line at the wrong place where a row is longer than it says.
"""

from __future__ import annotations

import bz2
import gzip
import logging
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError

logger = logging.getLogger(__name__)

RAW, DEFLATED, BZIP2 = "raw", "deflated", "bzip2"
"""Encodings that can be checked; gzip and zlib both are :data:`DEFLATED`."""

_BLOCK = 2**22


@dataclass(frozen=True)
class StoredVoxels:
    """Where a file keeps its voxels.

    Attributes:
        path: the file.
        size: voxels along each axis.
        bytes_per_voxel: of one voxel.
        offset: bytes in the file before them, or before their compressed form.
        encoding: :data:`RAW`, :data:`DEFLATED` or :data:`BZIP2`.
        compressed_bytes: length of the compressed form where the header says it.
        before: unpacked bytes before the first voxel.
    """

    path: Path
    size: Sequence[int]
    bytes_per_voxel: int
    offset: int = 0
    encoding: str = RAW
    compressed_bytes: int | None = None
    before: int = 0

    @property
    def promised(self) -> int:
        """Bytes up to the last voxel, from ``offset`` and unpacked."""
        return self.before + math.prod(max(1, length) for length in self.size) * self.bytes_per_voxel

    @property
    def thinnest_layer(self) -> int:
        """Bytes of the smallest layer one voxel thick: what is too long by less is padded, not of another size."""
        return math.prod(sorted(max(1, length) for length in self.size[:3])[:2]) * self.bytes_per_voxel


def check_stored(name: str, voxels: StoredVoxels, limit: int) -> None:
    """Refuse a file that ends before its header says, or goes on. Compressed voxels are unpacked to nowhere (300 MB/s).

    Unpacking stops where the header's promise is kept, so a bomb behind a small header costs nothing.

    Args:
        name: of the file that the user gave.
        limit: bytes after which unpacking stops whatever the header promises.

    Raises:
        InputError: truncated, longer by a layer of voxels or more, or the compressed data are damaged.
    """
    too_long = voxels.promised + max(voxels.thinnest_layer, 1)
    length = _length(name, voxels, min(too_long, limit))
    if length < min(voxels.promised, limit):
        raise InputError(f"{name} is shorter than its header says, so it is truncated: copy or export it again.")
    if too_long <= min(length, limit):
        raise InputError(f"{name} holds more voxels than its header says: export it again.")


def _length(name: str, voxels: StoredVoxels, most: int) -> int:
    """Unpacked bytes, counted up to ``most``."""
    if voxels.encoding == RAW:
        return voxels.path.stat().st_size - voxels.offset
    length = 0
    try:
        for block in _unpacked(voxels):
            length += len(block)
            if length >= most:
                break
    except (EOFError, OSError, zlib.error) as error:
        logger.debug("%s: %s", voxels.path, error)
        raise InputError(f"{name} is truncated or damaged: copy or export it again.") from error
    return length


def _unpacked(voxels: StoredVoxels) -> Iterator[bytes]:
    with voxels.path.open("rb") as file:
        file.seek(voxels.offset)
        if voxels.compressed_bytes is None:
            with (bz2 if voxels.encoding == BZIP2 else gzip).open(file) as packed:
                yield from iter(lambda: packed.read(_BLOCK), b"")
            return
        unpacker, left = zlib.decompressobj(wbits=47), voxels.compressed_bytes  # 47: zlib and gzip
        while not unpacker.eof:
            read = file.read(min(_BLOCK, left))
            if not read:
                raise EOFError("the compressed data end too early")
            left -= len(read)
            while read and not unpacker.eof:
                yield unpacker.decompress(read, _BLOCK)
                read = unpacker.unconsumed_tail
