"""What a person has changed is kept, and other formats follow it; points of another model are not already there."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from ball_labeler import BallLabeler
from owned_batch import A, B, correct, label, one, patient
from VertebraLabelingLib.batch.scan_job import DONE, FAILED, PRESENT
from VertebraLabelingLib.core.label_warning import SHIFT, LabelWarning


@pytest.mark.parametrize("status", ["moved", "confirmed"])
@pytest.mark.parametrize("saved_by", ["slicer", "us"])
def test_what_was_corrected_is_never_overwritten(tmp_path, status, saved_by):
    path = patient(tmp_path / "ct.nii", A)
    out = tmp_path / "out"
    one(path, out, formats=("mrk.json", "csv"))
    points = out / "ct.mrk.json"
    origin = json.loads(points.read_text())["vertebraLabeling"]
    correct(points, status)
    if saved_by == "us":
        points.write_text(json.dumps({**json.loads(points.read_text()), "vertebraLabeling": origin}))
    before, labeler = points.read_bytes(), BallLabeler()
    result = one(path, out, formats=("mrk.json", "csv"), overwrite=True, labeler=labeler)
    assert points.read_bytes() == before and labeler.count == 0 and result.kept
    assert any("was changed by a person, so its points are kept" in warning for warning in result.warnings)
    assert f",{status}" in (out / "ct.csv").read_text(), "the other formats are made from the corrected points"


class Doubtful(BallLabeler):
    """Is hardly sure of any level, and says that they may be shifted."""

    def label(self, *arguments, **options):
        labels = super().label(*arguments, **options)
        points = (replace(point, confidence=0.17) for point in labels.points)
        return replace(labels.with_points(points), warnings=(LabelWarning(SHIFT),))


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(("status", "first"), [("moved", 0.17), ("confirmed", 1.0)])
def test_a_moved_point_settles_no_doubt_in_the_next_run(tmp_path, status, first, overwrite):
    """A drag says where a vertebra is; which one it is stays as unsure as before."""
    scans, out = tmp_path / "scans", tmp_path / "out"
    path = str(patient(scans / "ct.nii", A))
    patient(scans / "other.nii", B)
    before = label(scans, out, labeler=Doubtful())[path]
    correct(out / "ct.mrk.json", status)
    results = label(scans, out, formats=("mrk.json", "csv"), labeler=Doubtful(), overwrite=overwrite)
    after = results[path]
    assert [point[4] for point in before.points] == [0.17] * A
    assert [point[4] for point in after.points] == [first, *[0.17] * (A - 1)]
    told = json.loads((out / "summary.json").read_text())["scans"][0]
    assert (told["name"], told["confidence"]) == ("ct", 0.17)
    for warnings in (after.warnings, told["warnings"]):
        assert str(LabelWarning(SHIFT)) in warnings
    rows = (out / "ct.csv").read_text().splitlines()
    assert rows[1].endswith(f",{first:.4f},{status}") and rows[2].endswith(",0.1700,predicted")
    assert '<article class="low"><h2>ct</h2>' in (out / "review.html").read_text()


CHANGES = {
    "moved": lambda points: points[0]["position"].__setitem__(2, 1.5),
    "renamed": lambda points: points[0].update(label="C1"),
    "deleted": lambda points: points.pop(),
    "unplaced": lambda points: points[1].update(positionStatus="undefined"),
    "added": lambda points: points.append({**points[0], "label": "L5"}),
}


@pytest.mark.parametrize("keeps_what_it_does_not_know", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_without_saying_so_is_not_overwritten_either(tmp_path, change, keeps_what_it_does_not_know):
    """Slicer leaves the status of a point that is dragged without our panel, and its name, as it was."""
    path, points = patient(tmp_path / "ct.nii", A), tmp_path / "out" / "ct.mrk.json"
    one(path, tmp_path / "out")
    data = json.loads(points.read_text())
    CHANGES[change](data["markups"][0]["controlPoints"])
    if not keeps_what_it_does_not_know:
        del data["vertebraLabeling"]
    points.write_text(json.dumps(data))
    before = points.read_bytes()
    result = one(path, tmp_path / "out", overwrite=True)
    assert points.read_bytes() == before and "changed by a person" in result.message


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_points_that_lie_outside_the_scan_are_not_passed_on(tmp_path, axis):
    """Corrected points of another scan, saved under the name of this one."""
    path, out = patient(tmp_path / "ct.nii", A), tmp_path / "out"
    one(path, out)
    correct(out / "ct.mrk.json")
    data = json.loads((out / "ct.mrk.json").read_text())
    for point in data["markups"][0]["controlPoints"]:
        point["position"][axis] += 400
    (out / "ct.mrk.json").write_text(json.dumps(data))
    before = (out / "ct.mrk.json").read_bytes()
    result = one(path, out, formats=("mrk.json", "csv", "verse.json"))
    assert result.status == FAILED and "mm outside this scan" in result.message
    assert (out / "ct.mrk.json").read_bytes() == before
    assert not (out / "ct.csv").exists() and not (out / "ct.verse.json").exists()


def test_a_point_just_beyond_the_edge_is_a_vertebra_that_is_cut(tmp_path):
    path, out = patient(tmp_path / "ct.nii", A), tmp_path / "out"
    one(path, out)
    data = json.loads((out / "ct.mrk.json").read_text())
    data["markups"][0]["controlPoints"][0]["position"][2] = 180  # the scan ends at 170.5
    (out / "ct.mrk.json").write_text(json.dumps(data))
    assert one(path, out, formats=("mrk.json", "csv")).status == DONE


def test_other_formats_follow_a_correction(tmp_path):
    path, out = patient(tmp_path / "ct.nii", A), tmp_path / "out"
    one(path, out, formats=("mrk.json", "csv", "verse.json"))
    correct(out / "ct.mrk.json")
    assert one(path, out, formats=("mrk.json", "csv")).status == DONE
    assert ",moved" in (out / "ct.csv").read_text()
    assert one(path, out, formats=("mrk.json", "csv")).status == PRESENT


class OtherModel(BallLabeler):
    weights_sha256 = "b" * 64

    def label(self, *arguments, **options):
        labels = super().label(*arguments, **options)
        provenance = {"model": "other", "weights_sha256": self.weights_sha256}
        return type(labels)(labels.points[:1], labels.warnings, provenance)


class FirstModel(OtherModel):
    weights_sha256 = "a" * 64


def test_points_of_another_model_are_not_already_there(tmp_path):
    path, out = patient(tmp_path / "ct.nii", A), tmp_path / "out"
    assert one(path, out, labeler=FirstModel()).status == DONE
    assert one(path, out, labeler=FirstModel()).status == PRESENT
    again = one(path, out, labeler=OtherModel())
    assert again.status == DONE and any("were those of other: the scan was labeled again" in w for w in again.warnings)
    data = json.loads((out / "ct.mrk.json").read_text())["vertebraLabeling"]
    assert data["weights_sha256"] == "b" * 64
    before = correct(out / "ct.mrk.json")
    assert one(path, out, labeler=FirstModel()).status == PRESENT
    assert (out / "ct.mrk.json").read_bytes() == before
