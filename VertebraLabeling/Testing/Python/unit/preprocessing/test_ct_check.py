"""What is a CT: every habit of storing one is let through, everything else is refused in one sentence."""

from __future__ import annotations

import time

import numpy as np
import pytest
from ct_habits import CT, RANDOM, SHAPE, volume
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import NotCtError
from VertebraLabelingLib.preprocessing.clipped_ct import window_floor
from VertebraLabelingLib.preprocessing.ct_check import check_ct, hounsfield_offset, to_hounsfield


@pytest.mark.parametrize("name", CT)
def test_a_ct_is_let_through(name):
    check_ct(volume(CT[name]))
    assert hounsfield_offset(volume(CT[name])) == 0


@pytest.mark.parametrize("name", ["plain", "int16", "low dose", "crop without air", "metal", "air blanked to -1000"])
def test_hu_plus_1024_is_recognised_and_shifted_back(name):
    stored = np.clip(CT[name] + 1024, 0, 65535)
    for dtype in (np.uint16, np.int32, np.float32):
        shifted = to_hounsfield(volume(stored.astype(dtype)))
        np.testing.assert_allclose(shifted.array, stored.astype(dtype).astype(np.float64) - 1024)


STEPS = {
    "steps of 8 HU": lambda hu: hu // 8 * 8 + 1024,
    "steps of 8 HU, from 0 to 4000": lambda hu: np.clip(hu // 8 * 8 + 1024, 0, 4000),
    "steps of 16 HU": lambda hu: np.clip(hu + 1024, 0, None) // 16 * 16,
    "steps of 8 HU, from 0 to 2000": lambda hu: np.clip(hu + 1024, 0, 2000) // 8 * 8,
}


@pytest.mark.parametrize("name", STEPS)
def test_hu_plus_1024_in_few_values_is_no_label_map(name):
    stored = volume(STEPS[name](CT["int16"].astype(np.int32)))
    assert len(np.unique(stored.array)) <= 256
    assert hounsfield_offset(stored) == -1024


LABELS = {
    "regions from 900 to 1150": lambda blocks: 900 + blocks % 250,
    "regions from 1000 to 1035": lambda blocks: 1000 + blocks % 36,
    "background and regions": lambda blocks: np.where(blocks % 3, 0, 900 + blocks % 250),
    "two hemispheres": lambda blocks: np.where(blocks % 2, 1000, 2000) + blocks % 36,
}


@pytest.mark.parametrize("name", LABELS)
def test_label_maps_in_the_range_of_hu_plus_1024_are_refused(name):
    blocks = np.indices(SHAPE) // 10
    with pytest.raises(NotCtError, match="label map"):
        check_ct(volume(LABELS[name]((blocks[0] * 7 + blocks[1] * 31 + blocks[2] * 97).astype(np.int16))))


OTHER_OFFSETS = {
    "HU + 2048": (lambda hu: np.clip(hu + 2048, 0, None), "unknown offset"),
    "HU + 8192": (lambda hu: hu + 8192, "unknown offset"),
    "HU + 32768": (lambda hu: hu.astype(np.int32) + 32768, "unknown offset"),
    "HU + 512": (lambda hu: hu + 512, "unknown offset"),
    "HU - 1024, intercept applied twice": (lambda hu: hu - 1024, "applied twice"),
    "HU - 1000": (lambda hu: hu - 1000, "applied twice"),
    "HU times 2": (lambda hu: hu * 2, "applied twice"),
    "stored values times 2": (lambda hu: 2 * np.clip(hu + 1024, 0, None), "unknown offset"),
    "inverted": (lambda hu: -hu, "unknown offset"),
}


@pytest.mark.parametrize("name", OTHER_OFFSETS)
@pytest.mark.parametrize("habit", ["plain", "int16", "low dose"])
def test_other_offsets_are_refused_and_named(name, habit):
    store, words = OTHER_OFFSETS[name]
    with pytest.raises(NotCtError, match=words):
        check_ct(volume(store(CT[habit])))


def test_hu_plus_1024_with_padding_is_recognised():
    stored = np.where(CT["int16"] < -800, -2000, CT["int16"] + 1024)
    assert hounsfield_offset(volume(stored)) == -1024
    assert hounsfield_offset(volume(np.where(CT["int16"] < -800, -1024, CT["int16"] + 1024))) == -1024


def test_a_volume_in_hu_is_not_copied():
    ct = volume(CT["int16"])
    assert to_hounsfield(ct) is ct


def test_a_bone_only_mask_is_let_through():
    decay = RANDOM.exponential(180, SHAPE) + 200
    bone = np.where(RANDOM.random(SHAPE) < 0.1, decay, 0).astype(np.int16)
    assert hounsfield_offset(volume(bone)) == 0


def magnetic_resonance(peaks, background=0.5, noise=40):
    """Rayleigh background and gamma-like tissues, whole positive numbers."""
    tissue = np.choose(RANDOM.integers(0, len(peaks), SHAPE), [RANDOM.normal(p, 0.25 * p, SHAPE) for p in peaks])
    values = np.where(RANDOM.random(SHAPE) < background, RANDOM.rayleigh(noise, SHAPE), tissue)
    return np.clip(values, 0, 4000).astype(np.int16)


NOT_CT = {
    "MR T1": (magnetic_resonance([300, 500, 900]), "MR or PET"),
    "MR T2": (magnetic_resonance([150, 400, 2500]), "MR or PET"),
    "MR bright": (magnetic_resonance([1100, 1600, 3000]), "MR or PET"),
    "MR without background": (magnetic_resonance([600, 1400], background=0), "MR or PET"),
    "MR of 0..4000": (RANDOM.integers(0, 4000, SHAPE), "MR or PET"),
    "MR skull-stripped": (np.where(RANDOM.random(SHAPE) < 0.6, 0, RANDOM.normal(900, 150, SHAPE)), "MR or PET"),
    "MR phase": (RANDOM.integers(-4096, 4096, SHAPE), "MR or PET"),
    "PET in Bq/ml": (RANDOM.gamma(0.4, 4000, SHAPE).astype(np.float32), "MR or PET"),
    "PET in SUV": (RANDOM.gamma(0.4, 1.5, SHAPE), "span only"),
    "normalized to 0..1": (np.clip((CT["plain"] + 1000) / 2000, 0, 1), "span only"),
    "z-scored": (RANDOM.normal(0, 1, SHAPE), "span only"),
    "label map": (RANDOM.integers(0, 27, SHAPE), "label map"),
    "label map of 118": (RANDOM.integers(0, 118, SHAPE), "label map"),
    "binary mask": (RANDOM.random(SHAPE) > 0.9, "label map"),
    "8-bit picture": (RANDOM.integers(0, 256, SHAPE).astype(np.uint8), "label map or a picture"),
    "constant 0": (np.zeros(SHAPE, np.int16), "same value"),
    "constant air": (np.full(SHAPE, -1000.0), "same value"),
    "all air": (RANDOM.normal(-1000, 20, SHAPE), "only air"),
    "air and padding": (np.where(RANDOM.random(SHAPE) < 0.5, -3024, -1000), "only air"),
    "all NaN": (np.full(SHAPE, np.nan), "no usable values"),
    "all infinite": (np.full(SHAPE, np.inf), "no usable values"),
}


@pytest.mark.parametrize("name", NOT_CT)
def test_what_is_no_ct_is_refused_in_one_sentence(name):
    array, expected = NOT_CT[name]
    with pytest.raises(NotCtError, match=expected) as error:
        check_ct(volume(array))
    assert str(error.value).endswith("choose a CT series.") and str(error.value).count(": ") == 1


@pytest.mark.timing
def test_a_large_volume_is_checked_in_a_fraction_of_a_second():
    large = volume(np.tile(CT["int16"], (17, 9, 9)))  # 680 x 540 x 540
    start = time.perf_counter()
    check_ct(large)
    assert time.perf_counter() - start < 2, "a few hundredths on a quiet computer; all voxels take several seconds"


def test_every_real_ct_is_let_through_and_every_label_map_refused(shared_data):
    import SimpleITK as sitk
    from VertebraLabelingLib.preprocessing.sitk_image import from_sitk

    paths = [*shared_data.glob("ct/*.nii.gz"), *shared_data.glob("labelmaps/*_ct.nii.gz")]
    paths += sorted(shared_data.glob("openkbp/*.nii.gz"))[::6]
    assert len(paths) > 50
    for path in paths:
        ct = from_sitk(sitk.ReadImage(str(path)))
        assert hounsfield_offset(ct) == 0, path.name
        assert window_floor(ct) is None, path.name
        if "boneonly" not in path.name:
            stored = Volume(np.clip(ct.array.astype(np.int32) + 1024, 0, 4000), ct.ijk_to_ras)
            assert hounsfield_offset(stored) == -1024, path.name
    for path in shared_data.glob("labelmaps/*.nii.gz"):
        if not path.name.endswith("_ct.nii.gz"):
            with pytest.raises(NotCtError, match="label map"):
                check_ct(from_sitk(sitk.ReadImage(str(path))))
