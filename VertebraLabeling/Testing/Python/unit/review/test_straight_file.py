"""``--format straight.nii.gz``: the file, its points, and that neither is ever taken for a scan or for its points."""

from __future__ import annotations

import csv
import json

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from ball_batch import run
from ball_labeler import BallLabeler
from phantoms import affine, body
from VertebraLabelingLib.batch.inputs import find_scans
from VertebraLabelingLib.batch.outputs import OutputPlan
from VertebraLabelingLib.batch.scan_job import DONE, FAILED, PRESENT, label_one
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.errors import InputError, NotCtError
from VertebraLabelingLib.formats.mrk_json import read_labels, read_points, read_source
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk
from VertebraLabelingLib.review.straight_file import write_straight_volume
from VertebraLabelingLib.scans.read_scan import read_volume

BALLS = ((-6.0, 4.0, 20.0), (2.0, -3.0, 45.0), (5.0, 1.0, 72.0))
FORMATS = ("mrk.json", "straight.nii.gz")


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    volume = body((32, 40, 36), affine((2.5, 2.5, 3.0), (-44.0, -48.0, 0.0)), balls=BALLS)
    sitk.WriteImage(to_sitk(volume), str(folder / "ct.nii.gz"))
    return folder


def test_the_points_stand_in_the_balls_of_the_straightened_volume(scans, tmp_path):
    (result,) = run(scans, tmp_path / "out", formats=FORMATS)
    assert result.status == DONE
    assert sorted(result.files) == ["ct.mrk.json", "ct.straight.json", "ct.straight.nii.gz"]
    image = nibabel.load(tmp_path / "out" / "ct.straight.nii.gz")
    (markup,) = json.loads((tmp_path / "out" / "ct.straight.json").read_text())["markups"]
    places = [np.array(point["position"]) * (-1, -1, 1) for point in markup["controlPoints"]]  # LPS to RAS
    assert [point["label"] for point in markup["controlPoints"]] == ["T1", "T2", "T3"]
    for place in places:
        index = np.linalg.inv(image.affine) @ [*place, 1.0]
        i, j, k = index[:3].round().astype(int)
        assert image.dataobj[i, j, k] > 400  # a ball
        assert image.dataobj[i, j + 20, k] < 200  # 14 mm before it there is none
    heights = [place[2] for place in places]
    apart = np.linalg.norm(np.diff(BALLS[::-1], axis=0), axis=1)
    np.testing.assert_allclose(heights, -np.concatenate([[0], np.cumsum(apart)]), atol=2.5)
    assert image.get_data_dtype() == np.int16 and np.allclose(image.header.get_zooms(), 0.7)


def test_what_is_there_is_kept_and_what_is_missing_made_from_the_points(scans, tmp_path):
    out = tmp_path / "out"
    run(scans, out, formats=FORMATS)
    assert [result.status for result in run(scans, out, formats=FORMATS)] == [PRESENT]
    (out / "ct.straight.nii.gz").unlink()
    before = (out / "ct.mrk.json").read_bytes()
    (result,) = run(scans, out, formats=FORMATS)
    assert result.kept and (out / "ct.straight.nii.gz").exists() and (out / "ct.mrk.json").read_bytes() == before


def test_the_straightened_spine_is_refused_as_a_scan_whatever_it_is_called(scans, tmp_path):
    run(scans, tmp_path / "out", formats=FORMATS)
    renamed = tmp_path / "patient7.nii.gz"
    renamed.write_bytes((tmp_path / "out" / "ct.straight.nii.gz").read_bytes())
    with pytest.raises(NotCtError, match=r"patient7.nii.gz is a straightened spine.*give the CT itself"):
        read_volume(renamed)


def test_a_folder_that_holds_its_own_outputs_is_labeled_again_without_them(scans):
    run(scans, scans, formats=FORMATS)
    results = {result.name: result for result in run(scans, scans, formats=FORMATS)}
    assert results["ct"].status == PRESENT
    assert all("straightened spine" in result.message for name, result in results.items() if name != "ct")
    assert {result.status for name, result in results.items() if name != "ct"} <= {"skipped"}
    assert not list(scans.glob("ct.straight.mrk.json"))
    rows = list(csv.DictReader((scans / "summary.csv").open()))
    assert [row["case"] for row in rows if row["status"] in ("done", "present")] == ["ct"]


def test_points_of_a_straightened_spine_belong_to_no_scan(scans, tmp_path):
    run(scans, tmp_path / "out", formats=FORMATS)
    assert read_source(tmp_path / "out" / "ct.mrk.json") is not None
    straight = tmp_path / "out" / "ct.straight.json"
    assert read_source(straight) is None
    for read in (read_labels, read_points):
        with pytest.raises(InputError, match="places in a straightened spine, which are none in a patient"):
            read(straight)


def test_one_vertebra_gives_a_sentence_and_keeps_the_points(tmp_path):
    volume = body((20, 40, 36), affine((2.5, 2.5, 3.0), (-44.0, -48.0, 0.0)), balls=BALLS[:1])
    sitk.WriteImage(to_sitk(volume), str(tmp_path / "ct.nii.gz"))
    plan = OutputPlan(str(tmp_path / "out"), FORMATS)
    (job,) = find_scans([tmp_path / "ct.nii.gz"]).jobs
    result = label_one(job, BallLabeler(), plan)
    assert result.status == FAILED and result.files == ("ct.mrk.json",)
    assert "ct.straight.nii.gz was not written: A spine is straightened along at least two vertebrae" in result.message


def test_nothing_half_written_stays_where_the_disk_is_full(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise RuntimeError("itk::ERROR: gzwrite failed")

    volume = body((32, 40, 36), affine((2.5, 2.5, 3.0), (-44.0, -48.0, 0.0)), balls=BALLS)
    labels = SpineLabels(tuple(LabeledPoint(level, ras) for level, ras in zip(("T3", "T2", "T1"), BALLS)))
    monkeypatch.setattr(sitk, "WriteImage", full)
    with pytest.raises(OSError, match=r"disk may be full or read-only"):
        write_straight_volume(tmp_path / "a.straight.nii.gz", volume, labels)
    assert not list(tmp_path.iterdir())


def test_a_scan_whose_points_make_no_curve_is_refused(tmp_path):
    volume = body((8, 24, 20))
    with pytest.raises(InputError, match="at least two vertebrae"):
        write_straight_volume(tmp_path / "a.straight.nii.gz", volume, SpineLabels(()))
