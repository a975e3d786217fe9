"""Planes of vertebrae and discs: names, directions, and the matrix of a slice view."""

from __future__ import annotations

import numpy as np
import pytest
from bent_spine import arc_depths, on_circle, place, straight
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.reading.planes import AXIAL, CORONAL, ORIENTATIONS, SAGITTAL, Plane, degrees_between
from VertebraLabelingLib.reading.spine import FORWARD_DEG, Spine

SLICER = {  # SliceToRAS of Slicer's own orientations
    AXIAL: [[-1, 0, 0], [0, 1, 0], [0, 0, 1]],
    SAGITTAL: [[0, 0, 1], [-1, 0, 0], [0, 1, 0]],
    CORONAL: [[-1, 0, 0], [0, 0, 1], [0, 1, 0]],
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_an_upright_plane_is_shown_as_slicer_shows_slices(orientation):
    plane = Plane(np.array([3.0, 4.0, 5.0]), np.array([0.0, 0.0, 1.0]))
    matrix = plane.slice_to_ras(orientation)
    np.testing.assert_allclose(matrix[:3, :3], SLICER[orientation], atol=1e-12)
    np.testing.assert_allclose(matrix[:, 3], (3, 4, 5, 1))


@pytest.mark.parametrize("up", [(0.1, 0.5, 0.8), (0.0, 1.0, 0.05), (0.0, -1.0, 0.1), (0.9, 0.1, 0.3)], ids=str)
def test_axes_stand_on_each_other(up):
    plane = Plane(np.zeros(3), np.array(up) / np.linalg.norm(up))
    axes = np.array([plane.right, plane.front, plane.up])
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1.0)  # right, front, up: RAS


def test_planes_of_a_bent_spine_stand_across_it():
    levels, radius = USUAL_LEVELS[7:19], 220.0
    spine, centers = Spine.of(on_circle(levels, radius)), arc_depths(levels, radius)
    for row in range(1, len(levels) - 1):
        angle = centers[row] / radius
        true = Plane(place(0, 0, centers[row], radius), np.array([0.0, -np.sin(angle), np.cos(angle)]))
        found = spine.vertebrae[row].plane
        assert degrees_between(found, true) < 0.3
        np.testing.assert_allclose(found.origin, true.origin, atol=1e-9)
        disc = spine.discs[f"{levels[row]}/{levels[row + 1]}"]
        middle = (centers[row] + centers[row + 1]) / 2
        np.testing.assert_allclose(disc.origin, place(0, 0, middle, radius), atol=0.2)


def test_discs_are_named_from_c2_c3_to_l5_s1():
    spine = Spine.of(straight())
    names = [f"{above}/{below}" for above, below in zip(USUAL_LEVELS[1:], USUAL_LEVELS[2:])]
    assert list(spine.discs) == [*names, "L5/S1"]
    assert degrees_between(spine.discs["L5/S1"], spine.discs["L3/L4"]) == pytest.approx(sum(FORWARD_DEG) / 2, abs=0.1)


def test_a_missing_vertebra_has_no_discs():
    spine = Spine.of(point for point in straight() if point.level not in ("T5", "L5"))
    assert not {"T4/T5", "T5/T6", "T4/T6", "L4/L5", "L5/S1"} & set(spine.discs)
    assert {"T3/T4", "T6/T7", "L3/L4"} <= set(spine.discs)
