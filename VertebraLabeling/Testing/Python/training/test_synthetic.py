"""Synthetic CT: determinism, truth in the bodies, Hounsfield units, no forbidden patient."""

from __future__ import annotations

import numpy as np
import pytest
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX
from VertebraLabelingLib.core.volume import ras_to_ijk
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.formats.mrk_json import read_points
from VertebraLabelingLib.formats.truth import write_truth
from VertebraLabelingTraining.synthetic import sources as sources_module
from VertebraLabelingTraining.synthetic.anatomy import prepare
from VertebraLabelingTraining.synthetic.hybrid import transplant
from VertebraLabelingTraining.synthetic.make_synthetic import sources as sources_of
from VertebraLabelingTraining.synthetic.make_synthetic import synthesize
from VertebraLabelingTraining.synthetic.sources import FORBIDDEN, LabelMapSource, trunk_maps
from VertebraLabelingTraining.synthetic.variants import FOUR_LUMBAR, L6, NO_T12, T13, USUAL, draw_variant, vary
from VertebraLabelingTraining.synthetic.warp import draw_warp

SPACING = 3.0
LEVELS = ("T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5")


def phantom(width: int = 16) -> LabelMapSource:
    """Eight box vertebrae with ribs, a canal and arches in a block of liver, 3 mm voxels."""
    labels = np.zeros((112, 50, 60), dtype=np.uint8)
    labels[:, 10:46, 6:54] = 6
    labels[:, 4:12, 8:52] = 0
    names = {6: "liver", 7: "spinal_cord", 30: "rib_left_12", 31: "rib_right_12", 32: "rib_left_11", 8: "sacrum"}
    labels[0:4, 10:32, 20:40] = 8
    truth = {}
    middle = slice(30 - width // 2, 30 + width // 2)
    for number, level in enumerate(reversed(LEVELS)):
        low = 5 + number * 13
        labels[low : low + 10, 20:32, middle] = 10 + number
        labels[low : low + 10, 8:20, 26:34] = 10 + number
        names[10 + number] = f"vertebrae_{level}"
        labels[low + 10 : low + 13, 20:32, middle] = 0
        truth[level] = np.array([29.5, 25.5, low + 4.5]) * SPACING
    for level, left, right in (("T12", 30, 31), ("T11", 32, 32)):
        k = round(truth[level][2] / SPACING)
        labels[k : k + 3, 18:22, 6:20], labels[k : k + 3, 18:22, 40:54] = left, right
    labels[:, 15:20, 28:32] = 7
    return LabelMapSource("phantom", labels, names, SPACING, truth)


def body_errors(case) -> dict[str, float]:
    """Distance from the truth to the center of mass of the painted body, mm, of every level that is not cut."""
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
def test_truth_stays_in_the_center_of_the_bent_bodies(seed):
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


@pytest.mark.parametrize(
    ("kind", "levels"),
    [
        (USUAL, "T10 T11 T12 L1 L2 L3 L4 L5"),
        (T13, "T10 T11 T12 T13 L1 L2 L3 L4 L5"),
        (NO_T12, "T10 T11 L1 L2 L3 L4 L5"),
        (L6, "T10 T11 T12 L1 L2 L3 L4 L5 L6"),
        (FOUR_LUMBAR, "T10 T11 T12 L1 L2 L3 L4"),
    ],
)
def test_variants_count_from_the_head_and_keep_truth_in_the_bodies(kind, levels):
    source = vary(phantom(), kind)
    anatomy = prepare(source)
    by_height = sorted(source.truth, key=lambda level: -source.truth[level][2])
    assert by_height == levels.split()
    assert {name for name in source.names.values() if name.startswith("vertebrae_")} >= {
        f"vertebrae_{level}" for level in by_height
    }
    steps = -np.diff([source.truth[level][2] for level in by_height])
    assert np.allclose(steps, 13 * SPACING), "the spacing of the spine is kept"
    for level, point in anatomy.truth.items():
        k, j, i = np.nonzero(anatomy.bodies == LEVEL_INDEX[level] + 1)
        assert np.linalg.norm(np.array([i.mean(), j.mean(), k.mean()]) * SPACING - point) < 3.0, level


def test_the_last_ribs_go_with_their_vertebra():
    assert "rib_left_13" in vary(phantom(), T13).names.values()
    doubled, removed = vary(phantom(), T13), vary(phantom(), NO_T12)
    assert doubled.mask("rib_left_12").any() and doubled.mask("rib_left_13").any()
    assert not removed.mask("rib_left_12").any() and removed.mask("rib_left_11").any()


def test_a_changed_rib_count_is_drawn_only_where_ribs_can_be_counted_from_the_top():
    drawn = {draw_variant(phantom(), np.random.default_rng(seed)) for seed in range(300)}
    assert {L6, FOUR_LUMBAR} <= drawn
    assert not drawn & {T13, NO_T12}


def test_a_variant_needs_its_vertebra_in_view():
    source = phantom()
    del source.truth["L3"]
    with pytest.raises(InputError, match="L3"):
        vary(source, L6)


def test_a_transplanted_vertebra_sits_on_the_center_of_the_one_it_replaces():
    trunk, donor = phantom(), phantom(width=10)
    hybrid = transplant(trunk, donor)
    before, after = prepare(trunk), prepare(hybrid)
    for level in LEVELS[1:-1]:
        number = LEVEL_INDEX[level] + 1
        assert 0.5 < (after.bodies == number).sum() / (before.bodies == number).sum() < 0.75, "the donor is narrower"
        k, j, i = np.nonzero(after.bodies == number)
        assert np.linalg.norm(np.array([i.mean(), j.mean(), k.mean()]) * SPACING - after.truth[level]) < 3.0


def test_written_truth_is_read_back_with_its_cut_vertebrae(tmp_path):
    truth = {"L1": (1.0, -2.0, 3.0), "T12": (1.5, -2.5, 33.0)}
    write_truth(tmp_path / "case.mrk.json", truth, frozenset({"T12"}))
    points = read_points(tmp_path / "case.mrk.json")
    assert [(point.level, point.cut) for point in points] == [("T12", True), ("L1", False)]
    assert all(np.allclose(point.ras, truth[point.level]) for point in points)


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_forbidden_patient_is_refused(tmp_path, monkeypatch, name):
    (tmp_path / "labelmaps").mkdir()
    (tmp_path / "labelmaps" / f"{name}_labels.nii.gz").write_bytes(b"never read")
    assert trunk_maps(tmp_path) == []
    monkeypatch.setattr(sources_module, "_TRUNK_MAPS", (name,))
    with pytest.raises(InputError, match="must not enter training"):
        trunk_maps(tmp_path)


def test_a_folder_without_label_maps_is_named(tmp_path):
    with pytest.raises(InputError, match="No label map"):
        sources_of(tmp_path)


def test_no_case_is_made_of_a_patient_that_is_scored(shared_data):
    names = [source.name for source in sources_of(shared_data)]
    assert len(names) == len(set(names)) > 2
    assert not [name for name in names if any(patient in name for patient in FORBIDDEN)]


def test_the_truth_of_a_real_label_map_lies_in_the_bodies(shared_data):
    anatomy = prepare(trunk_maps(shared_data)[-1])
    for level, point in anatomy.truth.items():
        k, j, i = np.nonzero(anatomy.bodies == LEVEL_INDEX[level] + 1)
        assert np.linalg.norm(np.array([i.mean(), j.mean(), k.mean()]) * anatomy.spacing_mm - point) < 3.0, level
