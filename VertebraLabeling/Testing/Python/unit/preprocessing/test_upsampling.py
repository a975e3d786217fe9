"""Large voxels divided by splines: the same field of view, and bodies where they are, however the voxels fall."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from VertebraLabelingLib.core.volume import Volume, apply_affine, ijk_to_ras
from VertebraLabelingLib.preprocessing.upsampling import FINE_MM, divisions, finer
from VertebraLabelingTraining.augmentation.coarse_voxels import spline_matrix
from VertebraLabelingTraining.data.cases import Case
from VertebraLabelingTraining.networks.centroid_task import finer_case

SPACINGS = [(4.0, 4.0, 5.0), (0.8, 0.8, 8.0), (7.8, 2.2, 1.9), (2.6, 3.9, 2.5)]


def volume_of(spacing, axes=None, shape=(9, 8, 7), value=None) -> Volume:
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if axes is None else axes) * np.array(spacing)
    affine[:3, 3] = 12.0, -30.0, 450.0
    array = np.zeros(shape, dtype=np.float32)
    volume = Volume(array, affine)
    if value is not None:
        k, j, i = np.indices(shape)
        array[:] = value(ijk_to_ras(volume, np.stack((i, j, k), axis=-1).reshape(-1, 3))).reshape(shape)
    return volume


@pytest.mark.parametrize("spacing", SPACINGS)
def test_the_field_of_view_stays_and_the_voxels_become_fine(spacing):
    turn = np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1.0]])
    volume = volume_of(spacing, turn)
    fine = finer(volume)
    np.testing.assert_allclose(fine.corners, volume.corners, atol=1e-9)
    coarse = np.array(spacing) > 2.5
    assert (fine.spacing[coarse] <= FINE_MM + 1e-9).all()
    np.testing.assert_allclose(fine.spacing[~coarse], np.array(spacing)[~coarse])


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 2.5, 2.5), (0.4, 2.0, 2.5)])
def test_fine_voxels_stay_as_they_are(spacing):
    volume = volume_of(spacing)
    assert finer(volume) is volume


@pytest.mark.parametrize(("millimeters", "divided"), [(2.5, 1), (2.6, 2), (4.0, 2), (4.1, 3), (6.0, 3)])
@pytest.mark.parametrize("rounded", [-1e-7, 0.0, 1e-7])
def test_how_often_voxels_are_divided_does_not_hang_on_the_last_digit_of_their_size(millimeters, divided, rounded):
    assert divisions(volume_of((millimeters + rounded, 1.0, 1.0))).tolist() == [divided, 1, 1]


def test_a_slope_keeps_its_place():
    slope = np.array([3.0, -2.0, 5.0])
    volume = volume_of((4.0, 6.0, 5.0), shape=(12, 12, 12), value=lambda mm: mm @ slope)
    fine = finer(volume)
    k, j, i = (part.reshape(-1) for part in np.indices(fine.array.shape))
    expected = (apply_affine(fine.ijk_to_ras, np.stack((i, j, k), axis=1)) @ slope).reshape(fine.array.shape)
    inside = (slice(8, -8),) * 3
    np.testing.assert_allclose(fine.array[inside], expected[inside], atol=3.0)  # of 1100 HU; the ends are mirrored


@pytest.mark.parametrize("phase", np.linspace(-3.5, 3.5, 8))
def test_a_body_is_seen_more_alike_through_8_mm_than_by_linear_interpolation(phase):
    """A smooth body of 24 mm; the largest error of its profile, against linear interpolation of the same voxels."""

    def body(mm):
        return 800 * np.exp(-((mm - phase) ** 2) / (2 * 9.0**2))

    centers = np.arange(-60, 61, 8.0)
    voxels = np.array([body(center + np.linspace(-4, 4, 81)).mean() for center in centers])
    volume = Volume(np.tile(voxels[:, None, None], (1, 3, 3)).astype(np.float32), np.diag([1.0, 1.0, 8.0, 1.0]))
    fine = finer(volume)
    mm = -60 + fine.ijk_to_ras[2, 3] + fine.spacing[2] * np.arange(fine.array.shape[0])
    near = np.abs(mm) < 30
    blurred = np.array([body(at + np.linspace(-4, 4, 81)).mean() for at in mm])
    linear = np.interp(mm, centers, voxels)
    assert np.abs(fine.array[near, 1, 1] - blurred[near]).max() < 0.25 * np.abs(linear[near] - blurred[near]).max()


@pytest.mark.parametrize("count", [4, 5, 9, 24])
def test_the_spline_of_the_training_is_that_of_the_scans(count):
    values = np.random.default_rng(count).normal(0, 300, count)
    image = sitk.GetImageFromArray(np.tile(values, (4, 4, 1)).astype(np.float32))
    at = np.arange(4 * count) / 4 - 0.375
    size, origin, spacing = (4 * count, 4, 4), (-0.375, 0.0, 0.0), (0.25, 1.0, 1.0)
    expected = sitk.Resample(image, size, sitk.Transform(), sitk.sitkBSpline, origin, spacing)
    np.testing.assert_allclose(
        spline_matrix(at, count) @ values, sitk.GetArrayFromImage(expected)[1, 1], rtol=1e-3, atol=0.5
    )


def test_a_case_is_divided_with_its_points_in_place():
    image = torch.zeros((10, 12, 14), dtype=torch.int16)
    image[4, 5, 6] = 1000
    point = torch.tensor([[4 * 5.0, 5 * 4.0, 6 * 1.5]])
    case = Case("a", image, torch.tensor([5.0, 4.0, 1.5]), torch.tensor([8]), point, torch.tensor([False]))
    fine = finer_case(case)
    assert fine.image.shape == (30, 24, 14) and fine.image.dtype == torch.int16
    index = fine.points[0] / fine.spacing
    weight = fine.image.double().clamp(min=200)
    weight -= 200
    found = torch.stack(
        [(weight * axis).sum() for axis in torch.meshgrid(*map(torch.arange, weight.shape), indexing="ij")]
    )
    np.testing.assert_allclose(found / weight.sum(), index, atol=0.05)
    already = Case("b", image, torch.tensor([2.0, 2.0, 1.5]), case.levels, case.points, case.cut)
    assert finer_case(already) is already
