"""The patient who is scanned again, and the measuring of carried points."""

from __future__ import annotations

import numpy as np
import pytest
from textured_patient import patient
from VertebraLabelingLib.review.curved_planar_reformation import sample
from VertebraLabelingTraining.evaluation import carry_scores
from VertebraLabelingTraining.evaluation.moved_patient import (
    CONTRASTS,
    Pose,
    as_mr,
    moved_vertebrae,
    part_around,
    scanned_again,
)

BENT = Pose((4.0, -3.0, 5.0), (10.0, -20.0, 60.0), (20.0, 8.0))


def test_vertebrae_keep_their_distances_and_turn_evenly():
    points = np.array([point.ras for point in patient()[1].points])
    places, turns = moved_vertebrae(points, BENT)
    apart = [np.linalg.norm(np.diff(each, axis=0), axis=1) for each in (points, places)]
    np.testing.assert_allclose(*apart, rtol=1e-9)
    np.testing.assert_allclose(places.mean(axis=0) - points.mean(axis=0), BENT.shift_mm, atol=1e-9)
    between = np.degrees([np.arccos((np.trace(a.T @ b) - 1) / 2) for a, b in zip(turns, turns[1:])])
    assert np.ptp(between) < 0.1 and between.sum() == pytest.approx(np.hypot(*BENT.bend_deg), abs=0.5)


def test_the_second_scan_shows_every_body_as_the_first_did():
    volume, labels = patient()
    again, truth = scanned_again(volume, labels, BENT, 2.0)
    offsets = np.random.default_rng(0).uniform(-6, 6, (200, 3))
    _, turns = moved_vertebrae(np.array([point.ras for point in labels.points]), BENT)
    for first, second, turn in zip(labels.points, truth.points, turns):
        before, after = sample(volume, first.ras + offsets), sample(again, second.ras + offsets @ turn.T)
        assert np.nanmedian(np.abs(before - after)) < 40


def test_an_unmoved_patient_is_the_same_scan():
    volume, labels = patient()
    again, truth = scanned_again(volume, labels, Pose(), 3.0)
    np.testing.assert_allclose([p.ras for p in truth.points], [p.ras for p in labels.points], atol=1e-6)
    middle = tuple(slice(size // 4, 3 * size // 4) for size in volume.array.shape)
    assert again.array.shape == volume.array.shape
    np.testing.assert_allclose(again.array[middle], volume.array[middle], atol=1.0)


@pytest.mark.parametrize("contrast", [name for name in CONTRASTS if name != "CT"])
def test_a_simulated_mr_has_no_hounsfield_units_and_is_made_alike_by_one_seed(contrast):
    volume, _ = patient()
    one, other = (as_mr(volume, contrast, np.random.default_rng(5)) for _ in range(2))
    assert one.array.min() >= 0 and one.array.dtype == np.int16 and (one.array == other.array).all()


def test_a_part_holds_its_vertebrae():
    volume, labels = patient()
    places = np.array([point.ras for point in labels.points[:3]])
    part = part_around(volume, places, (20.0, 20.0, 10.0))
    low, high = part.corners.min(axis=0), part.corners.max(axis=0)
    reach = np.array([17.0, 17.0, 7.0])
    assert (low <= places.min(axis=0) - reach).all() and (high >= places.max(axis=0) + reach).all()
    assert part.array.size < volume.array.size / 4


def test_the_table_counts_what_is_wrong_and_not_refused():
    line = {"case": "a", "task": "T1", "errors_mm": {"L1": 1.0, "L2": 3.0}, "estimates_mm": {"L1": 1.0}, "refused": ""}
    wrong = {**line, "case": "b", "errors_mm": {"L1": 30.0}}
    refused = {**wrong, "case": "c", "refused": "no"}
    other = {**line, "task": f"{carry_scores.OTHER}, CT", "errors_mm": {}}
    first, second = carry_scores.table([line, wrong, refused, other]).splitlines()[1:]
    assert first.split() == ["T1", "3", "1", "11.33", "30.00", "1.00", "1"]
    assert second.split()[-1] == "1"


@pytest.mark.long
def test_on_real_scans_nothing_wrong_is_carried(shared_data):
    lines = list(carry_scores.scores_of(shared_data / "ct", ["lidc002", "nlst_ohif"]))
    taken = [line for line in lines if not line["refused"]]
    assert not [line for line in taken if line["task"].startswith(carry_scores.OTHER)]
    assert len(taken) >= 8
    assert np.mean([error for line in taken for error in line["errors_mm"].values()]) < 3.0
    assert max(error for line in taken for error in line["errors_mm"].values()) < 10.0
