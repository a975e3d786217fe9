"""Implants look like bone to the networks; everything else stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
from VertebraLabelingLib.core.label_warning import REVIEW_KINDS, SOLVER_KINDS
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.core.volume import Volume, ijk_to_ras
from VertebraLabelingLib.pipeline import implants
from VertebraLabelingLib.pipeline.implants import levels_with_metal, warnings_of
from VertebraLabelingLib.pipeline.labeler import VertebraLabeler
from VertebraLabelingLib.preprocessing.metal import BONE_HU, METAL_HU, without_metal
from VertebraLabelingLib.preprocessing.prepared_scan import PreparedScan
from VertebraLabelingLib.preprocessing.resampling import metal_free_block_mean
from VertebraLabelingLib.scans.read_scan import read_volume

IMAGE = np.arange(-1000, 1250, 90).reshape(5, 5)


@pytest.mark.parametrize("dtype", (np.int16, np.int32, np.float32, np.float64))
def test_an_image_without_metal_is_not_copied(dtype):
    image = IMAGE.astype(dtype)
    assert without_metal(image) is image
    image[2, 2] = METAL_HU
    assert without_metal(image) is image


@pytest.mark.parametrize("dtype", (np.int16, np.int32, np.float32, np.float64))
def test_metal_becomes_bone_in_a_copy(dtype):
    image = IMAGE.astype(dtype)
    image[2, 2], image[4, 1] = 3071, METAL_HU + 1
    seen = without_metal(image)
    assert seen.dtype == dtype and seen[2, 2] == seen[4, 1] == BONE_HU and image[2, 2] == 3071
    others = np.ones(image.shape, bool)
    others[2, 2] = others[4, 1] = False
    np.testing.assert_array_equal(seen[others], image[others])


def test_metal_is_found_beside_nan_and_infinity_is_left_to_the_caller():
    seen = without_metal(np.array([np.nan, np.inf, 2000.0, 50.0], dtype=np.float32))
    np.testing.assert_array_equal(seen, np.array([np.nan, np.inf, BONE_HU, 50.0], dtype=np.float32))


@pytest.mark.parametrize("image", (np.empty((0, 3), np.float32), np.zeros((2, 2), bool), np.zeros((2, 2), np.uint8)))
def test_images_that_cannot_hold_metal_pass(image):
    assert without_metal(image) is image


@pytest.mark.parametrize("factors", [(1, 1, 1), (2, 2, 2), (3, 1, 4)], ids=str)
@pytest.mark.parametrize("dtype", (np.int16, np.uint16))
def test_whole_numbers_lose_their_metal_after_the_sums_as_others_do_before(dtype, factors):
    image = np.random.default_rng(0).integers(0, 3000, (9, 8, 7)).astype(dtype)
    for array in (image, image.transpose(2, 0, 1)[::-1], np.minimum(image, 1000)):
        sums, others = (
            metal_free_block_mean(Volume(each, np.eye(4)), factors).array for each in (array, array.astype(np.float32))
        )
        np.testing.assert_array_equal(sums, others)


def test_metal_does_not_spread_over_the_cells_of_the_working_grid():
    array = np.full((4, 4, 4), 200, dtype=np.int16)
    array[1, 1, 1] = 3000
    mean = metal_free_block_mean(Volume(array, np.eye(4)), (2, 2, 2)).array
    assert mean[0, 0, 0] == pytest.approx((7 * 200 + BONE_HU) / 8)


def spine_with_rod(levels, first_k, last_k, half=3):
    """Points 30 mm apart along K in 2 x 2 x 3 mm voxels of tissue, and a rod 12 mm behind those between two slices."""
    affine = np.array([[2.0, 0, 0, -40], [0, 2.0, 0, 60], [0, 0, 3.0, 500], [0, 0, 0, 1]])
    array = np.full((90, 60, 40), 40, dtype=np.int16)
    array[first_k:last_k, 24 - half : 24 + half, 20 - half : 20 + half] = 3000
    volume = Volume(array, affine)
    at = [(20, 30, 80 - 10 * row) for row in range(len(levels))]
    points = ijk_to_ras(volume, at)
    return volume, SpineLabels(tuple(LabeledPoint(name, tuple(ras)) for name, ras in zip(levels, points.tolist())))


@pytest.mark.parametrize("flipped", (False, True))
@pytest.mark.parametrize("most", (200_000, 100))
def test_the_user_is_told_at_which_vertebrae_metal_lies(flipped, most, monkeypatch):
    monkeypatch.setattr(implants, "MOST_VOXELS", most)
    volume, labels = spine_with_rod(("T9", "T10", "T11", "T12", "L1", "L2"), 48, 73)
    if flipped:
        affine = volume.ijk_to_ras @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 89], [0, 0, 0, 1]])
        volume = Volume(volume.array[::-1], affine)
    assert levels_with_metal(PreparedScan.of(volume), labels) == ["T10", "T11", "T12"]
    (told,) = warnings_of(["T10", "T11", "T12"])
    assert str(told) == "Metal or cement lies at T10-T12: vertebrae there may be missed or misplaced, check them."
    assert told.kind in REVIEW_KINDS - SOLVER_KINDS
    assert "at L1:" in str(warnings_of(["L1"])[0]) and warnings_of([]) == ()


@pytest.mark.parametrize(
    ("levels", "rod"),
    [
        (("T9", "T10", "T11"), (0, 0)),  # none
        (("T9", "T10", "T11"), (0, 20)),  # far below the last point
        (("T9", "T10", "T11"), (79, 81)),  # 0.4 cm3, as of a calcified disc
        (("C1", "C2"), (65, 90)),  # where teeth are as bright
    ],
)
def test_nothing_is_said_of_what_is_no_implant_at_the_spine(levels, rod):
    volume, labels = spine_with_rod(levels, *rod)
    assert levels_with_metal(PreparedScan.of(volume), labels) == []


@pytest.fixture(scope="module")
def scan(sample_ct):
    return metal_free_block_mean(read_volume(sample_ct), (2, 2, 1))


def test_cement_in_every_third_body_changes_no_name_of_the_sample_patient(scan, sample_truth):
    labels = VertebraLabeler(device="cpu").label(scan)
    array = scan.array.copy()
    whole = [level for level, point in sample_truth.items() if not point.cut]
    k, j, i = np.indices(array.shape, dtype=np.float32)
    places = ijk_to_ras(scan, np.stack([i.ravel(), j.ravel(), k.ravel()], axis=1))
    for level in whole[1::3]:
        near = np.linalg.norm(places - np.array(labels.by_level[level].ras), axis=1) < 9
        array[near.reshape(array.shape)] = 2000
    cemented = VertebraLabeler(device="cpu").label(Volume(array, scan.ijk_to_ras))
    assert any(text.startswith("Metal or cement lies at") for text in map(str, cemented.warnings))
    assert not any(text.startswith("Metal or cement") for text in map(str, labels.warnings))
    assert set(cemented.by_level) - set(sample_truth) == set()
    for level in whole:
        assert np.linalg.norm(np.subtract(cemented.by_level[level].ras, labels.by_level[level].ras)) < 8, level
