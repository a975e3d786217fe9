"""Axes, flips, obliquity, anisotropy and the working grid: a point in the patient stays where it is."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
import SimpleITK as sitk
from axis_orders import AXIS_ORDERS, name_of, stored, turned
from phantoms import BALL_HU, affine
from VertebraLabelingLib.core.volume import (
    AIR_HU,
    Volume,
    apply_affine,
    ijk_to_ras,
    lps_affine_to_ras,
    lps_to_ras,
    ras_to_ijk,
    ras_to_lps,
    to_canonical,
)
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.preprocessing import resampling
from VertebraLabelingLib.preprocessing.metal import METAL_HU
from VertebraLabelingLib.preprocessing.resampling import metal_free_block_mean, obliquity_deg, to_working_grid
from VertebraLabelingLib.preprocessing.sitk_image import from_sitk, to_sitk


def ball(ijk_to_ras_matrix, shape, center, radius_mm) -> Volume:
    """A ball of :data:`BALL_HU` in air with an edge of 10 mm, so that also 8 mm slices sample its center of mass."""
    k, j, i = np.indices(shape)
    world = apply_affine(ijk_to_ras_matrix, np.stack((i, j, k), axis=-1).reshape(-1, 3)).reshape(*shape, 3)
    distance = np.linalg.norm(world - center, axis=-1)
    share = np.clip((radius_mm - distance) / 10 + 0.5, 0, 1)
    return Volume((AIR_HU + (BALL_HU - AIR_HU) * share).astype(np.float32), ijk_to_ras_matrix)


def center_of_mass(volume: Volume) -> np.ndarray:
    weight = volume.array.astype(np.float64) - AIR_HU
    k, j, i = (np.tensordot(weight, np.indices(volume.array.shape)[a], 3) / weight.sum() for a in range(3))
    return ijk_to_ras(volume, [(i, j, k)])[0]


@pytest.fixture(scope="module")
def numbered() -> Volume:
    """Every voxel has its own value, so that none can be mistaken for another."""
    return Volume(np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7), affine((0.8, 1.1, 2.5), (-12.0, 30.0, 7.5)))


@pytest.mark.parametrize("axis_order", AXIS_ORDERS, ids=name_of)
def test_canonical_axes_of_all_48_orders_are_the_same_volume(numbered, axis_order):
    canonical = to_canonical(stored(numbered, axis_order))
    np.testing.assert_array_equal(canonical.array, numbered.array)
    np.testing.assert_allclose(canonical.ijk_to_ras, numbered.ijk_to_ras, atol=1e-9)


@pytest.mark.parametrize("axis_order", AXIS_ORDERS, ids=name_of)
@pytest.mark.parametrize("degrees", [7, 20, 33])
def test_canonical_axes_keep_every_voxel_at_its_world_position(numbered, axis_order, degrees):
    oblique = Volume(numbered.array, np.vstack((turned(degrees) @ numbered.ijk_to_ras[:3], (0, 0, 0, 1))))
    canonical = to_canonical(stored(oblique, axis_order))
    assert np.all(np.diag(canonical.ijk_to_ras)[:3] > 0)
    for value in (0, 17, 101, 209):
        (index,) = np.argwhere(canonical.array == value)
        (expected,) = np.argwhere(numbered.array == value)
        position = ijk_to_ras(canonical, index[::-1])
        np.testing.assert_allclose(position, ijk_to_ras(oblique, expected[::-1]), atol=1e-9)


def test_canonical_axes_are_a_view(numbered):
    flipped = stored(numbered, ((2, 0, 1), (-1, 1, -1)))
    assert np.shares_memory(to_canonical(flipped).array, flipped.array)


@pytest.mark.parametrize("axis_order", AXIS_ORDERS[::5], ids=name_of)
def test_simpleitk_and_back_keeps_voxels_and_world(numbered, axis_order):
    volume = stored(Volume(numbered.array, np.vstack((turned(25) @ numbered.ijk_to_ras[:3], (0, 0, 0, 1)))), axis_order)
    back = from_sitk(to_sitk(volume))
    np.testing.assert_array_equal(back.array, volume.array)
    np.testing.assert_allclose(back.ijk_to_ras, volume.ijk_to_ras, atol=1e-9)


def test_simpleitk_agrees_on_where_a_voxel_is(numbered):
    oblique = Volume(numbered.array, np.vstack((turned(25) @ numbered.ijk_to_ras[:3], (0, 0, 0, 1))))
    lps = to_sitk(oblique).TransformIndexToPhysicalPoint((3, 1, 2))
    np.testing.assert_allclose(lps_to_ras(lps), ijk_to_ras(oblique, [(3, 1, 2)])[0], atol=1e-9)


def test_the_voxels_outlive_the_image_they_came_from():
    volume = from_sitk(sitk.GetImageFromArray(np.arange(1000, dtype=np.int16).reshape(10, 10, 10)))
    [sitk.GetImageFromArray(np.full((10, 10, 10), -5, np.int16)) for _ in range(50)]  # would reuse freed memory
    np.testing.assert_array_equal(volume.array.ravel(), np.arange(1000))


def test_lps_and_ras_are_each_others_mirror():
    np.testing.assert_array_equal(lps_to_ras([[1.0, 2.0, 3.0]]), [[-1.0, -2.0, 3.0]])
    np.testing.assert_array_equal(ras_to_lps(lps_to_ras([4.0, -5.0, 6.0])), [4.0, -5.0, 6.0])
    matrix = affine((1, 2, 3), (4, 5, 6))
    np.testing.assert_array_equal(lps_affine_to_ras(lps_affine_to_ras(matrix)), matrix)


def test_indices_and_world_are_inverse(numbered):
    points = np.array([[-10.2, 31.0, 9.9], [0.0, 0.0, 0.0], [123.4, -56.7, 89.0]])
    np.testing.assert_allclose(ijk_to_ras(numbered, ras_to_ijk(numbered, points)), points, atol=1e-9)


def test_corners_are_voxel_edges():
    volume = Volume(np.zeros((4, 3, 2)), affine((2.0, 3.0, 4.0), (10.0, 20.0, 30.0)))
    np.testing.assert_allclose(volume.corners.min(axis=0), (9.0, 18.5, 28.0))
    np.testing.assert_allclose(volume.corners.max(axis=0), (13.0, 27.5, 44.0))


@pytest.mark.parametrize("degrees", [0, 3, 12, 30])
def test_obliquity_is_the_angle_of_the_axes(numbered, degrees):
    oblique = Volume(numbered.array, np.vstack((turned(degrees, (1, 0, 0)) @ numbered.ijk_to_ras[:3], (0, 0, 0, 1))))
    assert obliquity_deg(to_canonical(oblique)) == pytest.approx(degrees, abs=1e-4)


BAD_AFFINES = {
    "zero": (np.diag([0.0, 0, 0, 1]), "cannot be inverted"),
    "flat": (np.diag([1.0, 1, 0, 1]), "cannot be inverted"),
    "two equal axes": (np.array([[1.0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "cannot be inverted"),
    "nearly dependent": (np.array([[1, 1, 0, 0], [0, 1e-5, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "cannot be inverted"),
    "NaN": (np.full((4, 4), np.nan), "damaged"),
    "infinite origin": (np.array([[1, 0, 0, np.inf], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "damaged"),
    "perspective": (np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0.5, 1.0]]), "damaged"),
    "3 x 4": (np.eye(4)[:3], "damaged"),
}


@pytest.mark.parametrize("case", BAD_AFFINES)
def test_a_bad_affine_is_refused(case):
    matrix, expected = BAD_AFFINES[case]
    with pytest.raises(InputError, match=expected):
        Volume(np.zeros((3, 3, 3)), matrix)


@pytest.mark.parametrize("array", [np.zeros((3, 3)), np.zeros((1, 9, 9)), np.zeros((2, 3, 4, 5))], ids=str)
def test_what_is_not_three_dimensional_is_refused(array):
    with pytest.raises(InputError, match="three dimensions"):
        Volume(array, np.eye(4))


@pytest.mark.parametrize("dtype", [complex, object, "U3"])
def test_voxels_that_are_no_numbers_are_refused(dtype):
    with pytest.raises(InputError, match="not CT values"):
        Volume(np.zeros((3, 3, 3), dtype=dtype), np.eye(4))


@pytest.mark.parametrize("factors", [(1, 1, 1), (2, 2, 2), (3, 2, 4), (5, 1, 2), (6, 5, 4)], ids=str)
@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32, np.float64])
def test_block_mean_gives_the_mean_of_each_block_at_its_center(numbered, factors, dtype):
    volume = Volume(numbered.array.astype(dtype), numbered.ijk_to_ras)
    small = metal_free_block_mean(volume, factors)
    fi, fj, fk = factors
    for k, j, i in np.ndindex(small.array.shape):
        block = volume.array[k * fk : (k + 1) * fk, j * fj : (j + 1) * fj, i * fi : (i + 1) * fi]
        assert small.array[k, j, i] == pytest.approx(block.astype(float).mean(), abs=1e-3)
    center = ijk_to_ras(volume, [((fi - 1) / 2, (fj - 1) / 2, (fk - 1) / 2)])
    np.testing.assert_allclose(ijk_to_ras(small, [(0, 0, 0)]), center, atol=1e-9)
    np.testing.assert_allclose(small.spacing, numbered.spacing * factors)


@pytest.fixture
def one_job_a_slice(monkeypatch):
    monkeypatch.setattr(resampling, "_SLAB_BYTES", 1)
    monkeypatch.setattr(sitk.ProcessObject, "GetGlobalDefaultNumberOfThreads", lambda: 4)


@pytest.mark.parametrize("factors", [(1, 1, 1), (2, 2, 2), (3, 2, 4)], ids=str)
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.int64, np.float16, np.float32, np.float64])
def test_block_mean_is_the_same_on_several_threads(factors, dtype, one_job_a_slice, monkeypatch):
    array = np.random.default_rng(0).integers(-1000, 3000, (13, 9, 8)).astype(dtype)
    if np.issubdtype(dtype, np.floating):
        array[5, 2, 3], array[7, 1] = np.nan, np.inf
    threads = metal_free_block_mean(Volume(array, np.eye(4)), factors).array
    monkeypatch.setattr(resampling, "_SLAB_BYTES", 2**30)
    alone = metal_free_block_mean(Volume(array, np.eye(4)), factors).array
    np.testing.assert_array_equal(threads, alone)
    assert np.isfinite(threads).all() and threads.max() <= METAL_HU


def test_what_a_thread_of_block_mean_raises_is_raised(one_job_a_slice, monkeypatch):
    def full(array, factors):
        raise MemoryError

    monkeypatch.setattr(resampling, "_block_sums", full)
    with pytest.raises(MemoryError):
        metal_free_block_mean(Volume(np.zeros((9, 4, 4), np.int16), np.eye(4)), (1, 1, 2))


def test_block_mean_takes_nan_and_infinity_as_air():
    array = np.full((4, 4, 4), 100.0, dtype=np.float32)
    array[0, 0, :2] = (np.nan, np.inf)
    mean = metal_free_block_mean(Volume(array, np.eye(4)), (2, 2, 2)).array
    assert mean[0, 0, 0] == pytest.approx((6 * 100 + 2 * AIR_HU) / 8)
    assert mean[1, 1, 1] == 100


SPACINGS = [(0.5, 0.5, 0.5), (0.7, 0.7, 2.5), (0.8, 0.9, 5.0), (2.0, 2.0, 2.0), (4.0, 4.0, 2.0), (3.0, 3.0, 8.0)]


def grid_of(spacing, extent_mm=(52.0, 48.0, 56.0)):
    return tuple(round(length / step) + 1 for length, step in zip(extent_mm, spacing))[::-1]


@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
@pytest.mark.parametrize("working_mm", [2.0, 4.0])
def test_the_working_grid_keeps_a_ball_in_place_for_every_spacing(spacing, working_mm):
    center = np.array([-14.3, 9.9, 27.7])
    volume = ball(affine(spacing, (-40.0, -15.0, 0.0)), grid_of(spacing), center, radius_mm=16.0)
    grid = to_working_grid(volume, working_mm)
    np.testing.assert_allclose(grid.spacing, working_mm)
    np.testing.assert_allclose(center_of_mass(grid), center, atol=0.3)


@pytest.mark.parametrize("axis_order", AXIS_ORDERS, ids=name_of)
@pytest.mark.parametrize("degrees", [0, 9, 28])
def test_the_working_grid_keeps_a_ball_in_place_for_every_orientation(axis_order, degrees):
    spacing, center = (1.6, 1.4, 3.0), np.array([4.1, -3.3, 2.2])
    matrix = np.eye(4)
    shape = grid_of(spacing)
    matrix[:3, :3] = turned(degrees) * spacing
    matrix[:3, 3] = -matrix[:3, :3] @ (np.array(shape[::-1]) - 1) / 2
    volume = stored(ball(matrix, shape, center, radius_mm=14.0), axis_order)
    grid = to_working_grid(volume, 3.0)
    np.testing.assert_allclose(center_of_mass(grid), center, atol=0.3)
    assert np.all(np.diag(grid.ijk_to_ras)[:3] > 0)
    assert grid.array.dtype == np.float32


@pytest.mark.parametrize("shift_per_slice", [(0.0, 0.8, 0.0), (0.0, -1.4, 0.0), (0.5, 0.9, 0.0)], ids=str)
def test_the_working_grid_keeps_a_ball_in_place_under_gantry_tilt(shift_per_slice):
    matrix = affine((1.5, 1.5, 3.0), (-35.0, -30.0, 0.0))
    matrix[:3, 2] += shift_per_slice
    shape = (25, 50, 46)
    center = apply_affine(matrix, [(22.0, 24.5, 12.0)])[0]
    grid = to_working_grid(ball(matrix, shape, center, radius_mm=13.0), 2.0)
    np.testing.assert_allclose(center_of_mass(grid), center, atol=0.3)
    np.testing.assert_allclose(grid.ijk_to_ras[:3, :3], 2.0 * np.eye(3), atol=1e-9)


def test_the_working_grid_keeps_the_scans_own_axes_when_nearly_straight():
    matrix = np.eye(4)
    matrix[:3, :3] = turned(10, (1, 0, 0)) * 2.0
    grid = to_working_grid(Volume(np.zeros((20, 20, 20)), matrix), 4.0)
    np.testing.assert_allclose(grid.ijk_to_ras[:3, :3] / 4.0, turned(10, (1, 0, 0)), atol=1e-9)


def test_the_working_grid_covers_the_whole_scan_and_pads_with_air():
    matrix = np.eye(4)
    matrix[:3, :3] = turned(30, (0, 1, 0)) * 2.0
    volume = Volume(np.full((30, 30, 30), 50.0), matrix)
    grid = to_working_grid(volume, 4.0)
    low, high = grid.corners.min(axis=0), grid.corners.max(axis=0)
    assert np.all(low <= volume.corners.min(axis=0) + 1e-6) and np.all(high >= volume.corners.max(axis=0) - 1e-6)
    assert grid.array[0, 0, 0] == AIR_HU and grid.array.max() == pytest.approx(50.0)


def test_a_slab_thinner_than_a_working_voxel_is_kept():
    grid = to_working_grid(Volume(np.full((5, 60, 60), 50.0), affine((0.7, 0.7, 0.7))), 4.0)
    assert grid.array.max() == pytest.approx(50.0)


def test_a_working_grid_finer_than_the_scan_is_interpolated():
    volume = ball(affine((4.0, 4.0, 5.0), (-40.0, -40.0, 0.0)), (17, 21, 21), np.array([1.0, -2.0, 40.0]), 16.0)
    grid = to_working_grid(volume, 2.0)
    np.testing.assert_allclose(grid.spacing, 2.0)
    np.testing.assert_allclose(center_of_mass(grid), [1.0, -2.0, 40.0], atol=0.3)


@pytest.mark.timing
def test_a_large_ct_reaches_the_working_grid_in_bounded_time_and_memory():
    large = Volume(np.zeros((300, 512, 512), np.int16), affine((0.8, 0.8, 1.0)))
    tracemalloc.start()
    start = time.perf_counter()
    to_working_grid(large, 4.0)
    seconds = time.perf_counter() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < large.array.nbytes + 100 * 2**20, "more than a slab and the small result was held"
    assert seconds < 5, "0.3 s on a quiet machine; a blur at full resolution would take 5 s and more"
