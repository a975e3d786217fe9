"""Disc points: between the bodies, named so, in step with the vertebrae, and never among them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bent_spine import TOP, depths, straight, tilted_bodies
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.labels import CONFIRMED, SpineLabels
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.reading.discs import discs_of


def labels_of(points) -> SpineLabels:
    return SpineLabels(tuple(points))


def test_discs_lie_between_the_bodies_they_are_named_after():
    discs = discs_of(labels_of(straight()))
    assert [disc.name for disc in discs[:2]] == ["C2/C3", "C3/C4"] and discs[-1].name == "L5/S1"
    assert len(discs) == 23
    height = dict(zip(USUAL_LEVELS, TOP[2] - depths(USUAL_LEVELS)))
    for disc in discs[:-1]:
        above, below = disc.name.split("/")
        np.testing.assert_allclose(disc.ras, (*TOP[:2], (height[above] + height[below]) / 2), atol=1e-6)
    assert height["L5"] - 20 < discs[-1].ras[2] < height["L5"] - 12


def test_a_corrected_vertebra_takes_its_discs_along():
    points = straight()
    row = USUAL_LEVELS.index("T8")
    moved = [*points[:row], replace(points[row], ras=tuple(np.add(points[row].ras, (6.0, 0, 0)))), *points[row + 1 :]]
    before, after = ({disc.name: disc for disc in discs_of(labels_of(each))} for each in (points, moved))
    shift = {name: after[name].ras[0] - before[name].ras[0] for name in before}
    assert shift["T7/T8"] > 2.0 and shift["T8/T9"] > 2.0 and abs(shift["L1/L2"]) < 0.05
    renamed = [replace(point, level=level) for point, level in zip(points[:-1], USUAL_LEVELS[1:])]
    names = [disc.name for disc in discs_of(labels_of(renamed))]
    assert names[0] == "C2/C3" and names[-1] == "L5/S1" and len(names) == 23


def test_a_disc_is_as_sure_as_the_less_sure_of_its_vertebrae():
    points = straight(USUAL_LEVELS[10:14])
    points = [replace(points[0], confidence=0.6), *points[1:3], replace(points[3], status=CONFIRMED)]
    assert [disc.confidence for disc in discs_of(labels_of(points))] == [0.6, 0.99, 0.99]
    assert discs_of(labels_of(points))[0].description == "confidence=0.60;status=derived"


def test_the_posterior_edge_lies_behind_the_middle():
    disc = discs_of(labels_of(straight()))[-3]
    offset = disc.posterior - np.array(disc.ras)
    np.testing.assert_allclose(offset, (0.0, -17.0, 0.0), atol=0.3)


def test_the_ct_moves_discs_to_its_end_plates_and_tells_which_it_shows():
    volume, points, true = tilted_bodies()
    discs = {disc.name: disc for disc in discs_of(labels_of(points), volume)}
    assert [disc.seen for disc in discs.values()] == [True] * 3
    for name, (origin, up) in true.items():
        assert np.degrees(np.arccos(discs[name].plane.up @ up)) < 0.7
        np.testing.assert_allclose(discs[name].ras, origin, atol=0.4)
    assert not any(disc.seen for disc in discs_of(labels_of(points)))


def test_discs_outside_of_the_image_are_left_out():
    volume, points, _ = tilted_bodies()
    cut = Volume(
        volume.array[60:], volume.ijk_to_ras @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 60], [0, 0, 0, 1]])
    )
    assert [disc.name for disc in discs_of(labels_of(points), cut)] == ["L1/L2", "L2/L3"]


@pytest.mark.parametrize("levels", [("L3",), ("C1", "C2"), ("T4", "T6")], ids=str)
def test_there_may_be_none(levels):
    points = [point for point in straight() if point.level in levels]
    assert discs_of(labels_of(points)) == ()
