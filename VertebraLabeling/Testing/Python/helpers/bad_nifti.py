"""NIfTI files with damaged, contradictory or unusual headers. Offsets and types are those of ``nifti1.h``."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from cases import EITHER, REFUSED, RIGHT, Case, ct
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk

NAN, INF = float("nan"), float("inf")

FIELDS = {
    "sizeof_hdr": (0, "<i"),
    "dim": (40, "<h"),
    "dim1": (42, "<h"),
    "dim2": (44, "<h"),
    "dim3": (46, "<h"),
    "dim4": (48, "<h"),
    "dim5": (50, "<h"),
    "intent_code": (68, "<h"),
    "datatype": (70, "<h"),
    "bitpix": (72, "<h"),
    "qfac": (76, "<f"),
    "pixdim1": (80, "<f"),
    "pixdim2": (84, "<f"),
    "pixdim3": (88, "<f"),
    "vox_offset": (108, "<f"),
    "scl_slope": (112, "<f"),
    "scl_inter": (116, "<f"),
    "xyzt_units": (123, "<b"),
    "cal_max": (124, "<f"),
    "qform_code": (252, "<h"),
    "sform_code": (254, "<h"),
    "quatern_b": (256, "<f"),
    "qoffset_x": (268, "<f"),
    "magic": (344, "<4s"),
    "extension": (348, "<4s"),
}

REFUSED_VALUES = {
    "dim": (-1, 0, 1, 2, 8, 100, -32768, 32767),
    "dim1": (0, -1, 1, 32767, -32768),
    "dim2": (0, -1, 1, 32767, -32768),
    "dim3": (0, -1, 1, 32767, -32768, 200),
    "datatype": (0, 1, 32, 128, 1792, 2048, 2304, 9999, -1),
    "scl_slope": (1e30,),
    "vox_offset": (1e9, -1e9, 100_000.0, 0.0, -1.0, 3.0, 348.0, NAN, INF),
    "magic": (b"\0\0\0\0", b"abcd"),
    "pixdim1": (0.0, -3.0, NAN, INF, -INF, 1e-30, 1e30, 2.0),
    "pixdim2": (0.0, -3.0, NAN, INF, 1e-30, 1e30),
    "pixdim3": (0.0, -4.0, NAN, INF, 1e-30, 1e30, 1.0),
    "xyzt_units": (1, 3),
}
"""Each of these makes the file something else than a CT volume."""

HARMLESS_VALUES = {
    "sizeof_hdr": (0, -1, 1, 347, 349, 2**31 - 1, -(2**31)),
    "magic": (b"ni1\0",),
    "dim5": (0, -1, 1, 7, 32767),
    "intent_code": (-1, 1, 1002, 32767),
    "bitpix": (0, -16, 8, 12, 32, 32767),
    "cal_max": (NAN, INF, -1e30),
    "qform_code": (0, -5, 4, 9999),
    "extension": (b"\1\0\0\0", b"\xff\xff\xff\xff"),
}
"""Each of these stands beside what decides, or says nothing of it: refusal and the right answer are both honest."""

UNITS_AND_CODES = {
    "qfac": (0.0, NAN, 5.0),
    "xyzt_units": (0, 7, 127),
    "sform_code": (0, -5, 9999),
    "quatern_b": (NAN, INF, 5.0, -2.0),
    "qoffset_x": (NAN, INF, 1e30),
    "scl_inter": (NAN, INF, -INF, 1e30),
    "dim4": (0, -1, 1, 2, 32767),
    "scl_slope": (0.0, NAN, INF, -1.0, 1e-30),
}

SFORMS = {
    "zeros": np.zeros((3, 4)),
    "NaN": np.full((3, 4), NAN),
    "infinite": np.full((3, 4), INF),
    "flat": np.array([[1.0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]),
    "one column zero": np.array([[3.0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 4, 0]]),
    "two equal columns": np.array([[3.0, 3, 0, 0], [0, 0, 0, 0], [0, 0, 4, 0]]),
    "1e-20": np.eye(4)[:3] * 1e-20,
    "1e30": np.eye(4)[:3] * 1e30,
    "NaN origin": np.array([[3.0, 0, 0, NAN], [0, 3, 0, 0], [0, 0, 4, 0]]),
}


@lru_cache(maxsize=4)
def content(suffix: str) -> bytes:
    """The phantom as a sound file."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        sitk.WriteImage(to_sitk(ct()), str(path))
        return path.read_bytes()


def put(folder: Path, name: str, data: bytes) -> Path:
    """Write a file; returns its path."""
    path = folder / name
    path.write_bytes(data)
    return path


def patched(values: dict[str, object], folder: Path, suffix: str = ".nii") -> Path:
    """The phantom with header fields overwritten."""
    data = bytearray(content(".nii"))
    for field, value in values.items():
        offset, layout = FIELDS[field]
        struct.pack_into(layout, data, offset, value)
    raw = bytes(data)
    return put(folder, f"a{suffix}", gzip.compress(raw) if suffix.endswith(".gz") else raw)


def with_sform(rows: np.ndarray, folder: Path) -> Path:
    """The phantom with another sform and no qform."""
    data = bytearray(content(".nii"))
    struct.pack_into("<2h", data, 252, 0, 1)
    struct.pack_into("<12f", data, 280, *np.asarray(rows, dtype=float).ravel())
    return put(folder, "a.nii", bytes(data))


def big_endian(folder: Path) -> Path:
    """The same file as an old workstation would write it: every number the other way round."""
    data = content(".nii")
    header = bytearray(data[:352])
    layouts = ((0, "i"), (40, "8h"), (56, "3f"), (68, "4h"), (76, "8f"), (108, "3f"), (120, "h"), (124, "4f"))
    for offset, layout in (*layouts, (252, "2h"), (256, "6f"), (280, "12f")):
        struct.pack_into(">" + layout, header, offset, *struct.unpack_from("<" + layout, header, offset))
    return put(folder, "a.nii", bytes(header) + np.frombuffer(data[352:], "<i2").astype(">i2").tobytes())


def cases() -> Iterator[Case]:
    """All NIfTI cases."""
    yield Case("nifti sound", partial(patched, {}), RIGHT)
    yield Case("nifti sound .nii.gz", partial(patched, {}, suffix=".nii.gz"), RIGHT)
    yield Case("nifti big endian", big_endian, RIGHT)
    for expect, table in ((REFUSED, REFUSED_VALUES), (EITHER, HARMLESS_VALUES), (EITHER, UNITS_AND_CODES)):
        for field, values in table.items():
            for value in values:
                yield Case(f"nifti {field} = {value}", partial(patched, {field: value}), expect)
    for field in ("dim1", "dim3", "datatype", "sizeof_hdr"):
        value = -1
        expect = REFUSED if field in REFUSED_VALUES else EITHER
        yield Case(f"nifti.gz {field} = {value}", partial(patched, {field: value}, suffix=".nii.gz"), expect)
    for name, rows in SFORMS.items():
        yield Case(f"nifti sform {name}", partial(with_sform, rows), REFUSED)
    huge = {"dim1": 30000, "dim2": 30000, "dim3": 30000}
    yield Case("nifti 2.7e13 voxels", partial(patched, huge), REFUSED)
    yield Case("nifti.gz 2.7e13 voxels", partial(patched, huge, suffix=".nii.gz"), REFUSED)
    yield Case("nifti.gz 2e9 voxels", partial(patched, {f"dim{n}": 1260 for n in (1, 2, 3)}, suffix=".nii.gz"), REFUSED)
