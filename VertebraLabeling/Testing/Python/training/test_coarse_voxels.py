"""Larger voxels, simulated on the grid of a finer image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.pipeline.centroid_refinement import _phase as of_scan
from VertebraLabelingLib.preprocessing.resampling import metal_free_block_mean
from VertebraLabelingLib.preprocessing.upsampling import divisions, finer
from VertebraLabelingTraining.augmentation.coarse_voxels import coarsen, places_in_voxels, voxel_matrix
from VertebraLabelingTraining.networks.centroid_task import _phase as of_cube


@pytest.mark.parametrize("size", [1.3, 2.0, 3.7, 4.0])
@pytest.mark.parametrize("phase", [0.0, 0.4, 0.9])
def test_voxels_of_any_size_keep_what_is_even(size, phase):
    matrix = voxel_matrix(24, size, phase)
    assert matrix.shape == (24, 24)
    assert torch.allclose(matrix.sum(dim=1), torch.ones(24), atol=1e-5)


def test_a_slope_keeps_its_place():
    """An image moved by its own voxels would teach a network a wrong center."""
    slope = torch.arange(24.0)
    inside = slice(6, 18)
    assert torch.allclose((voxel_matrix(24, 3.5, 0.3) @ slope)[inside], slope[inside], atol=0.1)


def test_a_slice_is_the_mean_over_its_thickness():
    image = torch.zeros(8, 1, 1)
    image[4] = 100.0
    thick = coarsen(image, 2.0, (4.0, 0, 0), (0.3, 0, 0))
    assert thick.max() <= 50.0 + 1e-4
    assert float(thick.sum()) == pytest.approx(100.0, rel=0.5)


def test_axes_with_fine_voxels_stay_as_they_are():
    image = torch.randn(6, 7, 8)
    assert torch.equal(coarsen(image, 2.0, (1.0, 2.0, 0.5), (0.1, 0.2, 0.3)), image)


@pytest.mark.parametrize(("size", "phase"), [(3, 0), (3, 1 / 3), (3, 2 / 3), (5, 2 / 5)])
def test_where_a_cell_lies_in_the_middle_of_a_voxel_it_shows_its_mean(size, phase):
    image = torch.randn(24, generator=torch.Generator().manual_seed(0))
    shown = voxel_matrix(24, size, phase) @ image
    places = places_in_voxels(24, size, phase)
    middles = [cell for cell in range(size, 24 - size) if abs(places[cell] - round(places[cell])) < 1e-9]
    assert len(middles) >= 2
    for cell in middles:
        torch.testing.assert_close(shown[cell], image[cell - size // 2 : cell + size // 2 + 1].mean())


@pytest.mark.parametrize("first", [18, 19, 20])
def test_training_shows_and_tells_of_large_voxels_what_the_product_does(first):
    """A cube of 24 slices of 2 mm seen through voxels of 6 mm that begin at every third slice of the scan."""
    slices = 300 * np.sin(np.arange(60) / 3.0) + 200 * np.cos(np.arange(60) / 5.0)
    scan = Volume(np.tile(slices[:, None, None].astype(np.float32), (1, 24, 24)), np.diag([2.0, 2, 2, 1]))
    large = metal_free_block_mean(scan, (1, 1, 3))
    small = finer(large)
    center = np.array([[first + 11.5, 11.5, 11.5]])
    seen = small.array[first : first + 24]
    size, phases = np.array([6.0, 0.0, 0.0]), np.array([first % 3 / 3, 0.0, 0.0])
    cube = coarsen(torch.from_numpy(scan.array[first : first + 24]), 2.0, size, phases).numpy()
    inside = slice(6, -6)
    assert np.abs(cube[inside] - seen[inside]).max() < 0.05 * np.abs(seen).max()
    torch.testing.assert_close(of_cube(size, phases)[None], of_scan(center, small, divisions(large)), atol=1e-4, rtol=0)
