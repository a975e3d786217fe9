"""Points carried to another scan of a made-up patient: moved, bent, in part, as MR; and what must be refused."""

from __future__ import annotations

import numpy as np
import pytest
from textured_patient import LEVELS, patient
from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import Cancelled, InputError
from VertebraLabelingLib.registration.carry import NoFitError, carry
from VertebraLabelingTraining.evaluation.moved_patient import Pose, as_mr, part_around, scanned_again

FAR = Pose(turn_deg=(4.0, -3.0, 5.0), shift_mm=(60.0, -45.0, 170.0))
TURNED = Pose(turn_deg=(14.0, 3.0, 0.0), shift_mm=(-20.0, 30.0, 10.0))
BENT = Pose(turn_deg=(0.0, 2.0, 0.0), shift_mm=(15.0, 10.0, -60.0), bend_deg=(18.0, -6.0))
MOST_MM = 2.0


def errors(carried, truth: SpineLabels) -> np.ndarray:
    return np.array([np.linalg.norm(np.subtract(p.ras, truth.by_level[p.level].ras)) for p in carried.labels.points])


@pytest.fixture(scope="module")
def moved():
    """The patient in three poses, with truth."""
    volume, labels = patient()
    return {
        name: scanned_again(volume, labels, pose) for name, pose in (("far", FAR), ("turned", TURNED), ("bent", BENT))
    }


@pytest.mark.parametrize(
    ("pose", "contrast"),
    [
        ("turned", "CT"),
        ("bent", "T2"),
        *(
            pytest.param(pose, contrast, marks=pytest.mark.long)
            for pose, contrast in (
                ("far", "T1"),
                ("turned", "T2"),
                ("bent", "CT"),
                ("bent", "STIR"),
            )
        ),
    ],
)
def test_vertebrae_are_found_in_another_pose_and_contrast(moved, pose, contrast):
    volume, labels = patient()
    target, truth = moved[pose]
    carried = carry(volume, labels, as_mr(target, contrast, np.random.default_rng(1)))
    assert [point.level for point in carried.labels.points] == list(LEVELS) and not carried.left_out
    assert errors(carried, truth).max() < MOST_MM
    assert 0.5 <= carried.error_mm < 3.0 and not carried.same_frame
    assert "by registration, estimated error" in str(carried)


def carried_far(moved):
    volume, labels = patient()
    points = tuple(type(p)(p.level, p.ras, 0.42, "moved") for p in labels.points)
    return carry(volume, SpineLabels(points), moved["far"][0])


def test_confidence_and_status_go_along_the_voxels_stay_and_the_same_call_gives_the_same_places(moved):
    volume, _ = patient()
    before = volume.array.copy(), moved["far"][0].array.copy()
    first, second = carried_far(moved), carried_far(moved)
    assert {(p.confidence, p.status) for p in first.labels.points} == {(0.42, "moved")}
    np.testing.assert_array_equal(volume.array, before[0])
    np.testing.assert_array_equal(moved["far"][0].array, before[1])
    assert first.labels == second.labels and first.errors_mm == second.errors_mm


def test_vertebrae_outside_the_other_scan_are_left_out_by_name(moved):
    volume, labels = patient()
    target, truth = moved["far"]
    shown = np.array([truth.by_level[level].ras for level in LEVELS[:5]])
    carried = carry(volume, labels, part_around(target, shown, (50.0, 60.0, 10.0)))
    assert [p.level for p in carried.labels.points] == list(LEVELS[:5]) and carried.left_out == LEVELS[5:]
    assert errors(carried, truth).max() < MOST_MM
    assert str(carried).endswith(f"outside the scan: {', '.join(LEVELS[5:])}.")


@pytest.mark.parametrize("order", [(2, 1, 0), (0, 2, 1)], ids=["sagittal", "coronal"])
def test_the_order_of_the_voxels_does_not_matter(moved, order):
    volume, labels = patient()
    target, truth = moved["far"]
    matrix = target.ijk_to_ras.copy()
    matrix[:, :3] = matrix[:, [2 - axis for axis in order[::-1]]]
    turned = Volume(target.array.transpose(order)[:, ::-1], matrix)
    flip = np.diag([1.0, -1.0, 1.0, 1.0])
    flip[1, 3] = turned.array.shape[1] - 1
    turned = Volume(turned.array, matrix @ flip)
    assert errors(carry(volume, labels, turned), truth).max() < MOST_MM


@pytest.mark.parametrize(
    ("seed", "contrast"),
    [
        (1, "CT"),
        *(pytest.param(*each, marks=pytest.mark.long) for each in ((2, "CT"), (3, "CT"), (1, "T1"), (2, "T1"))),
    ],
)
def test_another_patient_is_refused(seed, contrast):
    volume, labels = patient()
    other = as_mr(patient(seed)[0], contrast, np.random.default_rng(0))
    with pytest.raises(NoFitError, match=r"The points were not carried: .*\.$"):
        carry(volume, labels, other)


def test_a_scan_of_another_part_is_refused(moved):
    volume, labels = patient()
    target, truth = moved["far"]
    below = truth.by_level[LEVELS[-1]].ras
    upper = SpineLabels(tuple(p for p in labels.points if p.level in LEVELS[:4]))
    with pytest.raises(NoFitError, match="not carried"):
        carry(volume, upper, part_around(target, np.array([below]), (60.0, 60.0, 20.0)))


def scan_at(volume: Volume, offset) -> Volume:
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] += offset
    return Volume(volume.array, matrix)


def test_one_frame_of_reference_needs_no_computing(moved):
    volume, labels = patient()
    carried = carry(volume, labels, Volume(np.flip(volume.array), volume.ijk_to_ras), same_frame=True)
    assert carried.labels.points == labels.points and carried.same_frame and carried.error_mm == 0
    assert "nothing to compute" in str(carried)
    part = part_around(volume, np.array([p.ras for p in labels.points[:3]]), (30.0, 30.0, 5.0))
    carried = carry(volume, labels, part, same_frame=True)
    assert [p.level for p in carried.labels.points] == list(LEVELS[:3]) and carried.left_out == LEVELS[3:]
    with pytest.raises(NoFitError, match="does not show any of these vertebrae"):
        carry(volume, labels, scan_at(volume, (500.0, 0.0, 0.0)), same_frame=True)


def test_what_has_no_contrast_or_no_curve_is_refused(moved):
    volume, labels = patient()
    flat = Volume(np.full((40, 40, 40), 7, np.int16), np.diag([3.0, 3.0, 3.0, 1.0]))
    with pytest.raises(InputError, match="same value"):
        carry(volume, labels, flat)
    with pytest.raises(InputError, match="at least two vertebrae"):
        carry(volume, SpineLabels(labels.points[:1]), moved["far"][0])


def labels_in(volume: Volume, kinds: int) -> Volume:
    """A label map: patches of whole numbers in a background of 0."""
    k, j, i = np.indices(volume.array.shape) // 8
    return Volume(np.where((k + j) % 3, (k * 7 + j * 3 + i) % kinds, 0).astype(np.uint8), volume.ijk_to_ras)


@pytest.mark.parametrize("kinds", [2, 25, 250])
def test_a_label_map_is_no_scan(moved, kinds):
    """Neither of the two, and also where nothing has to be computed."""
    volume, labels = patient()
    for same_frame in (True, False):
        with pytest.raises(InputError, match="The other scan is a label map"):
            carry(volume, labels, labels_in(volume, kinds), same_frame=same_frame)
    with pytest.raises(InputError, match="The scan of the points is a label map"):
        carry(labels_in(volume, kinds), labels, moved["far"][0])


def test_an_mr_of_few_gray_values_is_a_scan(moved):
    volume, labels = patient()
    values = np.clip(volume.array / 8 + 60 + np.random.default_rng(3).normal(0, 2, volume.array.shape), 0, 255)
    values[volume.array < -900] = 0
    carried = carry(volume, labels, Volume(values.astype(np.uint8), volume.ijk_to_ras), same_frame=True)
    assert carried.labels.points == labels.points


def test_it_tells_what_it_does_and_can_be_cancelled(moved):
    volume, labels = patient()
    told = []
    carry(volume, labels, moved["far"][0], progress=lambda fraction, what: told.append((fraction, what)))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] == 1
    with pytest.raises(Cancelled):
        carry(volume, labels, moved["far"][0], cancelled=lambda: True)


def test_three_vertebrae_contradict_nothing_so_they_are_refused(moved):
    volume, labels = patient()
    with pytest.raises(NoFitError, match="fewer than 4 of the labeled vertebrae"):
        carry(volume, SpineLabels(labels.points[:3]), moved["far"][0])
