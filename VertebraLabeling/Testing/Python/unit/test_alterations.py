"""Alterations of scans with truth: the points stay on what they marked."""

from __future__ import annotations

import numpy as np
import pytest
from VertebraLabelingLib.errors import NoSpineError
from VertebraLabelingLib.formats.mrk_json import MarkupPoint
from VertebraLabelingLib.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.training.alteration_test import label_altered, table
from VertebraLabelingLib.training.alterations import ALTERATIONS
from VertebraLabelingLib.volume import Volume, apply_affine

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


@pytest.mark.parametrize("name", ALTERATIONS)
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


class FixedLabeler:
    """Says the same of every scan; without levels it finds no spine."""

    def __init__(self, levels: str, points: np.ndarray, confidence: float = 0.9) -> None:
        named = zip(levels.split(), points.tolist())
        self.points = tuple(LabeledPoint(level, tuple(ras), confidence) for level, ras in named)

    def label(self, volume: Volume) -> SpineLabels:
        if not self.points:
            raise NoSpineError("none")
        return SpineLabels(self.points, provenance={"seconds": 1.0})


def test_the_table_counts_right_scans_and_wrong_ones_that_nobody_is_told_of(phantom):
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
