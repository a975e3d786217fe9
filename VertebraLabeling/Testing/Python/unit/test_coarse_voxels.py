"""Larger voxels, simulated on the grid of a finer image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from VertebraLabelingLib.training.coarse_voxels import coarsen, voxel_matrix


@pytest.mark.parametrize("size", [1.3, 2.0, 3.7, 4.0])
@pytest.mark.parametrize("phase", [0.0, 0.4, 0.9])
def test_voxels_of_any_size_keep_what_is_even(size, phase):
    matrix = voxel_matrix(24, size, phase)
    assert matrix.shape == (24, 24)
    assert torch.allclose(matrix.sum(dim=1), torch.ones(24), atol=1e-5)


def test_a_slope_keeps_its_place():
    """An image moved by its own voxels would teach a network a wrong centre."""
    slope = torch.arange(24.0)
    inside = slice(6, 18)
    assert torch.allclose((voxel_matrix(24, 3.5, 0.3) @ slope)[inside], slope[inside], atol=0.1)


def test_a_slice_is_the_mean_over_its_thickness():
    image = torch.zeros(8, 1, 1)
    image[4] = 100.0
    thick = coarsen(image, 2.0, (4.0, 0, 0), np.random.default_rng(0))
    assert thick.max() <= 50.0 + 1e-4
    assert float(thick.sum()) == pytest.approx(100.0, rel=0.5)


def test_axes_with_fine_voxels_stay_as_they_are():
    image = torch.randn(6, 7, 8)
    assert torch.equal(coarsen(image, 2.0, (1.0, 2.0, 0.5), np.random.default_rng(0)), image)
