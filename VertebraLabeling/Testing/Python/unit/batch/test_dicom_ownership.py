"""DICOM series and their reports: no report of one patient with the points of another, whatever folders are called."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("highdicom", reason="DICOM reports need highdicom")

import pydicom
from ball_batch import balls
from ball_labeler import BallLabeler
from dicom_files import write_series
from phantoms import body
from VertebraLabelingLib.batch.inputs import find_scans
from VertebraLabelingLib.batch.label_batch import in_this_process, label_batch
from VertebraLabelingLib.batch.outputs import OutputPlan
from VertebraLabelingLib.batch.ownership import settle
from VertebraLabelingLib.batch.scan_job import DONE, FAILED, PRESENT
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.formats.dicom_sr import read_labels, write_labels
from VertebraLabelingLib.formats.mrk_json import read_labels as read_points
from VertebraLabelingLib.scans.read_scan import read_scan

FORMATS = ("mrk.json", "dicom")
A, B = 3, 2
PATIENTS = {A: {"PatientName": "Alpha^Anna", "PatientID": "PA"}, B: {"PatientName": "Beta^Bert", "PatientID": "PB"}}


def patient(folder: Path, count: int, first_file=0, **tags) -> Path:
    uids = {"StudyInstanceUID": f"1.2.{count}.1", "SeriesInstanceUID": f"1.2.{count}.2", **PATIENTS.get(count, {})}
    volume = body(balls=balls(count), radius_mm=5, seed=count)
    write_series(folder, volume, first_file=first_file, FrameOfReferenceUID=f"1.2.{count}.3", **{**uids, **tags})
    return folder


def label(folder: Path, out: Path, overwrite=False, formats=FORMATS, series="all"):
    plan = OutputPlan(str(out), formats, overwrite)
    return label_batch(settle(find_scans([folder], series), plan), plan, in_this_process(BallLabeler()))


def check(out: Path) -> dict[str, int]:
    """Every report is of the patient whose balls it has; output name -> their number."""
    found = {}
    for path in sorted(out.glob("*.dcm")):
        report, points = pydicom.dcmread(path), read_labels(path).points
        count = len(points)
        assert (report.PatientID, report.StudyInstanceUID) == (PATIENTS[count]["PatientID"], f"1.2.{count}.1")
        assert report.PatientName == PATIENTS[count]["PatientName"]
        in_file = read_points(path.with_suffix(".mrk.json")).points
        np.testing.assert_allclose([p.ras for p in points], [p.ras for p in in_file], atol=0.01)
        found[path.stem] = count
    return found


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("formats", [("mrk.json",), ("dicom",), FORMATS, ("csv", "dicom")], ids=" ".join)
def test_a_second_patient_in_a_folder_of_the_same_name(tmp_path, overwrite, formats):
    first, second = patient(tmp_path / "a" / "DICOM", A), patient(tmp_path / "b" / "DICOM", B)
    label(first, tmp_path / "out", formats=formats)
    (result,) = label(second, tmp_path / "out", overwrite=overwrite)
    assert result.name.startswith("DICOM_3~") and len(result.points) == B
    assert "The name DICOM_3 belongs to another scan" in result.warnings[0]
    label(first, tmp_path / "out")
    assert check(tmp_path / "out") == {"DICOM_3": A, result.name: B}


def test_a_folder_whose_patient_is_replaced(tmp_path):
    inbox = patient(tmp_path / "inbox", A)
    label(inbox, tmp_path / "out")
    shutil.rmtree(inbox)
    patient(inbox, B)
    (result,) = label(inbox, tmp_path / "out")
    assert check(tmp_path / "out") == {"inbox_3": A, result.name: B}


@pytest.mark.parametrize("uid", ["1.2.1", "1.2.9"], ids=["before", "after"])
def test_a_new_series_beside_an_old_one(tmp_path, uid):
    """Of the same number; by its UID it comes before or after the old one."""
    folder = patient(tmp_path / "DICOM", A, SeriesInstanceUID="1.2.5")
    label(folder, tmp_path / "out")
    before = (tmp_path / "out" / "DICOM_3.dcm").read_bytes()
    patient(folder, B, first_file=500, SeriesInstanceUID=uid)
    results = {len(result.points): result for result in label(folder, tmp_path / "out")}
    assert (results[A].name, results[A].status, results[B].status) == ("DICOM_3", PRESENT, DONE)
    assert (tmp_path / "out" / "DICOM_3.dcm").read_bytes() == before
    assert check(tmp_path / "out") == {"DICOM_3": A, results[B].name: B}


def test_uids_that_an_anonymizer_repeats(tmp_path):
    """Nothing but the pixels tells two patients apart."""
    same = {"SeriesInstanceUID": "1.2.3", "StudyInstanceUID": "1.2", "PatientName": "", "PatientID": ""}
    for name, count in (("a", A), ("b", B)):
        patient(tmp_path / name / "DICOM", count, SOPInstanceUID=lambda k: f"1.2.3.{k}", **same)
        label(tmp_path / name / "DICOM", tmp_path / "out", formats=("mrk.json",))
    points = {path.name: len(read_points(path).points) for path in (tmp_path / "out").glob("*.mrk.json")}
    assert sorted(points.values()) == [B, A] and points["DICOM_3.mrk.json"] == A


def test_a_series_that_was_not_complete(tmp_path):
    folder = patient(tmp_path / "DICOM", A)
    last = sorted(folder.iterdir())[-4:]
    for path in last:
        path.rename(tmp_path / path.name)
    label(folder, tmp_path / "out")
    for path in last:
        (tmp_path / path.name).rename(path)
    (result,) = label(folder, tmp_path / "out")
    assert result.status == DONE and "belongs to other images of the same series" in result.warnings[0]


def test_a_report_of_corrected_points(tmp_path):
    folder, out = patient(tmp_path / "DICOM", A), tmp_path / "out"
    label(folder, out)
    data = json.loads((out / "DICOM_3.mrk.json").read_text())
    del data["vertebraLabeling"]  # as Slicer saves it
    data["markups"][0]["controlPoints"][0]["position"][2] += 5.0
    data["markups"][0]["controlPoints"][0]["description"] = "confidence=0.90;status=moved"
    (out / "DICOM_3.mrk.json").write_text(json.dumps(data))
    (result,) = label(folder, out)
    assert result.status == DONE and check(out) == {"DICOM_3": A}


def swapped(first: Path, second: Path, out: Path) -> None:
    """Put the points of the second scan, with their source, into the file of the first."""
    label(first, out, formats=("mrk.json",))
    label(second, out.with_name("other"), formats=("mrk.json",))
    shutil.copy(out.with_name("other") / "DICOM_3.mrk.json", out / "DICOM_3.mrk.json")


def test_points_of_another_patient_under_this_one_s_name_make_no_report(tmp_path):
    first, second = patient(tmp_path / "a" / "DICOM", A), patient(tmp_path / "b" / "DICOM", B)
    swapped(first, second, tmp_path / "out")
    label(first, tmp_path / "out")
    label(second, tmp_path / "out")
    assert sorted(check(tmp_path / "out").values()) == [B, A]


@pytest.mark.parametrize("change", ["study", "series", "frame_of_reference", "instances", "damaged"])
def test_the_uids_are_checked_at_the_last_moment(tmp_path, change):
    from dataclasses import replace

    from VertebraLabelingLib.core.scan_source import ScanSource

    folder = patient(tmp_path / "DICOM", A)
    label(folder, tmp_path / "out", formats=("mrk.json",))
    labels = read_points(tmp_path / "out" / "DICOM_3.mrk.json")
    files = read_scan(folder).dicom_files
    write_labels(tmp_path / "r.dcm", labels, files)
    source = ScanSource.from_dict(labels.provenance["source"])
    other = {name: "1.2.99" if name == change else value for name, value in source.parts}
    data = ScanSource("dicom", tuple(other.items())).to_dict() if change != "damaged" else {"kind": "dicom"}
    with pytest.raises(InputError, match="another DICOM series"):
        write_labels(tmp_path / "r2.dcm", replace(labels, provenance={"source": data}), files)
    assert not (tmp_path / "r2.dcm").exists()


@pytest.mark.parametrize("tags", [{"FrameOfReferenceUID": ""}, {"StudyInstanceUID": ""}], ids=str)
def test_a_report_that_cannot_be_made_costs_nothing_else(tmp_path, tags):
    folder = patient(tmp_path / "DICOM", A)
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        for name, value in tags.items():
            setattr(dataset, name, value)
        dataset.save_as(path)
    (result,) = label(folder, tmp_path / "out", formats=("mrk.json", "csv", "dicom", "verse.json"))
    assert result.status == FAILED and len(result.points) == A and f"lack {next(iter(tags))}" in result.message
    written = {path.name for path in (tmp_path / "out").glob("DICOM_3.*")}
    assert written == {"DICOM_3.mrk.json", "DICOM_3.csv", "DICOM_3.verse.json"} == set(result.files)


@pytest.mark.parametrize("broken", ["csv", "verse.json", "dicom", "png"])
@pytest.mark.parametrize("error", [ValueError("Alpha^Anna"), MemoryError(), OSError(28, "No space left"), KeyError(1)])
def test_a_format_that_fails_costs_no_other(tmp_path, monkeypatch, capfd, caplog, broken, error):
    from VertebraLabelingLib.batch import outputs

    pytest.importorskip("matplotlib")

    def fail(*arguments):
        raise error

    monkeypatch.setitem(outputs.WRITERS, broken, outputs.WRITERS[broken]._replace(write=fail))
    every = ("mrk.json", "csv", "verse.json", "dicom", "png")
    (result,) = label(patient(tmp_path / "DICOM", A), tmp_path / "out", formats=every)
    assert result.status == FAILED and len(result.points) == A and result.message.endswith(".")
    suffix = outputs.WRITERS[broken].suffix
    assert len(result.files) == 4 and f"DICOM_3{suffix} was not written" in result.message
    told = "".join(capfd.readouterr()) + "".join(r.getMessage() for r in caplog.records if r.levelno >= 30)
    assert "Alpha" not in told + result.message
