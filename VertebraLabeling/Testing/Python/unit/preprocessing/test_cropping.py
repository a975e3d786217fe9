"""Boxes cut from a volume: what they hold, and that they stay where they were in the world."""

from __future__ import annotations

import numpy as np
from phantoms import affine
from VertebraLabelingLib.core.volume import Volume, apply_affine, ras_to_ijk
from VertebraLabelingLib.preprocessing.cropping import crop_around
from VertebraLabelingLib.preprocessing.resampling import to_working_grid


def test_the_box_holds_the_points_and_their_margin_at_the_same_world_position():
    array = np.random.default_rng(0).normal(size=(40, 80, 60)).astype(np.float32)
    grid = to_working_grid(Volume(array, affine(spacing=(1.0, 1.0, 2.5), origin=(-30.0, -40.0, 50.0))), 4.0)
    point = np.array([[0.0, 0.0, 90.0]])
    box = crop_around(grid, point, 12.0)
    assert all(5 <= size <= 8 for size in box.array.shape)
    inside, whole = (np.round(ras_to_ijk(volume, point)[0]).astype(int)[::-1] for volume in (box, grid))
    assert box.array[tuple(inside)] == grid.array[tuple(whole)]
    np.testing.assert_allclose(ras_to_ijk(grid, apply_affine(box.ijk_to_ras, inside[::-1]))[0], whole[::-1])
    assert crop_around(grid, point, 1e4).array.shape == grid.array.shape
