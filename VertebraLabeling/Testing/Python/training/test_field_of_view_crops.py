"""Drawing random fields of view, and scoring what was made of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scored_crops import scored
from spine_factory import evidence, positions
from VertebraLabelingLib.core.anatomy import LEVELS, USUAL_LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.volume import Volume, apply_affine
from VertebraLabelingLib.formats.mrk_json import MarkupPoint
from VertebraLabelingLib.formats.truth import write_truth
from VertebraLabelingTraining.data.evidence_folder import Sample, evidence_path, read_samples, truth_path
from VertebraLabelingTraining.evaluation import field_of_view_crops
from VertebraLabelingTraining.evaluation.crop_scores import report, score_sample, share, table
from VertebraLabelingTraining.evaluation.draw_crops import FEWEST, MOST, draw_crop, patients_of, shares, whole_levels


def scan(levels=USUAL_LEVELS, cut=(), spacing=6.0) -> tuple[Volume, list[MarkupPoint]]:
    """A volume whose voxels hold their own height in the scan, around a spine."""
    points = positions(levels)
    low, high = points.min(axis=0) - 90, points.max(axis=0) + 90
    size = np.ceil((high - low) / spacing).astype(int)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = low
    heights = np.broadcast_to(np.arange(size[2])[:, None, None], size[::-1]).astype(np.int16)
    truth = [MarkupPoint(level, tuple(ras), "cut" if level in cut else "") for level, ras in zip(levels, points)]
    return Volume(heights, affine), truth


def test_a_crop_holds_3_to_12_whole_vertebrae_and_its_voxels_stay_where_they_were():
    volume, truth = scan()
    rng = np.random.default_rng(0)
    for _ in range(30):
        crop = draw_crop(volume, truth, rng)
        assert FEWEST <= len(crop.whole) <= MOST
        first = USUAL_LEVELS.index(crop.whole[0])
        assert crop.whole == USUAL_LEVELS[first : first + len(crop.whole)]
        part = crop.volume
        height = apply_affine(part.ijk_to_ras, [[0, 0, 5]])[0, 2]
        assert part.array[5, 0, 0] == pytest.approx((height - volume.ijk_to_ras[2, 3]) / 6.0)
        inside = [p for p in truth if p.level in crop.whole]
        low, high = part.corners.min(axis=0), part.corners.max(axis=0)
        assert all((low < p.ras).all() and (p.ras < high).all() for p in inside)


def test_crops_are_of_many_kinds_and_the_same_seed_draws_the_same():
    volume, truth = scan()
    rng, again = np.random.default_rng(3), np.random.default_rng(3)
    crops = [draw_crop(volume, truth, rng) for _ in range(30)]
    assert [c.whole for c in crops] == [draw_crop(volume, truth, again).whole for _ in range(30)]
    assert len({len(crop.whole) for crop in crops}) > 6
    assert {landmark for crop in crops for landmark in crop.landmarks} == {"dens", "first rib", "last rib", "sacrum"}
    assert any(not crop.landmarks for crop in crops)
    assert len({crop.volume.array.shape[1] for crop in crops}) > 4


def test_a_vertebra_that_the_scan_cuts_is_never_whole():
    volume, truth = scan(USUAL_LEVELS[5:12], cut=(USUAL_LEVELS[5],))
    rng = np.random.default_rng(0)
    crops = [draw_crop(volume, truth, rng) for _ in range(30)]
    assert all(USUAL_LEVELS[5] not in crop.whole for crop in crops)
    assert all(crop.landmarks == (("first rib",) if "T1" in crop.whole else ()) for crop in crops)


def test_a_vertebra_at_the_face_of_a_crop_is_not_whole():
    volume, truth = scan(spacing=4.0)
    ras = np.array(truth[10].ras)
    affine = volume.ijk_to_ras.copy()
    affine[2, 3] = ras[2] - 6.0  # the crop begins 6 + 2 mm below the center; neighbors are 22 mm away
    assert truth[10].level not in whole_levels(Volume(volume.array, affine), truth)
    affine[2, 3] = ras[2] - 10.0
    assert truth[10].level in whole_levels(Volume(volume.array, affine), truth)


def test_a_scan_with_two_whole_vertebrae_gives_no_crop():
    assert draw_crop(*scan(USUAL_LEVELS[:3], cut=("C1",)), np.random.default_rng(0)) is None


def test_patients_of_ct_share_two_fifths_of_the_crops_evenly(tmp_path):
    (tmp_path / "splits.json").write_text(json.dumps({"same_patient": {"ct/a1": ["ct/a2"]}}))
    names = ["ct/a1", "ct/a2", "ct/b", "openkbp/1", "openkbp/2", "openkbp/3", "openkbp/4"]
    patients = patients_of(tmp_path / "splits.json", names)
    assert patients["ct/a2"] == "ct/a1"
    counts = shares(patients, 100)
    assert [counts[p] for p in ("ct/a1", "ct/b")] == [20, 20]
    assert [counts[f"openkbp/{n}"] for n in (1, 2, 3, 4)] == [15, 15, 15, 15]


def test_a_crop_is_flagged_for_a_shift_or_for_a_low_confidence():
    assert scored(warned=True).flagged
    assert scored(lowest=0.69).flagged
    assert not scored(lowest=0.71).flagged


def test_a_crop_is_scored_as_the_product_labels_it():
    levels = USUAL_LEVELS[8:15]
    points = positions(levels)
    truth = dict(zip(levels, map(tuple, points)))
    good = score_sample(Sample(evidence(levels, points), truth, name="ct/x"), "p", ("dens",))
    assert (good.correct, good.count, good.missed) == (True, 7, ())
    shifted = dict(zip(USUAL_LEVELS[9:16], map(tuple, points)))
    bad = score_sample(Sample(evidence(levels, points), shifted, name="ct/x"), "p")
    assert not bad.correct
    assert len(bad.missed) == 7
    nothing = Evidence(np.empty((0, 3)), np.empty((0, 26)), np.empty(0), np.full(len(LEVELS), 0.5), np.zeros((8, 3)))
    lost = score_sample(Sample(nothing, truth, name="ct/x"), "p")
    assert (lost.correct, lost.flagged) == (False, True)


def test_an_interval_is_as_wide_as_the_patients_differ_not_as_crops_are_many():
    alike = [scored(patient=f"p{n % 10}", correct=n // 10 % 2 == 0) for n in range(100)]
    apart = [scored(patient=f"p{n % 10}", correct=n % 10 < 5) for n in range(100)]
    same, wide = (share(items, lambda item: True, lambda item: item.correct) for items in (alike, apart))
    assert same == {"n": 100, "share": 0.5, "interval": [0.5, 0.5]}
    assert wide["interval"][1] - wide["interval"][0] > 0.4
    assert share(alike, lambda item: False, lambda item: True)["share"] is None


def test_the_report_counts_anchored_and_flagged_crops():
    items = [
        scored(landmarks=("dens",)),
        scored(landmarks=("dens", "first rib"), correct=False, warned=True),
        scored(name="openkbp/b", correct=False),
        scored(name="openkbp/b", lowest=0.2),
    ]
    result = report(items)
    every = result["groups"]["all"]
    assert [
        every[key]["share"] for key in ("correct", "correct_with_landmark", "wrong_flagged", "correct_flagged")
    ] == [0.5] * 4
    assert result["groups"]["first rib"]["correct"]["n"] == 1
    assert result["groups"]["openkbp"]["correct_with_landmark"]["share"] is None
    assert len(result["crops"]) == 4
    assert "| dens | 50.0%" in table(result["groups"])
    json.dumps(result)


def test_the_command_scores_saved_crops_again(tmp_path, capsys):
    levels = USUAL_LEVELS[2:9]
    points = positions(levels)
    for name in ("ct/a__0", "openkbp/b__0"):
        for path in (evidence_path(tmp_path, name), truth_path(tmp_path, name)):
            path.parent.mkdir(parents=True, exist_ok=True)
        evidence_path(tmp_path, name).write_text(evidence(levels, points).to_json())
        write_truth(truth_path(tmp_path, name), dict(zip(levels, map(tuple, points))), frozenset(("C3",)))
    listed = {name: {"patient": name, "landmarks": ["first rib"]} for name in ("ct/a__0", "openkbp/b__0")}
    (tmp_path / "crops.json").write_text(json.dumps(listed))
    assert field_of_view_crops.main(["--data", str(tmp_path), "--out", str(tmp_path)]) == 0
    assert "| all | 100.0%" in capsys.readouterr().out
    assert [sample.cut for sample in read_samples(tmp_path)] == [frozenset(("C3",))] * 2
    assert json.loads((tmp_path / "report.json").read_text())["groups"]["ct"]["correct"]["n"] == 1


def test_the_command_says_where_crops_are_missing(tmp_path, capsys):
    assert field_of_view_crops.main(["--data", str(tmp_path), "--out", str(tmp_path)]) == 1
    assert "no crops" in capsys.readouterr().err
