"""Disease and implants of synthetic CT: each changes what it should, where it should, and the truth follows."""

from __future__ import annotations

import numpy as np
import pytest
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX
from VertebraLabelingTraining.synthetic import disease as disease
from VertebraLabelingTraining.synthetic.anatomy import DISC, prepare
from VertebraLabelingTraining.synthetic.local import frames
from VertebraLabelingTraining.synthetic.paint import draw_patient, paint
from VertebraLabelingTraining.synthetic.scanner import scan
from VertebraLabelingTraining.synthetic.sources import LabelMapSource

SPACING = 2.0
LEVELS = ("T12", "L1", "L2", "L3")


@pytest.fixture(scope="module")
def painted():
    """Four box vertebrae of 28 x 24 x 24 mm with discs of 8 mm, painted; never changed by a test."""
    labels = np.zeros((76, 60, 120), dtype=np.uint8)
    labels[:, 10:50, 8:112] = 6
    names, truth = {6: "liver", 7: "spinal_cord", 30: "rib_left_12", 31: "rib_right_12"}, {}
    for number, level in enumerate(reversed(LEVELS)):
        low = 6 + number * 16
        labels[low : low + 16, 24:38, 52:68] = 0
        labels[low : low + 12, 24:38, 52:68] = labels[low : low + 12, 12:24, 54:66] = 10 + number
        names[10 + number] = f"vertebrae_{level}"
        truth[level] = np.array([59.5, 30.5, low + 5.5]) * SPACING
    labels[:, 19:24, 57:63] = 7
    labels[58:62, 24:28, 2:52], labels[58:62, 24:28, 68:118] = 30, 31
    anatomy = prepare(LabelMapSource("phantom", labels, names, SPACING, truth))
    patient = draw_patient(anatomy, np.random.default_rng(0))
    return anatomy, patient, paint(anatomy, patient, np.random.default_rng(1))


def frame_of(anatomy, level):
    return next(frame for frame in frames(anatomy.truth) if frame.level == level)


def mass_center(bodies, level):
    return np.array([axis.mean() for axis in np.nonzero(bodies == LEVEL_INDEX[level] + 1)])[::-1] * SPACING


@pytest.mark.parametrize("seed", range(6))
def test_a_fractured_body_loses_height_and_its_truth_follows_its_mass(painted, seed):
    anatomy, _, hu = painted
    bodies = anatomy.bodies.copy()
    center = disease._fracture(hu.copy(), bodies, anatomy, frame_of(anatomy, "L2"), np.random.default_rng(seed))
    number = LEVEL_INDEX["L2"] + 1
    assert (bodies == number).sum() < 0.97 * (anatomy.bodies == number).sum()
    moved = mass_center(bodies, "L2") - mass_center(anatomy.bodies, "L2")
    assert np.allclose(center - anatomy.truth["L2"], moved, atol=1e-6)
    assert np.linalg.norm(moved) < 4.0
    for other in ("T12", "L1", "L3"):
        assert np.array_equal(bodies == LEVEL_INDEX[other] + 1, anatomy.bodies == LEVEL_INDEX[other] + 1)


def test_fusion_turns_discs_into_bone(painted):
    anatomy, patient, hu = painted
    changed = hu.copy()
    disease._fuse(changed, anatomy, patient, frames(anatomy.truth), np.random.default_rng(2))
    difference = changed != hu
    assert difference.any()
    assert (anatomy.labels[difference] == DISC).all()


def test_screws_are_metal_from_behind_into_the_bodies_and_cast_streaks(painted):
    anatomy, _, hu = painted
    changed = hu.copy()
    disease._screws(changed, anatomy, frames(anatomy.truth), np.random.default_rng(3))
    metal = changed > 2500.0
    assert metal.any()
    _, rows, columns = np.nonzero(metal)
    center = anatomy.truth["L2"] / SPACING
    assert rows.min() < center[1] - 12 and rows.max() > center[1], "from the arches into the body"
    assert columns.min() < center[0] - 4 and columns.max() > center[0] + 4, "on both sides"
    scanned, plain = (scan(image, SPACING, np.random.default_rng(4)) for image in (changed, hu.copy()))
    touched = metal.any(axis=(1, 2))
    away = ~metal & (hu > -900.0)
    assert np.abs(scanned[touched][away[touched]] - plain[touched][away[touched]]).mean() > 3.0
    assert scanned.max() > 2000


def test_short_ribs_vanish_only_far_from_the_spine(painted):
    anatomy, patient, hu = painted
    changed = hu.copy()
    disease._shorten_last_ribs(changed, anatomy, patient, np.random.default_rng(5))
    k, j, i = np.nonzero(changed != hu)
    assert len(k)
    assert np.linalg.norm(np.stack([i, j, k], 1) * SPACING - anatomy.truth["T12"], axis=1).min() > 44.0


def test_all_afflictions_together_keep_finite_values_and_named_levels(painted, monkeypatch):
    anatomy, patient, hu = painted
    for share in (
        "_FRACTURES",
        "_DEGENERATION",
        "_FUSION",
        "_LESIONS",
        "_CEMENT",
        "_SCREWS",
        "_SHORT_RIBS",
        "_SACRALISED",
    ):
        monkeypatch.setattr(disease, share, 1.0)
    for seed in range(3):
        changed, bodies = hu.copy(), anatomy.bodies.copy()
        truth = disease.afflict(changed, bodies, anatomy, patient, np.random.default_rng(seed))
        assert np.isfinite(changed).all()
        assert set(truth) == set(anatomy.truth)
        assert max(np.linalg.norm(truth[level] - anatomy.truth[level]) for level in truth) < 5.0
