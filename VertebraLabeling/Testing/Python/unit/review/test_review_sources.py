"""Proposals and points of the review belong to scans: of two patients of one name neither gets the other's."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import SimpleITK as sitk
from ball_batch import balls
from phantoms import body
from VertebraLabelingLib.batch import workers
from VertebraLabelingLib.commands import cli
from VertebraLabelingLib.formats.mrk_json import read_labels
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk
from VertebraLabelingLib.review.review_decisions import read_decisions

pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def ball_labeler(monkeypatch):
    monkeypatch.setattr(workers, "LabelerSpec", partial(workers.LabelerSpec, factory="ball_labeler:BallLabeler"))


def patient(path: Path, count: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(to_sitk(body(balls=balls(count), radius_mm=5)), str(path))
    return path


def run(*arguments) -> int:
    return cli.main([str(argument) for argument in arguments])


def proposed(folder: Path) -> dict[str, int]:
    files = sorted((folder / "proposals").glob("*.mrk.json"))
    return {path.name[: -len(".mrk.json")]: len(read_labels(path).points) for path in files}


def test_two_patients_of_one_name_have_proposals_and_decisions_of_their_own(tmp_path, capsys):
    for folder, count in (("a", 3), ("b", 2)):
        assert run("review", patient(tmp_path / folder / "ct.nii", count), "-o", tmp_path / "r") == 0
    found = proposed(tmp_path / "r")
    (other,) = set(found) - {"ct"}
    assert found == {"ct": 3, other: 2}
    assert {row.case for row in read_decisions(tmp_path / "r" / "decisions.csv")} == set(found)
    assert f"{other}: The name ct belongs to another scan" in capsys.readouterr().out


def test_a_corrected_proposal_is_drawn_and_kept(tmp_path):
    scan, path = patient(tmp_path / "ct.nii", 3), tmp_path / "r" / "proposals" / "ct.mrk.json"
    assert run("review", scan, "-o", tmp_path / "r") == 0
    data = json.loads(path.read_text())
    data.pop("vertebraLabeling")  # as Slicer saves it
    data["markups"][0]["controlPoints"][0]["description"] = "confidence=1.00;status=confirmed"
    path.write_text(json.dumps(data))
    before = path.read_bytes()
    assert run("review", scan, "-o", tmp_path / "r") == 0
    assert path.read_bytes() == before and proposed(tmp_path / "r") == {"ct": 3}


def test_points_that_are_there_are_those_of_the_scan(tmp_path):
    first, second = patient(tmp_path / "a" / "ct.nii", 3), patient(tmp_path / "b" / "ct.nii", 2)
    assert run("label", first, "-o", tmp_path / "out") == 0
    assert run("review", second, "-o", tmp_path / "r2", "--labels", tmp_path / "out") == 0
    assert list(proposed(tmp_path / "r2").values()) == [2], "labeled, not taken from the other patient"
    moved = second.with_name("renamed.nii")
    moved.write_bytes(first.read_bytes())
    assert run("review", moved, "-o", tmp_path / "r3", "--labels", tmp_path / "out") == 0
    assert list(proposed(tmp_path / "r3").values()) == [3]


def test_what_is_found_and_not_reviewed_is_told(tmp_path, capsys):
    patient(tmp_path / "in" / "ct.nii", 3)
    (tmp_path / "in" / "lost.nii").symlink_to("nowhere")
    (tmp_path / "in" / "study.zip").write_bytes(b"x")
    assert run("review", tmp_path / "in", "-o", tmp_path / "r") == 1
    told = capsys.readouterr()
    assert "study.zip (not read" in told.out and "lost.nii is a link whose file is missing" in told.err


def test_a_decision_holds_for_the_points_that_it_was_made_on(tmp_path):
    """Other points under it, moved by a level, would be shifted twice or accepted unseen."""
    scan, labels, review = patient(tmp_path / "ct.nii", 3), tmp_path / "labels", tmp_path / "r"
    assert run("review", scan, "-o", review) == 0
    assert run("label", scan, "-o", labels) == 0
    path = labels / "ct.mrk.json"
    path.write_text(path.read_text().replace('"T3"', '"T4"').replace('"T2"', '"T3"').replace('"T1"', '"T2"'))
    table = review / "decisions.csv"
    table.write_text(table.read_text().replace("ct,,,,", "ct,shift,dens,+1,"))
    assert run("review", scan, "-o", review, "--labels", labels) == 0
    assert run("review", "--apply", table, "-o", tmp_path / "truth") == 0
    assert [p.level for p in read_labels(tmp_path / "truth" / "ct.mrk.json").points] == ["T2", "T3", "T4"]
    table.write_text(table.read_text().replace("ct,shift,dens,+1,", "ct,,,,"))
    assert run("review", scan, "-o", review, "--labels", labels) == 0
    assert [p.level for p in read_labels(review / "proposals" / "ct.mrk.json").points] == ["T2", "T3", "T4"]
