"""Files under the names of outputs that this program has not made, as where outputs lie beside the scans."""

from __future__ import annotations

import os

import pytest
from owned_batch import A, B, correct, one, patient
from VertebraLabelingLib.batch.outputs import WRITERS
from VertebraLabelingLib.batch.scan_job import DONE, FAILED, PRESENT

OTHERS = [name for name in WRITERS if name not in ("mrk.json", "dicom", "straight.json")]


def put(path, content: bytes, age: float) -> None:
    path.write_bytes(content)
    os.utime(path, (path.stat().st_mtime - age,) * 2)


@pytest.mark.parametrize("age", [3600, -3600], ids=["older", "newer"])
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", OTHERS)
def test_a_format_that_is_asked_for_later_replaces_no_file_of_a_person(tmp_path, name, overwrite, age):
    path = patient(tmp_path / "ct.nii", A)
    one(path, tmp_path)
    theirs = tmp_path / f"ct{WRITERS[name].suffix}"
    put(theirs, b"a week of work", age)
    for _ in range(2):  # nor the next time
        result = one(path, tmp_path, formats=("mrk.json", name), overwrite=overwrite)
        assert theirs.read_bytes() == b"a week of work"
        assert result.status == FAILED and f"{theirs.name} is there and was not made by this program" in result.message
        assert theirs.name not in result.files and len(result.points) == A
    theirs.unlink()
    assert one(path, tmp_path, formats=("mrk.json", name)).status == DONE


def test_a_scan_that_is_called_as_the_straightened_one_of_another_is_not_replaced(tmp_path):
    path, other = patient(tmp_path / "ct.nii.gz", A), patient(tmp_path / "ct.straight.nii.gz", B)
    before = other.read_bytes()
    one(path, tmp_path)
    result = one(path, tmp_path, formats=("mrk.json", "csv", "straight.nii.gz"))
    assert other.read_bytes() == before and result.status == FAILED
    assert (tmp_path / "ct.csv").exists(), "one that is in the way costs no other"
    assert one(other, tmp_path, formats=("mrk.json", "csv")).points[0][0] == "T1"


def test_what_was_made_here_is_made_anew_whatever_was_asked_for_in_between(tmp_path):
    path, out = patient(tmp_path / "ct.nii", A), tmp_path / "out"
    every = ("mrk.json", "csv", "report.txt")
    one(path, out, formats=every)
    for formats in (("mrk.json",), ("mrk.json", "verse.json")):
        one(path, out, formats=formats)
    correct(out / "ct.mrk.json")
    assert one(path, out, formats=every).status == DONE and ",moved" in (out / "ct.csv").read_text()
    (out / "summary.jsonl").unlink()  # nobody knows: the points say that the name is the scan's
    assert one(path, out, formats=every, adopt=True).status == PRESENT
