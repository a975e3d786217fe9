"""A zip of a study is opened; what is no such zip is refused in a sentence, and costs neither memory nor disk."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest
from ball_batch import balls
from dicom_files import write_series
from phantoms import body
from VertebraLabelingLib.errors import InputError

pytest.importorskip("aiohttp", reason="needs the extra 'web'")

from VertebraLabelingWeb import archives, scans, uploads

LIMIT = 10**6
SLICE = bytes(128) + b"DICM" + bytes(200)


def zipped(path: Path, files, compression=zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return path


def opened(path: Path, limit: int = LIMIT) -> Path:
    folder = path.parent / "session"
    folder.mkdir()
    sent = folder / path.name
    sent.write_bytes(path.read_bytes())
    return uploads.from_zip(sent, folder, limit)


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return info


def patched(path: Path, flag: int = 0, size: int | None = None) -> Path:
    """The zip with another flag or another unpacked size in all its headers."""
    data = bytearray(path.read_bytes())
    for signature, at_flag, at_size in ((b"PK\x03\x04", 6, 22), (b"PK\x01\x02", 8, 24)):
        start = data.find(signature)
        while start >= 0:
            data[start + at_flag] |= flag
            if size is not None:
                data[start + at_size : start + at_size + 4] = struct.pack("<I", size)
            start = data.find(signature, start + 4)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "files", "expected"),
    [
        ("study.zip", [("a/1.dcm", SLICE), ("a/2.dcm", SLICE), ("a/README.TXT", b"x"), ("viewer.jar", b"PK")], 2),
        ("脊柱 Wirbelsäule.ZIP", [("IM/I1", SLICE), ("IM/I2", SLICE), ("IM2/I1", SLICE), ("DICOMDIR", b"")], 3),
        ("mac.zip", [("ct/1", SLICE), ("ct/2", SLICE), ("__MACOSX/ct/._1", b"\0\5\26\7"), ("ct/", b"")], 2),
        ("two_folders.zip", [("1/IM1.dcm", SLICE), ("2/IM1.dcm", SLICE)], 2),
    ],
    ids=["beside-others", "any-script", "macos", "same-names"],
)
def test_the_slices_of_a_study_are_taken_out_and_named_as_the_zip(tmp_path, name, files, expected):
    folder = opened(zipped(tmp_path / name, files))
    assert folder.name == name[:-4]
    assert len(list(folder.iterdir())) == expected
    assert not list(tmp_path.rglob("session/*.[zZ]*"))


@pytest.mark.parametrize("beside", [[], [("ct.json", b"{}")], [("__MACOSX/._ct.nii.gz", b"\0\5")]], ids=len)
def test_a_volume_in_one_file_is_taken_out(tmp_path, beside):
    assert opened(zipped(tmp_path / "x.zip", [("sub/ct.nii.gz", b"\x1f\x8b"), *beside])).name == "ct.nii.gz"


def bomb(path):
    return zipped(path, [("a.dcm", SLICE + bytes(LIMIT))])


def bomb_of_many(path):
    return zipped(path, [(f"{i}.dcm", SLICE + bytes(LIMIT // 8)) for i in range(9)])


def small_by_its_header(path):
    return patched(bomb(path), size=100)


def overlapping(path):
    """A directory in which many entries stand for the same bytes: small, and large once unpacked."""
    zipped(path, [("a.dcm", SLICE + bytes(LIMIT // 2))])
    data = path.read_bytes()
    entry, end = data.index(b"PK\x01\x02"), data.rindex(b"PK\x05\x06")
    directory = data[entry:end] * 30
    tail = bytearray(data[end:])
    tail[8:16] = struct.pack("<HHI", 30, 30, len(directory))
    path.write_bytes(data[:entry] + directory + tail)
    return path


def many(path):
    return zipped(path, [(f"{i}", b"") for i in range(archives.MOST_ENTRIES + 1)], zipfile.ZIP_STORED)


def long_directory(path):
    """A directory of 200 MB, all of it zeros: only its length is looked at."""
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(2 * 10**8)
        file.seek(0, io.SEEK_END)
        file.write(struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 65535, 65535, 2 * 10**8 - 4, 4, 0))
    return path


def truncated(path):
    zipped(path, [("a.dcm", SLICE)] * 1)
    path.write_bytes(path.read_bytes()[:-30])
    return path


def flipped(path):
    zipped(path, [("a.dcm", SLICE)], zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[60] ^= 255
    path.write_bytes(data)
    return path


def damaged_content(path, compression):
    """The packed bytes of a file are others, and nothing else is."""
    zipped(path, [("a.dcm", SLICE * 90)], compression)
    data = bytearray(path.read_bytes())
    for place in range(50, data.index(b"PK\x01\x02") - 4):
        data[place] ^= 0x5A
    path.write_bytes(data)
    return path


def unknown_method(path):
    zipped(path, [("a.dcm", SLICE)])
    data = bytearray(path.read_bytes())
    data[8] = data[data.index(b"PK\x01\x02") + 10] = 99
    path.write_bytes(data)
    return path


REFUSED = {
    "bomb": (bomb, "unpacks to more than 1 MB"),
    "bomb-of-many": (bomb_of_many, "unpacks to more than 1 MB"),
    "size-in-header-is-false": (small_by_its_header, "damaged"),
    "overlapping": (overlapping, "unpacks to more than 1 MB"),
    "thousands": (many, "more than 10000 files"),
    "long-directory": (long_directory, "too many files"),
    "encrypted": (lambda path: patched(zipped(path, [("a.dcm", SLICE)]), flag=1), "encrypted"),
    "zip-in-zip": (lambda path: zipped(path, [("a.dcm", SLICE), ("b/more.ZIP", b"PK\x03\x04")]), "another zip"),
    "link": (lambda path: zipped(path, [("a.dcm", SLICE), (link("b.dcm"), b"/etc/passwd")]), "links"),
    "parent": (lambda path: zipped(path, [("../../a.dcm", SLICE)]), "outside itself"),
    "absolute": (lambda path: zipped(path, [("/etc/a.dcm", SLICE)]), "outside itself"),
    "drive": (lambda path: zipped(path, [("C:\\a.dcm", SLICE)]), "outside itself"),
    "truncated": (truncated, "damaged"),
    "flipped-byte": (flipped, "damaged"),
    "deflate": (lambda path: damaged_content(path, zipfile.ZIP_DEFLATED), "damaged"),
    "bzip2": (lambda path: damaged_content(path, zipfile.ZIP_BZIP2), "damaged"),
    "lzma": (lambda path: damaged_content(path, zipfile.ZIP_LZMA), "damaged"),
    "unknown-method": (unknown_method, "damaged, or packed in a way"),
    "empty": (lambda path: zipped(path, []), "holds no CT"),
    "no-ct": (lambda path: zipped(path, [("a.txt", b"x"), ("b.pdf", b"%PDF")]), "holds no CT"),
    "two-volumes": (lambda path: zipped(path, [("1/ct.nii", b"1"), ("2/ct.nii", b"2")]), "Several scans"),
    "header-only": (lambda path: zipped(path, [("ct.nrrd", b"NRRD0004\ndata file: /etc/passwd\n\n")]), "no voxels"),
}


@pytest.mark.parametrize(("make", "words"), REFUSED.values(), ids=REFUSED)
def test_a_zip_that_is_no_plain_study_is_refused_in_one_sentence(tmp_path, make, words):
    with pytest.raises(InputError) as refused:
        opened(make(tmp_path / "x.zip"))
    sentence = str(refused.value)
    assert words in sentence and sentence.endswith(".") and ". " not in sentence and str(tmp_path) not in sentence
    written = sum(file.stat().st_size for file in (tmp_path / "session" / "unpacked").rglob("*") if file.is_file())
    assert written <= LIMIT + archives.CHUNK


def test_a_series_that_cannot_be_read_costs_no_other_of_the_study(tmp_path):
    whole, holed = body(balls=balls(3), radius_mm=5), body(balls=balls(2), radius_mm=5)
    files = [*write_series(tmp_path / "a", whole), *write_series(tmp_path / "b", holed, range(3, 20), SeriesNumber=9)]
    study = zipped(tmp_path / "study.zip", [(f"{path.parent.name}/{path.name}", path.read_bytes()) for path in files])
    scan = scans.read_upload(opened(study, 10**8))
    assert scan.name == "study_3" and scan.scan.volume.array.shape == whole.array.shape
    told, left_out = scan.scan.notes
    assert told.startswith("2 series were sent") and left_out.startswith("One of them was left out: There is a hole")
    with pytest.raises(InputError, match="hole"):
        folder = tmp_path / "alone"
        write_series(folder, holed, range(3, 20), SeriesNumber=9)
        scans.read_upload(folder)
