"""CT saved as a display window: its air comes back, and the user is told."""

from __future__ import annotations

import numpy as np
import pytest
from ct_habits import CT, volume
from VertebraLabelingLib.core.metrics import score_case
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.pipeline.labeler import VertebraLabeler
from VertebraLabelingLib.preprocessing.clipped_ct import window_floor, with_air
from VertebraLabelingLib.preprocessing.resampling import metal_free_block_mean
from VertebraLabelingLib.scans.read_scan import read_volume


@pytest.mark.parametrize("name", CT)
def test_a_ct_with_its_air_or_without_any_has_no_floor(name):
    assert window_floor(volume(CT[name])) is None


@pytest.mark.parametrize("low", (-160, -200, -500))
@pytest.mark.parametrize("dtype", (np.int16, np.float32))
def test_the_lower_end_of_a_window_is_found_and_becomes_air(low, dtype):
    cut = volume(np.clip(CT["plain"], low, 240).astype(dtype))
    assert window_floor(cut) == low
    filled = with_air(cut, low)
    np.testing.assert_array_equal(filled.array == -1000, cut.array == low)
    np.testing.assert_array_equal(filled.array[cut.array > low], cut.array[cut.array > low])
    assert window_floor(filled) is None


def test_a_bone_only_mask_keeps_its_zeros():
    bone = np.where(CT["plain"] > 200, CT["plain"], 0)
    assert window_floor(volume(bone)) is None


def test_the_sample_patient_is_named_rightly_from_a_soft_tissue_window(sample_ct, sample_truth):
    scan = metal_free_block_mean(read_volume(sample_ct), (3, 3, 1))
    labels = VertebraLabeler(device="cpu").label(Volume(np.clip(scan.array, -160, 240), scan.ijk_to_ras))
    truth = {level: point.ras for level, point in sample_truth.items()}
    cut = {level for level, point in sample_truth.items() if point.cut}
    score = score_case("demo", {point.level: point.ras for point in labels.points}, truth, cut)
    assert score.missed == () and score.false_positives == ()
    assert any("without its values below -160 HU" in text for text in map(str, labels.warnings))
