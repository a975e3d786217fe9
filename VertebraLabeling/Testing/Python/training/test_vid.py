"""Reading, describing and scoring the VID keypoint spines."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from spine_factory import WITH_T13, positions
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS, USUAL_LEVELS
from VertebraLabelingLib.core.spacing import EDGES, VERSE_SPACING
from VertebraLabelingLib.errors import InputError
from VertebraLabelingTraining.evaluation.chain_tuning import objective, score
from VertebraLabelingTraining.vid import evaluate_vid
from VertebraLabelingTraining.vid.vid_data import VidScan, mean_spacing, patient_of, read_vid
from VertebraLabelingTraining.vid.vid_levels import LevelModel, features, out_of_fold
from VertebraLabelingTraining.vid.vid_parameters import VID_SCORES
from VertebraLabelingTraining.vid.vid_pedicles import with_inferred


def made_up(levels, seed: int, patient: str = "p", scale: float = 1.0) -> VidScan:
    """A scan whose detections are its vertebrae, 1 mm off and in random order, and one false positive."""
    rng = np.random.default_rng(seed)
    points = positions(levels, scale)
    named = [level for level in levels if level != "T13"]
    truth = {level: tuple(points[levels.index(level)]) for level in named}
    region = np.array([["C", "T", "L"].index(level[0]) for level in levels])
    scores = np.where(region[:, None] == np.arange(3), 0.97, 0.03)
    order = rng.permutation(len(levels) + 1)
    bodies = np.concatenate([points + rng.normal(0, 0.5, points.shape), points[:1] + np.array([90.0, 0.0, 0.0])])[order]
    scores = np.concatenate([scores, [[0.05, 0.05, 0.3]]])[order]
    side = np.array([13.0, -25.0, 2.0])
    return VidScan(f"s{seed}", "", patient, truth, bodies, scores, points + side, points + side * (-1, 1, 1))


@pytest.fixture(scope="session")
def vid_folder(shared_data: Path) -> Path:
    folder = shared_data / "vid"
    if not (folder / "validation.jsonl.gz").is_file():
        pytest.skip("needs VID's keypoints in the data folder")
    return folder


@pytest.fixture(scope="session")
def validation(vid_folder: Path) -> list[VidScan]:
    return read_vid(vid_folder, "validation")


def test_a_scan_is_read_in_ras_with_its_source_and_patient(tmp_path):
    def item(position, **kind):
        return {"coordinates": {"world_space": position}, "type": kind}

    scan = {
        "id": "AbC",
        "truth": [item([1, 2, 3], spine_level="L1", keypoint_type="body"), item([0, 0, 0], keypoint_type="left")],
        "predictions": [
            item([1, 2, 4], keypoint_type="body", spine_segment_probabilities=[0.1, 0.2, 1.5]),
            item([5, 6, 7], keypoint_type="right", spine_segment_probabilities=[0, 0, 0]),
        ],
    }
    with gzip.open(tmp_path / "training.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps(scan) + "\n")
    (tmp_path / "mapping-export-Training.txt").write_text("aBc, Pancreas-CT/data/PANCREAS_0007.nii.gz\n")
    (read,) = read_vid(tmp_path, "training")
    assert read.truth == {"L1": (-1.0, -2.0, 3.0)}
    assert read.bodies.tolist() == [[-1.0, -2.0, 4.0]]
    assert read.scores.tolist() == [[0.1, 0.2, 1.0]]
    assert (len(read.left), read.right.tolist()) == (0, [[-5.0, -6.0, 7.0]])
    assert read.patient == "PANCREAS_0007"


@pytest.mark.parametrize(
    ("source", "patient"),
    [
        ("COLONOG/COLO1/1.3.6.1.4.1.9328.50.4.0138/01-01-2000-1-Abdomen-11712/6.0-PRONE-13397", "9328.50.4.0138"),
        ("COLONOG/COLO4/CTC-2971792019/08-09-2005-NA-NA-19739/5.000000-NA-30394", "CTC-2971792019"),
        ("Pancreas-CT/data/PANCREAS_0031", "PANCREAS_0031"),
        ("verse19/dataset-verse19test/rawdata/sub-verse417/sub-verse417_split-verse277_ct.mha", "sub-verse417"),
        ("verse20/01_training/rawdata/sub-gl047/sub-gl047_dir-ax_ct.mha", "sub-gl047"),
    ],
)
def test_the_patient_is_found_in_every_kind_of_source_path(source, patient):
    assert patient_of(source) == patient


def test_a_source_of_an_unknown_kind_is_refused():
    with pytest.raises(InputError):
        patient_of("elsewhere/0001.nii.gz")


def test_detections_are_matched_with_their_true_levels():
    scan = made_up(USUAL_LEVELS[10:22], seed=1)
    names = Counter(LEVELS[k] if k < len(LEVELS) else "" for k in scan.matched_levels())
    assert names == Counter([*USUAL_LEVELS[10:22], ""])


def test_a_detection_in_the_gap_between_t12_and_l1_is_t13():
    scan = made_up(WITH_T13[15:], seed=1)
    assert LEVEL_INDEX["T13"] in scan.matched_levels()


def test_mean_spacing_is_found_whatever_the_size_of_the_patients():
    rng = np.random.default_rng(0)
    spines = [made_up(USUAL_LEVELS, seed, scale=float(np.exp(rng.normal(0, 0.06)))) for seed in range(12)]
    factor = np.divide(mean_spacing(spines), [VERSE_SPACING[edge] for edge in EDGES])
    assert np.ptp(factor[: len(USUAL_LEVELS) - 3]) < 0.01
    assert 0.93 < factor[0] < 1.07


def test_features_do_not_depend_on_the_place_of_the_patient_or_the_order_of_detections():
    scan = made_up(USUAL_LEVELS[8:20], seed=3)
    order, rows = features(scan)
    back, away = np.arange(len(scan.bodies))[::-1], np.array([50.0, -20.0, 900.0])
    moved = VidScan(
        *(scan.name, scan.source, scan.patient, scan.truth, scan.bodies[back] + away, scan.scores[back]),
        *(scan.left + away, scan.right + away),
    )
    other, same = features(moved)
    assert back[other].tolist() == order.tolist()
    np.testing.assert_allclose(same, rows, atol=1e-9)


@pytest.mark.parametrize("level", ["T4", "T9", "L3"])
def test_a_body_that_was_missed_follows_from_its_pedicles(level):
    levels = USUAL_LEVELS[10:22]
    scan = made_up(levels, seed=2)
    missed = int(np.linalg.norm(scan.bodies - np.array(scan.truth[level]), axis=1).argmin())
    scan = replace(
        scan, bodies=np.delete(scan.bodies, missed, 0), scores=np.delete(scan.scores, missed, 0), inferred=None
    )
    assert LEVEL_INDEX[level] not in scan.matched_levels()
    more = with_inferred(scan)
    assert more.inferred.tolist() == [False] * len(scan.bodies) + [True]
    assert np.linalg.norm(more.bodies[-1] - scan.truth[level]) < 6
    assert more.matched_levels()[-1] == LEVEL_INDEX[level]
    assert more.scores[-1].max() <= 0.5


def test_nothing_is_inferred_where_every_body_was_detected_or_pedicles_are_missing():
    scan = made_up(USUAL_LEVELS[10:22], seed=2)
    none = np.empty((0, 3))
    for other in (scan, replace(scan, left=none), replace(scan, left=none, right=none)):
        assert with_inferred(other) is other


def test_the_level_model_learns_from_its_scans_and_gives_the_same_twice():
    crops = [(first, first + size) for first in range(4, 16, 2) for size in (6, 9)]
    scans = [made_up(USUAL_LEVELS[a:b], number, f"p{number}") for number, (a, b) in enumerate(crops)]
    model, again = LevelModel((0,)).fit(scans), LevelModel((0,)).fit(scans)
    evidence = model.evidence(scans[5])
    np.testing.assert_array_equal(again.evidence(scans[5]).unary, evidence.unary)
    true = scans[5].matched_levels()
    real = true < len(LEVELS)
    assert (evidence.unary[real].argmin(axis=1) == true[real]).mean() > 0.7
    assert evidence.detection[real].min() > evidence.detection[~real].max()


def test_out_of_fold_evidence_comes_from_other_patients():
    scans = [made_up(USUAL_LEVELS[a : a + 7], a, f"p{a}") for a in range(4, 16)]
    seen = LevelModel((0,)).fit(scans)
    unseen = out_of_fold(scans, folds=3, seeds=(0,))
    fit = [seen.evidence(scan).unary for scan in scans]
    assert all(np.abs(a - b.unary).max() > 0.1 for a, b in zip(fit, unseen))


def test_real_detections_are_named_rightly(validation):
    cases = score(evaluate_vid.to_samples(validation, [scan.evidence for scan in validation]), VID_SCORES)
    found, right = objective(cases)
    assert found >= 0.955
    assert right >= 0.85


def test_no_patient_of_validation_is_left_in_training_when_apart(vid_folder, validation):
    training = read_vid(vid_folder, "training")
    separate = evaluate_vid.apart(training, validation)
    patients = {scan.patient for scan in training}
    assert (len(training), len(validation), len(separate)) == (1947, 169, 1794)
    assert not {scan.patient for scan in separate} & {scan.patient for scan in validation}
    assert sum(scan.patient in patients for scan in validation) == 134
    np.testing.assert_allclose(VID_SCORES.spacing, mean_spacing(separate), atol=0.01)


def test_the_command_names_what_is_missing(tmp_path, capsys):
    assert evaluate_vid.main(["--data", str(tmp_path), "evaluate"]) == 1
    assert "training.jsonl.gz" in capsys.readouterr().err
