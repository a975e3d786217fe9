"""Alterations of scans with truth: the points stay on what they marked."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.core.volume import Volume, apply_affine, ras_to_ijk
from VertebraLabelingLib.errors import InputError, NoSpineError
from VertebraLabelingLib.formats.mrk_json import MarkupPoint
from VertebraLabelingLib.networks.weights import write_model
from VertebraLabelingTraining.evaluation.alterations import ALTERATIONS
from VertebraLabelingTraining.evaluation.altered_scans import label_altered, of_model, table
from VertebraLabelingTraining.evaluation.altered_spine import MOST_HU, crushed, instrumented, streaks

BALLS_IJK = np.array([(24, 30, 8), (25, 31, 20), (23, 29, 32)])


@pytest.fixture(scope="module")
def phantom() -> tuple[Volume, np.ndarray]:
    """Soft tissue with three balls of bone, and where they are."""
    affine = np.array([[2.0, 0, 0, -40], [0, 2.0, 0, -75], [0, 0, 2.5, 300], [0, 0, 0, 1]])
    k, j, i = np.mgrid[:40, :56, :48]
    array = np.full(k.shape, 40, dtype=np.float32)
    for center in BALLS_IJK:
        mm = [(axis - at) * size for axis, at, size in zip((i, j, k), center, (2, 2, 2.5))]
        array[sum(a**2 for a in mm) < 8**2] = 600
    return Volume(array, affine), apply_affine(affine, BALLS_IJK)


METAL = "screws and rods in four vertebrae"


@pytest.mark.parametrize("name", [name for name in ALTERATIONS if name != METAL])
def test_every_point_stays_in_the_middle_of_its_ball(phantom, name):
    volume, points = ALTERATIONS[name](*phantom)
    k, j, i = np.indices(volume.array.shape)
    places = apply_affine(volume.ijk_to_ras, np.stack([i, j, k], axis=-1).reshape(-1, 3))
    contrast = (volume.array.ravel().astype(float) - np.median(volume.array)).clip(0)
    contrast[contrast < 0.5 * np.percentile(contrast, 99.5)] = 0
    for point in points:
        near = np.linalg.norm(places - point, axis=1) < 15
        center = (contrast[near, None] * places[near]).sum(axis=0) / contrast[near].sum()
        assert np.linalg.norm(center - point) < 2.5


def test_an_alteration_changes_the_scan_and_leaves_the_given_one_alone(phantom):
    before = phantom[0].array.copy(), phantom[0].ijk_to_ras.copy(), phantom[1].copy()
    for name, alteration in ALTERATIONS.items():
        volume, _ = alteration(*phantom)
        same = volume.array.shape == before[0].shape and np.array_equal(volume.array, before[0])
        assert (same and np.array_equal(volume.ijk_to_ras, before[1])) == (name == "as it is")
    for now, then in zip((phantom[0].array, phantom[0].ijk_to_ras, phantom[1]), before):
        np.testing.assert_array_equal(now, then)


def test_a_crushed_body_has_half_its_height_and_the_others_theirs(phantom):
    volume, points = crushed(*phantom)
    heights, before = (
        [int((v.array[max(0, round(k) - 5) : round(k) + 6, j, i] > 300).sum()) for (i, j, _), k in zip(BALLS_IJK, at)]
        for v, at in ((volume, ras_to_ijk(volume, points)[:, 2]), (phantom[0], BALLS_IJK[:, 2]))
    )
    assert (heights[0], heights[2]) == (before[0], before[2]) and abs(heights[1] - before[1] / 2) <= 1
    moved = phantom[1] - points
    assert moved[0, 2] == pytest.approx(0, abs=1e-6) and 5 < moved[1, 2] < moved[2, 2] < 12
    np.testing.assert_allclose(moved[:, :2], 0, atol=1e-9)


def test_a_cone_beam_has_a_dark_axis_noise_with_a_grain_and_air_around_its_cylinder():
    water = Volume(np.zeros((20, 200, 200), dtype=np.float32), np.diag([2.0, 2.0, 2.0, 1.0]))
    seen = ALTERATIONS["cone beam"](water, np.array([(200.0, 200.0, 20.0)]))[0].array
    assert (seen[:, 100, [30, 170]] == -1000).all() and (seen[:, 100, [50, 150]] > -700).all()
    assert seen[:, 95:105, 95:105].mean() == pytest.approx(-150, abs=10)
    assert seen[:, 95:105, 44:54].mean() == pytest.approx(-150 * (1 - 0.85**2), abs=10)
    middle = seen[:, 95:105, 95:105]
    assert middle.std() == pytest.approx(100, abs=10)
    assert np.corrcoef(middle[:, 1:].ravel(), middle[:, :-1].ravel())[0, 1] > 0.2


def test_metal_lies_behind_the_bodies_on_both_sides_and_stays_out_of_the_canal(phantom):
    volume, points = instrumented(*phantom)
    assert volume.array.max() == MOST_HU
    ijk = ras_to_ijk(volume, points)
    for i, j, k in np.rint(ijk).astype(int):
        metal = volume.array[k] == MOST_HU
        columns = np.flatnonzero(metal.any(axis=0))
        assert columns.min() < i - 4 < i + 4 < columns.max() and not metal[:, i].any()
        assert np.flatnonzero(metal.any(axis=1)).min() < j - 10


def test_between_two_pieces_of_metal_lies_a_dark_band_and_without_metal_nothing():
    metal = torch.zeros(60, 80)
    assert not streaks(metal, 2.0).any()
    metal[28:32, 20:24] = metal[28:32, 56:60] = 8000
    seen = streaks(metal, 2.0)
    assert seen.shape == metal.shape
    assert seen[29:31, 36:44].max() < -50
    assert abs(float(seen[5:10, 36:44].mean())) < 0.2 * abs(float(seen[29:31, 36:44].mean()))
    turned = streaks(metal.T.contiguous(), 2.0).T
    assert (turned - seen).abs().max() < 0.1 * seen.abs().max()


class FixedLabeler:
    """Says the same of every scan; without levels it finds no spine."""

    def __init__(self, levels: str, points: np.ndarray, confidence: float = 0.9) -> None:
        named = zip(levels.split(), points.tolist())
        self.points = tuple(LabeledPoint(level, tuple(ras), confidence) for level, ras in named)

    def label(self, volume: Volume) -> SpineLabels:
        if not self.points:
            raise NoSpineError("none")
        return SpineLabels(self.points, provenance={"seconds": 1.0})


def test_the_table_counts_correct_scans_and_wrong_ones_that_nobody_is_told_of(phantom):
    volume, points = phantom
    truth = [MarkupPoint(level, tuple(ras)) for level, ras in zip(("L1", "L2", "L3"), points[::-1].tolist())]
    as_it_is = ALTERATIONS["as it is"]
    rows = [
        {"alteration": "as it is", **label_altered(labeler, f"ct/{number}", volume, truth, as_it_is)}
        for number, labeler in enumerate(
            (
                FixedLabeler("L1 L2 L3", points[::-1]),
                FixedLabeler("L2 L3 L4", points[::-1]),
                FixedLabeler("L2 L3 L4", points[::-1], confidence=0.4),
                FixedLabeler("", points),
            )
        )
    ]
    assert table(rows).splitlines()[-1] == "| as it is | 25.0% | 1 of 4 | 0.0 | - | - | - | 1 of 3 |"


def test_a_model_is_scored_on_patients_that_it_has_not_seen(tmp_path):
    """``seen`` is one patient with ``other``; a scan in no fold cannot be scored."""
    folds = [{"ct": ["ct/new", "ct/seen", "ct/other"]}, {"ct": ["ct/absent"]}]
    splits = {"folds": folds, "same_patient": {"ct/seen": ["ct/other"]}}
    (tmp_path / "splits.json").write_text(json.dumps(splits))
    model = tmp_path / "m.pt"
    write_model(model, {}, (4, 4), "0", {"cases": ["ct/seen"]})
    found = ["ct/new", "ct/seen", "ct/other", "ct/in_no_fold", "openkbp/a"]
    ((labeler, names),) = of_model(model, tmp_path, found)
    assert names == ["ct/new"] and labeler.weights == model
    with pytest.raises(InputError, match="has seen all patients"):
        list(of_model(model, tmp_path, ["ct/seen", "ct/other"]))
