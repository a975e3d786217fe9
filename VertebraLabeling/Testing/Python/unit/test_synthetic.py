"""Synthetic CT: determinism, truth in the bodies, Hounsfield units, no forbidden patient."""

from __future__ import annotations

import numpy as np
import pytest
from VertebraLabelingLib.anatomy import LEVEL_INDEX
from VertebraLabelingLib.training.synthetic import synthesize
from VertebraLabelingLib.training.synthetic_sources import FORBIDDEN, LabelMapSource, sources
from VertebraLabelingLib.training.synthetic_warp import draw_warp
from VertebraLabelingLib.volume import ras_to_ijk

SPACING = 3.0
LEVELS = ("T11", "T12", "L1", "L2", "L3")


def phantom() -> LabelMapSource:
    """Five box vertebrae with a canal and arches in a block of liver, 3 mm voxels."""
    labels = np.zeros((70, 50, 60), dtype=np.uint8)
    labels[:, 10:46, 6:54] = 6
    labels[:, 4:12, 8:52] = 0
    names = {6: "liver", 7: "spinal_cord"}
    truth = {}
    for number, level in enumerate(reversed(LEVELS)):
        low = 4 + number * 13
        labels[low : low + 10, 20:32, 22:38] = 10 + number
        labels[low : low + 10, 8:20, 26:34] = 10 + number
        names[10 + number] = f"vertebrae_{level}"
        labels[low + 10 : low + 13, 20:32, 22:38] = 0
        truth[level] = np.array([29.5, 25.5, low + 4.5]) * SPACING
    labels[:, 15:20, 28:32] = 7
    return LabelMapSource("phantom", labels, names, SPACING, truth)


def body_errors(case) -> dict[str, float]:
    """Distance from the truth to the centre of mass of the painted body, mm, of every level that is not cut."""
    errors = {}
    for level, ras in case.truth.items():
        if level in case.cut:
            continue
        k, j, i = np.nonzero(case.bodies == LEVEL_INDEX[level] + 1)
        assert len(k), f"{level} has truth but no body was painted"
        ijk = ras_to_ijk(case.volume, [ras])[0]
        errors[level] = float(np.linalg.norm((np.array([i.mean(), j.mean(), k.mean()]) - ijk) * case.volume.spacing))
    return errors


def test_the_same_seed_gives_the_same_case_and_another_seed_another():
    first, again, other = (synthesize(phantom(), seed) for seed in (3, 3, 4))
    assert np.array_equal(first.volume.array, again.volume.array)
    assert first.truth == again.truth and first.cut == again.cut
    assert first.volume.array.shape != other.volume.array.shape or not np.array_equal(
        first.volume.array, other.volume.array
    )


@pytest.mark.parametrize("seed", range(3))
def test_truth_stays_in_the_centre_of_the_bent_bodies(seed):
    case = synthesize(phantom(), seed, with_bodies=True)
    errors = body_errors(case)
    assert len(errors) >= 3
    assert max(errors.values()) < 3.0
    for level, ras in case.truth.items():
        i, j, k = np.rint(ras_to_ijk(case.volume, [ras])[0]).astype(int)
        assert level in case.cut or case.bodies[k, j, i] == LEVEL_INDEX[level] + 1


@pytest.mark.parametrize("seed", range(3))
def test_tissues_have_their_hounsfield_units(seed):
    case = synthesize(phantom(), seed, with_bodies=True)
    array = case.volume.array
    assert array.dtype == np.int16
    assert array.min() >= -1000 and array.max() <= 3071
    assert array[:, -2:, :2].mean() < -900, "the corners of the image are air"
    assert 30 < array[case.bodies > 0].mean() < 900


def test_a_point_goes_through_the_warp_and_back():
    rng = np.random.default_rng(0)
    for seed in range(5):
        warp = draw_warp(np.array([150.0, 120.0]), 600.0, np.random.default_rng(seed))
        points = rng.uniform((20, 20, 0), (280, 240, 600), (200, 3))
        assert np.abs(warp.pull(warp.push(points)) - points).max() < 0.05


def test_no_case_is_made_of_a_patient_that_is_scored(shared_data):
    names = [source.name for source in sources(shared_data)]
    assert names, "the data folder has label maps"
    assert not [name for name in names if any(patient in name for patient in FORBIDDEN)]


def test_the_sources_of_the_data_folder_keep_truth_in_the_bodies(shared_data):
    for source in sources(shared_data)[-1:]:
        errors = body_errors(synthesize(source, 1, with_bodies=True))
        assert max(errors.values()) < 3.0
