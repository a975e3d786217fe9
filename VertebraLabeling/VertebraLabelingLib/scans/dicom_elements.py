"""The elements of a DICOM header, read by pydicom as they are stored. Headers are data from outside.

pydicom follows sequences, all encodings and files without a preamble. It comes with 3D Slicer and with this package and
is imported where the first DICOM file is read. Its own conversion of values is not used: it warns with the value in its
words, and that may be a patient's name.
"""

from __future__ import annotations

import io
import logging
import math
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..errors import InputError

_PIXELS = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
_DEFLATED = "1.2.840.10008.1.2.1.99"
_HEAD_BYTES, _META_BYTES = 2**15, 1024  # most headers, and all meta headers, are shorter
_ENDLESS = 0xFFFFFFFF
_IN_DIGITS = (0x00280008, 0x00200013)  # frames, instance number: two digits are no binary number

MOST_INFLATED = 2**28
"""Bytes that one deflated file may hold; a file of a megabyte can promise four gigabytes."""


class PixelElement(NamedTuple):
    """Where in a file the voxels lie: offsets of the element and of its value, and its length (None: compressed)."""

    element: int
    value: int
    length: int | None


class Header:
    """A data set, or an item of a sequence, by tag (a number)."""

    def __init__(self, dataset) -> None:
        self.dataset = dataset
        self._elements = {int(element.tag): element for element in dataset.elements()}

    def __contains__(self, tag: int) -> bool:
        return tag in self._elements

    def raw(self, tag: int) -> str:
        """A value as stored, text or binary, for comparing; empty where it is missing."""
        return str(self._elements[tag].value) if tag in self._elements else ""

    def text(self, tag: int) -> str:
        """A value as a harmless single line; empty where it is missing."""
        element = self._elements.get(tag)
        value = element.value if element is not None else None
        if value is None:
            return ""
        return _printable(value) if isinstance(value, bytes) else str(value).strip()

    def whole(self, tag: int) -> int | None:
        """A whole number: two bytes, or digits; None where it is missing or anything else."""
        element = self._elements.get(tag)
        value = element.value if element is not None else None
        if isinstance(value, bytes) and len(value) == 2 and tag not in _IN_DIGITS:
            return struct.unpack("<H" if element.is_little_endian else ">H", value)[0]
        number = numbers_of(self.text(tag), 1)
        return int(number[0]) if number else None

    def items(self, tag: int) -> list[Header]:
        """The items of a sequence.

        Raises:
            Exception: of many kinds, where it is damaged.
        """
        return [Header(item) for item in self.dataset[tag].value or ()] if tag in self._elements else []


def open_header(path: Path, tags: Sequence[int]) -> tuple[Header, PixelElement | None]:
    """The header of a file, as far as the tags.

    Returns:
        The header, and where the voxels lie; None where the header is not followed by voxels, and in deflated files.

    Raises:
        InputError: pydicom is not installed.
        Exception: of many kinds, on a damaged file.
    """
    read = partial(pydicom().dcmread, stop_before_pixels=True, specific_tags=list(tags), force=True)
    with path.open("rb") as file:
        head = io.BytesIO(file.read(_HEAD_BYTES))
        if _DEFLATED.encode() in head.getvalue()[:_META_BYTES]:
            _refuse_bomb(file)
            file.seek(0)
            return Header(read(file)), None
        dataset = read(head)  # in memory, twice as fast
        pixels = _pixels_at(head)
        if pixels is None and file.read(1):
            file.seek(0)
            dataset = read(file)
            pixels = _pixels_at(file)
        return Header(dataset), pixels


def pydicom():
    """The package.

    Raises:
        InputError: it is not installed.
    """
    try:
        import pydicom
        import pydicom.uid
    except ImportError as error:
        raise InputError("DICOM needs the package pydicom: install it with pip install pydicom.") from error
    return pydicom


def is_deflated(header: Header) -> bool:
    """All that follows the meta header is compressed, as a whole."""
    return str(header.dataset.file_meta.get("TransferSyntaxUID")) == _DEFLATED


@contextmanager
def without_words() -> Iterator[None]:
    """Nothing that pydicom says about a header reaches a stream: it may name a patient."""
    words = logging.getLogger("pydicom")
    level = words.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        words.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            words.setLevel(level)


def numbers_of(value: str, count: int) -> tuple[float, ...] | None:
    """The ``count`` finite numbers of a backslash-separated header value; ``None`` where it holds anything else."""
    try:
        values = tuple(float(part) for part in value.split("\\"))
    except ValueError:
        return None
    return values if len(values) == count and all(map(math.isfinite, values)) else None


def _refuse_bomb(file: BinaryIO) -> None:
    """Unpack a deflated file to nowhere, up to the limit; the file is left anywhere.

    Raises:
        ValueError: it holds more.
    """
    file.seek(0)
    meta = file.read(_META_BYTES)
    start = meta.find(b"\x02\x00\x00\x00UL\x04\x00")
    if start < 0:
        raise ValueError("a deflated file without the length of its meta header")
    (length,) = struct.unpack_from("<I", meta, start + 8)
    file.seek(start + 12 + length)
    inflater, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while not inflater.eof and (block := inflater.unconsumed_tail or file.read(2**16)):
        total += len(inflater.decompress(block, 2**20))
        if total > MOST_INFLATED:
            raise ValueError("a deflated file that holds too much")


def _pixels_at(file: BinaryIO) -> PixelElement | None:
    """The element with the voxels, at which the header was left; None if it is another one."""
    offset = file.tell()
    head = file.read(12)
    if len(head) < 12 or head[:4] not in _PIXELS:
        return None
    order = "<" if head[:4] == _PIXELS[0] else ">"
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    (length,) = struct.unpack_from(f"{order}I", head, 8 if explicit else 4)
    return PixelElement(offset, offset + (12 if explicit else 8), None if length == _ENDLESS else length)


def _printable(raw: bytes) -> str:
    """Header text as a harmless single line; bytes outside UTF-8 are taken as Latin-1."""
    try:
        decoded = raw.decode("utf-8")
    except UnicodeDecodeError:
        decoded = raw.decode("latin-1")
    decoded = decoded.strip("\0 ")
    if not decoded.isprintable():
        decoded = "".join(char if char.isprintable() else " " for char in decoded).strip()
    return decoded
