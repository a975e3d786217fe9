"""Headers as hospitals write them: the report copies, mends or leaves out, and no name reaches a stream."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import pytest

pytest.importorskip("highdicom", reason="DICOM reports need highdicom")

import pydicom
from dicom_files import write_series
from phantoms import assert_same_labels, body, spine
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.formats.dicom_sr import read_labels, write_labels


def series(folder: Path, count=2, **raw: bytes | None) -> list[str]:
    """A CT series whose header values stand as given, however wrong; ``None`` takes one out."""
    files = write_series(folder, body(shape=(count, 48, 40)))
    name = raw.get("PatientName")
    if name:  # pydicom would put it into the characters of the header
        name += b" " * (len(name) % 2)
        raw["PatientName"] = b"N" * len(name)
    for path in files:
        dataset = pydicom.dcmread(path)
        for keyword, value in raw.items():
            tag = Tag(tag_for_keyword(keyword))
            if value is None:
                dataset.pop(tag, None)
            else:
                value += b" " * (len(value) % 2)
                dataset[tag] = RawDataElement(tag, dictionary_VR(tag), len(value), value, 0, False, True)
        dataset.save_as(path)
        if name:
            path.write_bytes(path.read_bytes().replace(raw["PatientName"], name, 1))
    return [str(path) for path in files]


def report(tmp_path: Path, **raw: bytes | None):
    """The report of such a series, and what was told."""
    notes = write_labels(tmp_path / "r.dcm", spine(), series(tmp_path / "ct", **raw))
    assert_same_labels(read_labels(tmp_path / "r.dcm"), spine())
    return pydicom.dcmread(tmp_path / "r.dcm"), notes


@pytest.fixture
def said(capfd, caplog):
    """Everything that reaches a stream or a log at the default level."""
    with caplog.at_level(logging.WARNING), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")

        def text() -> str:
            captured = capfd.readouterr()
            return "\n".join((captured.out, captured.err, caplog.text, *(str(each.message) for each in caught)))

        yield text


NAMES = {
    "one part": (b"MUSTERMANN ERIKA", None, "MUSTERMANN ERIKA"),
    "a comma": (b"Mustermann, Erika", None, "Mustermann, Erika"),
    "five parts": (b"Mustermann^Erika^Maria^Dr.^PhD", None, "Mustermann^Erika^Maria^Dr.^PhD"),
    "very long": (b"Mustermann" * 9 + b"^Erika", None, "Mustermann" * 9 + "^Erika"),
    "Latin-1": ("Müstermann^Erika".encode("latin-1"), b"ISO_IR 100", "Müstermann^Erika"),
    "Latin-1, spelled otherwise": ("Müstermann^Erika".encode("latin-1"), b"ISO-IR 100", "Müstermann^Erika"),
    "Latin-1, spelled otherwise again": ("Müstermann^Erika".encode("latin-1"), b"iso ir 100", "Müstermann^Erika"),
    "UTF-8": ("Müstermann^Erika".encode(), b"ISO_IR 192", "Müstermann^Erika"),
    "Cyrillic": ("Люкceмбypг^Роза".encode("iso8859_5"), b"ISO_IR 144", "Люкceмбypг^Роза"),
    "Japanese": (
        b"Yamada^Tarou=" + "山田^太郎".encode("iso2022_jp") + b"=" + "やまだ^たろう".encode("iso2022_jp"),
        b"\\ISO 2022 IR 87",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    "Korean": (b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7", b"\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞"),
    "Chinese": ("Wang^XiaoDong=王^小东".encode("gb18030"), b"GB18030", "Wang^XiaoDong=王^小东"),
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_sound_name_is_copied_whatever_its_characters(tmp_path, said, kind):
    raw, characters, name = NAMES[kind]
    written, notes = report(tmp_path, PatientName=raw, SpecificCharacterSet=characters)
    assert str(written.PatientName) == name and notes == ()
    told = said()
    assert not [word for word in ("ustermann", "MUSTERMANN", "Yamada", "Hong", "Wang", "Роза") if word in told]


MENDED = {
    "a backslash": (b"Mustermann\\Erika", None, "Mustermann Erika"),
    "UTF-8 that nothing announces": ("Müstermann^Erika".encode(), None, "Müstermann^Erika"),
    "Latin-1 that nothing announces": ("Müstermann^Erika".encode("latin-1"), None, "Müstermann^Erika"),
    "an unknown set": ("Müstermann^Erika".encode(), b"KLINGON", "Müstermann^Erika"),
    "bytes that do not fit the set": (b"M\xfcstermann^Erika", b"ISO_IR 192", None),
    "control characters": (b"Mustermann^Eri\x07ka", None, "Mustermann^Eri ka"),
    "a line end": (b"Mustermann^\r\nErika", None, "Mustermann^ Erika"),
}


@pytest.mark.parametrize("kind", MENDED)
def test_a_name_that_is_none_is_mended_with_a_word(tmp_path, said, kind):
    raw, characters, name = MENDED[kind]
    written, notes = report(tmp_path, PatientName=raw, SpecificCharacterSet=characters)
    assert name is None or str(written.PatientName) == name
    assert "stermann" in str(written.PatientName) and len(notes) == 1 and "mended: PatientName" in notes[0]
    assert "stermann" not in said() + notes[0] and "Erika" not in notes[0]


LEFT_OUT = [
    ("PatientSex", b"W"),
    ("PatientSex", b"weiblich"),
    ("PatientSex", b"1"),
    ("PatientBirthDate", b"3.2.1950"),
    ("PatientBirthDate", b"19500231"),
    ("PatientBirthDate", b"unbekannt"),
    ("PatientBirthDate", b"195002"),
    ("StudyDate", b"yesterday"),
    ("StudyTime", b"noon"),
    ("PatientID", b"INV\\0001"),
    ("AccessionNumber", b"A\\B"),
    ("PatientAge", b"73"),
]


@pytest.mark.parametrize(("keyword", "raw"), LEFT_OUT, ids=str)
def test_what_is_no_value_is_left_out_with_a_word(tmp_path, said, keyword, raw):
    written, notes = report(tmp_path, **{keyword: raw})
    assert not written.get(keyword)
    assert len(notes) == 1 and f"left out: {keyword}" in notes[0] and raw.decode() not in notes[0]
    assert raw.decode() not in said() or raw in (b"W", b"1", b"73")


MENDED_VALUES = [
    ("PatientBirthDate", b"1950.02.03", "19500203"),
    ("PatientBirthDate", b"1950-02-03", "19500203"),
    ("StudyTime", b"12:34:56", "123456"),
    ("PatientSex", b"f", "F"),
]


@pytest.mark.parametrize(("keyword", "raw", "value"), MENDED_VALUES, ids=str)
def test_what_can_be_told_is_mended_with_a_word(tmp_path, keyword, raw, value):
    written, notes = report(tmp_path, **{keyword: raw})
    assert written[keyword].value == value and f"mended: {keyword}" in notes[0]


COPIED = [
    ("PatientID", b"INV-0001-" + b"0" * 80),
    ("StudyID", b"a study identifier of many characters"),
    ("AccessionNumber", b"0123456789 0123456789"),
    ("PatientBirthDate", b""),
    ("StudyTime", b"123456.123456"),
    ("StudyTime", b"1234"),
]


@pytest.mark.parametrize(("keyword", "raw"), COPIED, ids=str)
def test_other_values_are_copied_as_they_are(tmp_path, said, keyword, raw):
    written, notes = report(tmp_path, **{keyword: raw})
    assert str(written[keyword].value or "") == raw.decode() and notes == ()
    assert not raw or raw.decode() not in said()


@pytest.mark.parametrize("raw", [b"A", b"", b"-3", b"99999999999999999999", b"3.5", b"3\\4", None], ids=str)
def test_any_series_number_gives_a_report_one(tmp_path, raw):
    written, _ = report(tmp_path, SeriesNumber=raw)
    assert 7000 <= written.SeriesNumber < 9000


@pytest.mark.parametrize("keyword", ["PatientName", "PatientSex", "StudyDate", "StudyID", "SpecificCharacterSet"])
def test_what_is_missing_is_empty(tmp_path, keyword):
    written, notes = report(tmp_path, **{keyword: None})
    assert not written.get(keyword) and notes == ()


@pytest.mark.parametrize("uid", [b"1.2.840.00123.4", b"1.2.3.abc", b"1." * 40 + b"1"], ids=str)
@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"])
def test_a_uid_that_is_none_is_copied(tmp_path, keyword, uid):
    written, _ = report(tmp_path, **{keyword: uid})
    if keyword == "StudyInstanceUID":
        assert written.StudyInstanceUID == uid.decode()


def test_images_of_several_frames_of_reference_have_no_report(tmp_path):
    files = series(tmp_path / "ct") + series(tmp_path / "other", FrameOfReferenceUID=b"1.2.3")
    with pytest.raises(InputError, match="several series or frames"):
        write_labels(tmp_path / "r.dcm", spine(), files)
    assert not (tmp_path / "r.dcm").exists()
