"""Files that end early, files with other bytes in them, files that are not what their names say, and bombs."""

from __future__ import annotations

import gzip
import random
import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from bad_nifti import content, patched, put
from cases import EITHER, REFUSED, Case, ct
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha")
CUTS = (0, 1, 10, 100, 340, 348, 352, 400, 0.25, 0.5, 0.9, -1)
"""Where a file ends: bytes, a share, or bytes from its end."""

OTHER_CONTENT = {
    "empty": b"",
    "one zero": b"\0",
    "zeros": bytes(100_000),
    "0xFF": b"\xff" * 100_000,
    "text": b"This is not an image.\n" * 100,
    "HTML": b"<html><script>alert(1)</script></html>",
    "JSON": b'{"markups": []}',
    "pickle": b"\x80\x04\x95\x1e\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94.",
    "zip": b"PK\x03\x04" + bytes(1000),
    "gzip of nothing": gzip.compress(b""),
    "gzip of text": gzip.compress(b"hello" * 1000),
    "gzip of gzip": gzip.compress(gzip.compress(bytes(1000))),
    "DICOM magic only": bytes(128) + b"DICM",
    "ELF": b"\x7fELF" + bytes(1000),
    "MATLAB": b"MATLAB 5.0 MAT-file" + bytes(200),
}

ZEROS = 2**24
MEMBERS = 256
"""A bomb of 256 members of 16 MB: 4 GB from about 4 MB."""


def cut(suffix: str, where: float, folder: Path) -> Path:
    """The phantom up to a place."""
    data = content(suffix)
    end = int(where * len(data)) if isinstance(where, float) else where
    return put(folder, f"a{suffix}", data[:end])


def mutated(suffix: str, seed: int, folder: Path) -> Path:
    """The phantom with one to eight bytes changed, most of them in the header."""
    data, chance = bytearray(content(suffix)), random.Random(seed)
    header = {".nii": 352, ".nii.gz": 60, ".nrrd": 500, ".mha": 400}[suffix]
    for _ in range(chance.randint(1, 8)):
        end = header if chance.random() < 0.8 else len(data)
        data[chance.randrange(end)] = chance.choice((0, 255, 127, 128, chance.randrange(256)))
    return put(folder, f"a{suffix}", bytes(data))


def spliced(suffix: str, seed: int, folder: Path) -> Path:
    """The phantom with a piece of it moved elsewhere, so that all that follows is shifted."""
    data, chance = content(suffix), random.Random(seed)
    start, length, target = chance.randrange(400), chance.randint(1, 64), chance.randrange(400)
    piece, rest = data[start : start + length], data[:start] + data[start + length :]
    return put(folder, f"a{suffix}", rest[:target] + piece + rest[target:])


@lru_cache(maxsize=1)
def _zeros_member() -> bytes:
    return gzip.compress(bytes(ZEROS), 9)


def gzip_bomb(folder: Path, datatype=4, bits=16, dims=(28, 32, 16)) -> Path:
    """A .nii.gz whose header is that of a CT and which unpacks to 4 GB."""
    header = bytearray(content(".nii")[:352])
    struct.pack_into("<3h", header, 42, *dims)
    struct.pack_into("<2h", header, 70, datatype, bits)
    return put(folder, "a.nii.gz", gzip.compress(bytes(header)) + _zeros_member() * MEMBERS)


def deflated(count: int) -> bytes:
    """A zlib stream of ``count`` times 16 MB of zeros, made without unpacking it; its checksum is wrong."""
    compressor = zlib.compressobj(9)
    first = compressor.compress(bytes(ZEROS)) + compressor.flush(zlib.Z_FULL_FLUSH)
    block = compressor.compress(bytes(ZEROS)) + compressor.flush(zlib.Z_FULL_FLUSH)
    return first + block * (count - 1) + compressor.flush()


def meta_bomb(folder: Path, size: str = "28 32 16") -> Path:
    """A compressed MetaImage whose voxels unpack to 4 GB."""
    voxels = deflated(MEMBERS)
    head = (
        f"ObjectType = Image\nNDims = 3\nBinaryData = True\nCompressedData = True\nCompressedDataSize = {len(voxels)}\n"
        f"DimSize = {size}\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    )
    return put(folder, "a.mha", head.encode() + voxels)


def nrrd_bomb(folder: Path, size: str = "28 32 16") -> Path:
    """A gzip-encoded NRRD whose voxels unpack to 4 GB."""
    head = f"NRRD0004\ntype: short\ndimension: 3\nsizes: {size}\nendian: little\nencoding: gzip\n\n"
    return put(folder, "a.nrrd", head.encode() + _zeros_member() * MEMBERS)


def rewrapped(suffix: str, other: str, folder: Path) -> Path:
    """A sound file under the name of another format."""
    return put(folder, f"a{other}", content(suffix))


def analyze(folder: Path) -> Path:
    """The two files of Analyze 7.5 and NIfTI pairs, which this program does not read."""
    sitk.WriteImage(to_sitk(ct()), str(folder / "a.hdr"))
    return folder / "a.img"


def nifti_of(voxels: np.ndarray, folder: Path) -> Path:
    """Any SimpleITK pixel type in the geometry of the phantom."""
    path = folder / "a.nii"
    sitk.WriteImage(sitk.GetImageFromArray(voxels, isVector=voxels.ndim > 3), str(path))
    return path


def cases() -> Iterator[Case]:
    """All cases of this kind."""
    for suffix in SUFFIXES:
        for where in CUTS:
            yield Case(f"{suffix} cut at {where}", partial(cut, suffix, where), REFUSED)
        for seed in range(60):
            yield Case(f"{suffix} mutated {seed}", partial(mutated, suffix, seed), EITHER, long=seed >= 8)
            yield Case(f"{suffix} spliced {seed}", partial(spliced, suffix, seed), EITHER, long=seed >= 4)
        for name, data in OTHER_CONTENT.items():
            yield Case(f"{suffix} holding {name}", partial(_holding, suffix, data), REFUSED)
    for suffix, other in (
        (".nii", ".nii.gz"),
        (".nii.gz", ".nii"),
        (".nrrd", ".mha"),
        (".mha", ".nii"),
        (".nii", ".png"),
    ):
        yield Case(f"{suffix} named {other}", partial(rewrapped, suffix, other))
    yield Case("Analyze pair", analyze, REFUSED)
    yield Case("nifti of float16 marked as int16", partial(patched, {"bitpix": 16, "datatype": 4}))
    yield Case("bomb .nii.gz", gzip_bomb, REFUSED)
    yield Case("bomb .nii.gz of 17 GB", partial(gzip_bomb, datatype=64, bits=64, dims=(1290, 1290, 1290)), REFUSED)
    yield Case("bomb .mha", meta_bomb, REFUSED)
    yield Case("bomb .nrrd", nrrd_bomb, REFUSED)


def _holding(suffix: str, data: bytes, folder: Path) -> Path:
    return put(folder, f"a{suffix}", data)
