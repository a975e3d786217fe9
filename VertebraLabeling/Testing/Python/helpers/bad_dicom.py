"""DICOM folders with damaged, contradictory or hostile headers: real files, one or all of them altered."""

from __future__ import annotations

import copy
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path

import pydicom
from cases import EITHER, REFUSED, RIGHT, Case, ct
from dicom_files import write_report, write_series
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

ONE = 7
"""The slice that is altered where only one is."""

_CROOKED = (b"2\\0\\0\\0\\2\\0 ", b"1\\0\\0\\0.7\\0.7\\0 ")

VALUES = {
    REFUSED: {
        "Rows": (0, 1, 16, 33, 65535),
        "Columns": (0, 1, 14, 29, 65535),
        "PixelSpacing": (b"0\\0 ", b"abc ", b"3 ", b"", b"nan\\nan ", b"inf\\3 ", b"3\\3\\3 ", b"-3\\-3 ", b"1e30\\3 "),
        "ImageOrientationPatient": (
            b"0\\0\\0\\0\\0\\0 ",
            b"1\\0\\0\\1\\0\\0 ",
            b"",
            b"a\\b\\c\\d\\e\\f ",
            b"1\\0\\0 ",
            *_CROOKED,
        ),
        "ImagePositionPatient": (b"", b"1\\2 ", b"a\\b\\c ", b"nan\\0\\0 ", b"0\\0\\0 "),
        "Modality": (b"MR", b"PT", b"", b"CTX "),
        "SOPClassUID": (b"1.2.840.10008.5.1.4.1.1.7\0",),
        "ImageType": (b"DERIVED\\SECONDARY\\LOCALIZER ",),
        "BitsAllocated": (1, 0, 64),
    },
    EITHER: {
        "PixelSpacing": (b"1e-9\\3 ", b"3,0\\3,0 "),
        "SamplesPerPixel": (3, 0),
        "BitsAllocated": (8, 12, 32),
        "BitsStored": (0, 1, 8, 16, 99),
        "HighBit": (0, 15, 99),
        "PixelRepresentation": (1, 7),
        "PhotometricInterpretation": (b"RGB ", b"MONOCHROME1 ", b"PALETTE COLOR ", b"", b"YBR_FULL"),
        "RescaleSlope": (b"0 ", b"abc ", b"nan ", b"inf ", b"1e30", b"-1"),
        "RescaleIntercept": (b"abc ", b"nan ", b"1e30", b"", b"0 "),
        "NumberOfFrames": (b"0 ", b"-1", b"2 ", b"999999999 ", b"abc "),
        "SpecificCharacterSet": (b"nonsense", b"ISO 2022 IR 87\\ISO 2022 IR 13 "),
    },
    RIGHT: {
        "InstanceNumber": (b"0 ", b"-5", b"abc ", b"", b"99999999999999999999"),
        "SeriesNumber": (b"", b"abc ", b"-3", b"99999999999999999999", b"../../x "),
        "SeriesDescription": (b"<script>alert(1)</script> ", b"\x1b[31mred\x1b[0m\0", b"../../etc/passwd", b"a" * 5000),
        "PatientName": (b"\xff\xfe\xfd ", b"", b"^" * 1000),
        "SliceThickness": (b"0 ", b"-4", b"nan ", b"abc ", b""),
        "AcquisitionNumber": (b"", b"abc "),
        "StudyDate": (b"yesterday ",),
        "SpecificCharacterSet": (b"",),
    },
}

REMOVED = {
    REFUSED: (
        "Rows",
        "Columns",
        "PixelSpacing",
        "ImageOrientationPatient",
        "ImagePositionPatient",
        "PixelData",
        "Modality",
    ),
    EITHER: (
        *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel", "RescaleSlope"),
        *("PhotometricInterpretation", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "RescaleIntercept"),
    ),
    RIGHT: ("InstanceNumber", "SeriesNumber", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID", "ImageType"),
}


SYNTAX = "1.2.840.10008.1.2.1"
OTHER_SYNTAXES = {
    REFUSED: (f"{SYNTAX}.99",),
    EITHER: (
        *("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90"),
        *("1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5", "1.2.3.4.5", "", "9" * 64),
    ),
}
"""Transfer syntaxes that the voxels are not in."""


@lru_cache(maxsize=1)
def _series() -> tuple[pydicom.FileDataset, ...]:
    with tempfile.TemporaryDirectory() as folder:
        return tuple(pydicom.dcmread(path) for path in write_series(Path(folder) / "s", ct()))


def series(folder: Path, alter: Callable[[pydicom.FileDataset], None], only: int | None = None) -> Path:
    """The phantom as a series, each slice (or one) altered before it is written."""
    place = folder / "dicom"
    place.mkdir()
    for number, sound in enumerate(_series()):
        dataset = copy.deepcopy(sound)
        if only in (None, number):
            alter(dataset)
        dataset.save_as(place / f"IM{number:04d}", enforce_file_format=True)
    return place


def _set(keyword: str, value, dataset: pydicom.FileDataset) -> None:
    """Put a value into the header as it stands, however wrong it is for its type."""
    if isinstance(value, bytes):
        tag = Tag(tag_for_keyword(keyword))
        dataset[tag] = RawDataElement(tag, dictionary_VR(tag), len(value), value, 0, False, True)
    else:
        setattr(dataset, keyword, value)


def _remove(keyword: str, dataset: pydicom.FileDataset) -> None:
    if keyword in dataset:
        delattr(dataset, keyword)


def _pixels(change: Callable[[bytes], bytes], dataset: pydicom.FileDataset) -> None:
    dataset.PixelData = change(dataset.PixelData)


def _nested(dataset: pydicom.FileDataset) -> None:
    inner = pydicom.Dataset()
    for _ in range(200):
        outer = pydicom.Dataset()
        outer.ReferencedImageSequence = [inner]
        inner = outer
    dataset.ReferencedImageSequence = [inner]


def written(edit: Callable[[bytes], bytes], only: int | None, folder: Path) -> Path:
    """The phantom's series, the bytes of its files changed."""
    place = series(folder, lambda dataset: None)
    for number, path in enumerate(sorted(place.iterdir())):
        if only in (None, number):
            path.write_bytes(edit(path.read_bytes()))
    return place


def in_syntax(uid: str, data: bytes) -> bytes:
    """The same bytes under another transfer syntax; the lengths of the meta header are put right."""
    old = f"{SYNTAX}\0".encode()
    new = uid.encode() + b"\0" * (len(uid) % 2)
    at = data.index(old)
    data = data[: at - 2] + struct.pack("<H", len(new)) + new + data[at + len(old) :]
    (length,) = struct.unpack_from("<I", data, 140)
    return data[:140] + struct.pack("<I", length + len(new) - len(old)) + data[144:]


def bombed(data: bytes) -> bytes:
    """A deflated DICOM file that unpacks to 4 GB."""
    data = in_syntax(f"{SYNTAX}.99", data)
    (length,) = struct.unpack_from("<I", data, 140)
    block = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = block.compress(bytes(2**24)) + block.flush(zlib.Z_FULL_FLUSH)
    return data[: 144 + length] + zeros * 256


def magic_and(data: bytes, folder: Path) -> Path:
    """One file that says it is DICOM and goes on with something else."""
    place = folder / "dicom"
    place.mkdir()
    (place / "a.dcm").write_bytes(bytes(128) + b"DICM" + data)
    return place


def report(folder: Path) -> Path:
    """A folder with a DICOM report and no image."""
    (folder / "dicom").mkdir()
    write_report(folder / "dicom" / "sr.dcm")
    return folder / "dicom"


def some_slices(count: int, folder: Path) -> Path:
    """The first few slices of the phantom."""
    place = series(folder, lambda dataset: None)
    for path in sorted(place.iterdir())[count:]:
        path.unlink()
    return place


def cases() -> Iterator[Case]:
    """All DICOM cases."""
    yield Case("dicom sound", lambda folder: series(folder, lambda dataset: None), RIGHT)
    for expect, table in VALUES.items():
        for keyword, values in table.items():
            for value in values:
                shown = value[:20] if isinstance(value, bytes) else value
                alter = partial(_set, keyword, value)
                yield Case(f"dicom {keyword} = {shown!r}", partial(series, alter=alter), expect)
                if expect != RIGHT:
                    yield Case(f"dicom one {keyword} = {shown!r}", partial(series, alter=alter, only=ONE), long=True)
    for expect, keywords in REMOVED.items():
        for keyword in keywords:
            alter = partial(_remove, keyword)
            yield Case(f"dicom without {keyword}", partial(series, alter=alter), expect)
            yield Case(f"dicom one without {keyword}", partial(series, alter=alter, only=ONE), long=True)
    pixels = {
        "no pixels": lambda data: b"",
        "half the pixels": lambda data: data[: len(data) // 2],
        "a row too little": lambda data: data[:-56],
        "twice the pixels": lambda data: data * 2,
    }
    for name, change in pixels.items():
        yield Case(f"dicom {name}", partial(series, alter=partial(_pixels, change)))
        yield Case(f"dicom {name} in one", partial(series, alter=partial(_pixels, change), only=ONE))
    yield Case("dicom 200 nested sequences", partial(series, alter=_nested))
    for share in (0.02, 0.1, 0.3, 0.5, 0.9):
        edit = partial(lambda share, data: data[: int(share * len(data))], share)
        yield Case(f"dicom cut at {share}", partial(written, edit, None), REFUSED if share < 0.9 else EITHER)
        yield Case(f"dicom one cut at {share}", partial(written, edit, ONE))
    yield Case("dicom without preamble", partial(written, lambda data: data[132:], None))
    yield Case("dicom of zeros", partial(written, lambda data: bytes(len(data)), None), REFUSED)
    yield Case("dicom one of zeros", partial(written, lambda data: bytes(len(data)), ONE))
    yield Case("dicom deflate bomb", partial(written, bombed, ONE))
    for expect, syntaxes in OTHER_SYNTAXES.items():
        for uid in syntaxes:
            yield Case(f"dicom syntax {uid[:30]!r}", partial(written, partial(in_syntax, uid), None), expect)
            yield Case(f"dicom one syntax {uid[:30]!r}", partial(written, partial(in_syntax, uid), ONE), long=True)
    for name, data in {"nothing": b"", "zeros": bytes(1000), "0xFF": b"\xff" * 1000, "text": b"hello " * 100}.items():
        yield Case(f"dicom magic and {name}", partial(magic_and, data), REFUSED)
    yield Case("dicom length 0xFFFFFFFE", partial(magic_and, b"\x02\0\0\0OB\0\0\xfe\xff\xff\xff" + bytes(50)), REFUSED)
    yield Case("dicom report", report, REFUSED)
    for count, expect in ((0, REFUSED), (1, REFUSED), (2, EITHER), (3, EITHER)):
        yield Case(f"dicom of {count} slices", partial(some_slices, count), expect)
