"""Discs and report texts in an output folder: beside the points, in step with them, and never taken for them."""

from __future__ import annotations

import json
import os

import pytest
import SimpleITK as sitk
from ball_batch import balls, outputs, run, write_scans
from phantoms import body
from VertebraLabelingLib.batch.inputs import find_scans
from VertebraLabelingLib.batch.naming import safe_name
from VertebraLabelingLib.batch.outputs import DISCS, WRITERS, name_in
from VertebraLabelingLib.batch.scan_job import DONE, PRESENT
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk

ALL = ("mrk.json", "csv", "discs.mrk.json", "discs.csv", "discs.nii.gz", "discs.png", "report.txt")
SUFFIXES = [".csv", ".discs.csv", ".discs.mrk.json", ".discs.nii.gz", ".discs.png", ".mrk.json", ".report.txt"]


def names_of(path) -> list[str]:
    return [point["label"] for point in json.loads(path.read_text())["markups"][0]["controlPoints"]]


def test_every_format_is_written_and_there_the_next_time(tmp_path):
    folder, out = write_scans(tmp_path / "in", 3), tmp_path / "out"
    (first,) = run(folder, out, formats=ALL)
    assert first.status == DONE, first.message
    assert sorted(outputs(out)) == [f"scan0{suffix}" for suffix in SUFFIXES]
    assert names_of(out / "scan0.discs.mrk.json") == ["T1/T2", "T2/T3"]
    assert names_of(out / "scan0.mrk.json") == ["T1", "T2", "T3"]
    assert (out / "scan0.report.txt").read_text().startswith("3 vertebrae were labeled: T1 to T3.\n")
    (again,) = run(folder, out, formats=ALL)
    assert again.status == PRESENT


def test_discs_follow_points_that_a_person_corrects(tmp_path):
    folder, out = write_scans(tmp_path / "in", 3), tmp_path / "out"
    run(folder, out, formats=ALL)
    data = json.loads((out / "scan0.mrk.json").read_text())
    for point, level in zip(data["markups"][0]["controlPoints"], ("T2", "T3", "T4")):
        point["label"] = level
    (out / "scan0.mrk.json").write_text(json.dumps(data))
    later = (out / "scan0.mrk.json").stat().st_mtime + 5
    os.utime(out / "scan0.mrk.json", (later, later))
    (result,) = run(folder, out, formats=ALL)
    assert result.status == DONE and result.kept
    assert names_of(out / "scan0.discs.mrk.json") == ["T2/T3", "T3/T4"]
    assert "T2 to T4" in (out / "scan0.report.txt").read_text()
    assert "What the labeling warned of is not recorded." in (out / "scan0.report.txt").read_text()


def test_files_of_discs_are_neither_scans_nor_points_of_another_one(tmp_path):
    folder = write_scans(tmp_path / "in", 3)
    run(folder, folder, formats=ALL)  # into the folder of the scans
    found = find_scans([folder])
    assert [job.name for job in found.jobs] == ["scan0"]
    assert ("scan0.discs.nii.gz", "named as disc labels of this program: rename it if it is a CT") in [
        (s.path.split("/")[-1], s.reason) for s in found.skipped
    ]
    (again,) = run(folder, folder, formats=ALL)
    assert again.status == PRESENT and again.name == "scan0"


def test_a_scan_that_is_called_as_files_of_discs_gets_another_name(tmp_path):
    folder, out = write_scans(tmp_path / "in", 3), tmp_path / "out"
    sitk.WriteImage(to_sitk(body(balls=balls(2), radius_mm=5)), str(folder / "scan0.discs.mha"))
    results = run(folder, out, formats=("mrk.json", *DISCS.values()))
    assert {result.status for result in results} == {DONE}
    assert names_of(out / "scan0.discs.mrk.json") == ["T1/T2", "T2/T3"]
    assert names_of(out / "scan0_discs.mrk.json") == ["T1", "T2"]
    assert safe_name("a.DISCS") == "a_DISCS" and safe_name("a.discs.b") == "a.discs.b"


@pytest.mark.parametrize("name", list(WRITERS))
def test_a_file_name_tells_one_scan_and_format(name):
    suffix = WRITERS[name].suffix
    assert name_in(f"ct.x{suffix}", suffix) == "ct.x" and name_in(f"ct{suffix.upper()}", suffix) == "ct"
    others = [writer.suffix for writer in WRITERS.values() if writer.suffix != suffix]
    assert not any(name_in(f"ct.x{suffix}", other) for other in others)
