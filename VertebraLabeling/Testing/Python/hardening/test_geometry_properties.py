"""Transforms and volume files lead back to where they started, for any axes, obliquity, spacing and place."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from geometries import geometries
from hypothesis import given, settings
from hypothesis import strategies as st
from phantoms import BALL_HU
from VertebraLabelingLib.core.volume import (
    AIR_HU,
    Volume,
    apply_affine,
    ijk_to_ras,
    lps_affine_to_ras,
    lps_to_ras,
    ras_to_ijk,
    to_canonical,
)
from VertebraLabelingLib.preprocessing.resampling import metal_free_block_mean, to_working_grid
from VertebraLabelingLib.preprocessing.sitk_image import from_sitk, to_sitk
from VertebraLabelingLib.scans.read_scan import read_volume
from VertebraLabelingLib.system.decimal_point import decimal_point


def numbered(affine: np.ndarray) -> Volume:
    """Every voxel has its own value."""
    return Volume(np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6), affine)


@settings(max_examples=150, deadline=None)
@given(geometries())
def test_canonical_axes_keep_every_voxel_at_its_place(affine):
    volume, canonical = numbered(affine), to_canonical(numbered(affine))
    assert np.all(np.diag(canonical.ijk_to_ras)[:3] >= -1e-9)
    for value in (0, 17, 64, 119):
        here, there = (np.argwhere(each.array == value)[0][::-1] for each in (volume, canonical))
        np.testing.assert_allclose(ijk_to_ras(canonical, here * 0 + there), ijk_to_ras(volume, here), atol=1e-6)


@settings(max_examples=150, deadline=None)
@given(geometries(), st.lists(st.tuples(*[st.floats(-3000, 3000)] * 3), min_size=1, max_size=5))
def test_indices_and_world_are_inverse_and_so_are_lps_and_ras(affine, places):
    volume, places = numbered(affine), np.array(places)
    np.testing.assert_allclose(ijk_to_ras(volume, ras_to_ijk(volume, places)), places, atol=1e-5)
    np.testing.assert_array_equal(lps_to_ras(lps_to_ras(places)), places)
    np.testing.assert_allclose(lps_affine_to_ras(lps_affine_to_ras(affine)), affine)
    index = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_allclose(
        lps_to_ras(apply_affine(lps_affine_to_ras(affine), index)), apply_affine(affine, index), atol=1e-9
    )


@settings(max_examples=60, deadline=None)
@given(geometries())
def test_simpleitk_and_back_is_the_same_volume(affine):
    back = from_sitk(to_sitk(numbered(affine)))
    np.testing.assert_array_equal(back.array, numbered(affine).array)
    np.testing.assert_allclose(back.ijk_to_ras, affine, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(affine=geometries(), suffix=st.sampled_from((".nii", ".nii.gz", ".nrrd", ".mha")))
def test_every_volume_file_reads_back_as_the_same_volume(tmp_path_factory, affine, suffix):
    path = tmp_path_factory.mktemp("volume") / f"a{suffix}"
    with decimal_point():  # or NRRD files have commas in their numbers
        sitk.WriteImage(to_sitk(numbered(affine)), str(path))
    read, written = to_canonical(read_volume(path)), to_canonical(numbered(affine))
    np.testing.assert_allclose(sorted(read.spacing), sorted(written.spacing), rtol=1e-4)
    for value in (0, 59, 119):
        places = [ijk_to_ras(each, np.argwhere(each.array == value)[0][::-1]) for each in (read, written)]
        np.testing.assert_allclose(*places, atol=2e-2)  # NIfTI holds a quaternion of 32-bit numbers


@settings(max_examples=60, deadline=None)
@given(affine=geometries(), factors=st.tuples(*[st.integers(1, 4)] * 3))
def test_block_means_stand_at_the_middle_of_their_voxels(affine, factors):
    k, j, i = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in (8, 12, 12)), indexing="ij")
    for axis, values in enumerate((i, j, k)):  # the value of a voxel is its index, so the mean of a block is its place
        small = metal_free_block_mean(Volume(values, affine), factors)
        size = np.array(values.shape[::-1]) // factors  # whole blocks only
        index = np.array(np.meshgrid(*map(range, size), indexing="ij")).reshape(3, -1).T
        place = ras_to_ijk(Volume(values, affine), ijk_to_ras(small, index))
        np.testing.assert_allclose(small.array[tuple(index[:, ::-1].T)], place[:, axis], atol=1e-4)


def ball(affine: np.ndarray, radius_mm=14.0) -> tuple[Volume, np.ndarray]:
    """A soft ball in air on 60 mm of the given grid, and its center."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    size = np.ceil(70 / spacing).astype(int)
    center = apply_affine(affine, (size - 1) / 2)[0] + (1.3, -2.1, 0.7)
    k, j, i = np.indices(size[::-1])
    world = apply_affine(affine, np.stack((i, j, k), axis=-1).reshape(-1, 3)).reshape(*size[::-1], 3)
    share = np.clip((radius_mm - np.linalg.norm(world - center, axis=-1)) / 12 + 0.5, 0, 1)
    return Volume((AIR_HU + (BALL_HU - AIR_HU) * share).astype(np.float32), affine), center


@settings(max_examples=40, deadline=None)
@given(geometries(spacing=(1.2, 8.0)))
def test_a_ball_keeps_its_place_on_the_working_grid(affine):
    volume, center = ball(affine)
    grid = to_working_grid(volume, 4.0)
    weight = grid.array.astype(np.float64) - AIR_HU
    index = [(weight * np.indices(weight.shape)[axis]).sum() / weight.sum() for axis in (2, 1, 0)]
    assert np.linalg.norm(ijk_to_ras(grid, [index])[0] - center) < 1.0
    np.testing.assert_allclose(grid.spacing, 4.0)
    assert np.all(np.diag(grid.ijk_to_ras)[:3] > 0)
