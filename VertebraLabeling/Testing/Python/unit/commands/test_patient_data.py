"""No stream, log or text file holds a patient's name, number or birthday, whatever headers and libraries say."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pydicom
import pytest
from ball_batch import balls
from dicom_files import write_report, write_series
from phantoms import body
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

pytest.importorskip("highdicom", reason="DICOM reports need highdicom")

FIELD_INPUTS = Path(__file__).resolve().parents[6] / "shared" / "data" / "field_inputs.tar.xz"
COMMAND = """
import sys
from VertebraLabelingLib.batch.workers import LabelerSpec
from VertebraLabelingLib.commands import cli
LabelerSpec.__init__.__defaults__ = (None, "auto", "ball_labeler:BallLabeler")
if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:]))
"""
WORDS = ("Mustermann", "MUSTERMANN", "Müstermann", "Erika", "ERIKA", "INV-77", "19500203", "3.2.1950", "Hausarzt")
PATIENT = {
    "PatientName": b"Mustermann^Erika",
    "PatientID": b"INV-77",
    "PatientBirthDate": b"19500203",
    "ReferringPhysicianName": b"Hausarzt^Hugo",
}
HEADERS = {
    "sound": {},
    "one part": {"PatientName": b"MUSTERMANN ERIKA"},
    "six parts": {"PatientName": b"Mustermann^Erika^a^b^c^d"},
    "long": {"PatientName": b"Mustermann" * 12, "PatientID": b"INV-77" * 12},
    "backslash": {"PatientName": b"Mustermann\\Erika", "PatientID": b"INV-77\\INV-77"},
    "latin": {"PatientName": "Müstermann^Erika".encode("latin-1"), "SpecificCharacterSet": b"ISO-IR 100"},
    "unknown set": {"PatientName": "Müstermann^Erika".encode(), "SpecificCharacterSet": b"KLINGON"},
    "japanese": {"PatientName": b"Mustermann^Erika=\x1b$B;3ED\x1b(B", "SpecificCharacterSet": b"\\ISO 2022 IR 87"},
    "birthday": {"PatientBirthDate": b"3.2.1950"},
    "sex": {"PatientSex": b"Mustermann"},
    "study": {"StudyID": b"Mustermann Erika INV-77", "AccessionNumber": b"INV-77" * 9},
    "series number": {"SeriesNumber": b"A"},
    "uid": {"FrameOfReferenceUID": b"1.2.Mustermann"},
    "no frame": {"FrameOfReferenceUID": b""},
    "dates": {"StudyDate": b"19500203.Mustermann", "StudyTime": b"Mustermann"},
}


def alter(path: Path, values: dict[str, bytes]) -> None:
    """Put values into a header as they stand, however wrong."""
    dataset = pydicom.dcmread(path)
    for keyword, value in values.items():
        tag = Tag(tag_for_keyword(keyword))
        value += b" " * (len(value) % 2)
        dataset[tag] = RawDataElement(tag, dictionary_VR(tag), len(value), value, 0, False, True)
    dataset.save_as(path)


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A series of each header, and what no volume can be made of."""
    place = tmp_path_factory.mktemp("patients")
    for name, header in HEADERS.items():
        for path in write_series(place / "in" / name, body((12, 48, 40), balls=balls(1) - (0, 0, 40), radius_mm=6)):
            alter(path, {**PATIENT, **header})
    for name, tags in {"mr": {"Modality": b"MR"}, "one position": {"ImagePositionPatient": b"0\\0\\0 "}}.items():
        for path in write_series(place / "in" / name, body((6, 48, 40))):
            alter(path, {**PATIENT, **tags})
    for number, path in enumerate(write_series(place / "in" / "cut", body((6, 48, 40)))):
        alter(path, PATIENT)
        path.write_bytes(path.read_bytes()[: 300 + 400 * number])
    write_report(place / "in" / "sound" / "report.dcm")
    alter(place / "in" / "sound" / "report.dcm", PATIENT)
    (place / "run.py").write_text(COMMAND)
    return place


def told(tree: Path, *arguments) -> str:
    """Both streams of a command."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "MPLBACKEND": "agg"}
    command = [sys.executable, str(tree / "run.py"), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=300)
    assert done.returncode in (0, 1), done.stderr.decode("utf-8", "replace")[-2000:]
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def found_in(text: str) -> list[str]:
    return [line for line in text.splitlines() if any(word in line for word in WORDS)]


def texts(folder: Path) -> str:
    """All files that are no report and no picture."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".dcm", ".png")]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


@pytest.mark.parametrize("more", [(), ("--json-lines", "--jobs", "2")], ids=" ".join)
def test_label_tells_nothing_of_the_patients(tree, tmp_path, more):
    text = told(tree, "label", tree / "in", "-o", tmp_path, "--format", "mrk.json,csv,verse.json,dicom", *more)
    assert text and not found_in(text) and not found_in(texts(tmp_path))
    assert len(list(tmp_path.glob("*.mrk.json"))) == len(HEADERS), "points are written whatever becomes of a report"
    reports = {path.stem.rsplit("_", 1)[0] for path in tmp_path.glob("*.dcm")}
    assert reports == set(HEADERS) - {"no frame"}


def test_the_reports_hold_the_patients(tree, tmp_path):
    told(tree, "label", tree / "in" / "one part", "-o", tmp_path, "--format", "dicom")
    (report,) = tmp_path.glob("*.dcm")
    assert pydicom.dcmread(report).PatientName == "MUSTERMANN ERIKA"


def test_review_tells_nothing_of_the_patients(tree, tmp_path):
    pytest.importorskip("matplotlib")
    text = told(tree, "review", tree / "in" / "sound", tree / "in" / "cut", tree / "in" / "mr", "-o", tmp_path)
    assert text and not found_in(text) and not found_in(texts(tmp_path))


@pytest.mark.skipif(not FIELD_INPUTS.is_file(), reason="the inputs from the field are not part of the product")
def test_no_invented_name_of_the_field_inputs_is_told(tree, tmp_path):
    with tarfile.open(FIELD_INPUTS) as archive:
        archive.extractall(tmp_path / "field", filter="data")
    names = set()
    for path in (tmp_path / "field").rglob("*.dcm"):
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["PatientName", "PatientID"], force=True)
        names |= {str(dataset.get("PatientID", "")), *str(dataset.get("PatientName", "")).replace("=", "^").split("^")}
    folders = [tmp_path / "field" / number for number in ("01", "11", "12", "22", "31", "32")]
    text = told(tree, "label", *filter(Path.is_dir, folders), "-o", tmp_path / "out", "--format", "mrk.json,dicom")
    text += texts(tmp_path / "out")
    words = {name.strip() for name in names if len(name.strip()) > 3}
    assert words and not [word for word in words if word in text]
