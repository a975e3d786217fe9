"""The straightened volume: every voxel is the scan's at its place, on any grid, and little memory is needed."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from phantoms import affine as affine_of
from spine_factory import positions
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.core.straight_spine import BACK_MM, FRONT_MM, SIDE_MM, straight_spine
from VertebraLabelingLib.core.volume import AIR_HU, Volume, ijk_to_ras
from VertebraLabelingLib.formats.mrk_json import read_points
from VertebraLabelingLib.preprocessing.straight_volume import VOXEL_MM, straight_volume
from VertebraLabelingLib.scans.read_scan import read_volume

SLOPE, SHIFT = np.array([2.0, -3.0, 1.5]), 40.0  # HU per mm along right, anterior, superior
PLACES = positions(USUAL_LEVELS[8:17])
SPINE = straight_spine([LabeledPoint(level, tuple(p)) for level, p in zip(USUAL_LEVELS[8:17], PLACES.tolist())])

TILT = np.array([[1.0, 0, 0], [0, np.cos(0.3), -np.sin(0.3)], [0, np.sin(0.3), np.cos(0.3)]])
SHEAR = np.array([[1.0, 0, 0.1], [0, 1, 0.25], [0, 0, 1]])
GRIDS = {
    "thin": np.diag([2.5, 2.5, 1.5]),
    "thick slices": np.diag([1.8, 1.8, 5.0]),
    "sagittal slices": np.diag([4.0, 1.0, 1.0])[:, [1, 2, 0]],
    "flipped": np.diag([-2.5, -2.5, 2.0]),
    "oblique": TILT @ np.diag([2.0, 2.0, 2.5]),
    "tilted gantry": SHEAR @ np.diag([2.0, 2.0, 2.5]),
}


def scan(axes: np.ndarray, kind=np.float32, values=lambda ras: ras @ SLOPE + SHIFT) -> Volume:
    """A scan of all that is straightened, whose values follow from the place, with the spine in its middle."""
    size = np.ceil(np.abs(np.linalg.inv(axes)) @ np.array([240.0, 300.0, np.ptp(PLACES[:, 2]) + 260.0])).astype(int)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = axes, PLACES.mean(axis=0) - axes @ ((size - 1) / 2)
    index = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1).reshape(-1, 3)
    ras = index @ axes.T + matrix[:3, 3]
    return Volume(values(ras).reshape(size).transpose(2, 1, 0).astype(kind), matrix)


def some_places(straight: Volume) -> tuple[tuple, np.ndarray]:
    """Voxels (k, j, i) all over a straightened volume, and their places in the world of the scan."""
    rng = np.random.default_rng(0)
    k, j, i = (rng.integers(0, size, 3000) for size in straight.array.shape)
    return (k, j, i), SPINE.to_world(ijk_to_ras(straight, np.stack([i, j, k], axis=1)))


@pytest.mark.parametrize("axes", GRIDS.values(), ids=GRIDS)
def test_every_voxel_shows_its_place(axes):
    straight = straight_volume(scan(axes), SPINE, voxel_mm=1.0)
    at, world = some_places(straight)
    np.testing.assert_allclose(straight.array[at], world @ SLOPE + SHIFT, atol=0.6)


def test_the_grid_is_isotropic_and_holds_body_canal_and_processes():
    straight = straight_volume(scan(np.diag([3.0, 3.0, 3.0])), SPINE)
    np.testing.assert_allclose(straight.spacing, VOXEL_MM)
    low, high = straight.corners.min(axis=0), straight.corners.max(axis=0)
    np.testing.assert_allclose(low, (-SIDE_MM, -BACK_MM, SPINE.lowest), atol=VOXEL_MM)
    np.testing.assert_allclose(high, (SIDE_MM, FRONT_MM, SPINE.highest), atol=VOXEL_MM)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_whole_numbers_stay_whole_and_none_overflows(kind):
    fill = np.iinfo(kind).max if np.dtype(kind).kind in "iu" and np.dtype(kind).itemsize < 4 else 100_000
    straight = straight_volume(scan(np.diag([3.0, 3.0, 3.0]), kind, lambda ras: np.full(len(ras), fill)), SPINE, 2.0)
    middle = straight.array[straight.array.shape[0] // 2]
    assert (middle == fill).all()
    assert straight.array.dtype == (np.int16 if np.dtype(kind).itemsize == 1 or kind is np.int16 else np.float32)


@pytest.mark.parametrize(
    ("values", "outside"), [(-50.0, AIR_HU), (300.0, 0.0)], ids=["CT: air", "MR, which has no values below 0"]
)
def test_outside_the_scan_lies_nothing(values, outside):
    whole = scan(np.diag([3.0, 3.0, 3.0]), np.int16, lambda ras: np.full(len(ras), values))
    part = Volume(whole.array[:50], whole.ijk_to_ras)
    straight = straight_volume(part, SPINE, 2.0).array
    assert (straight[0] == values).all() and (straight[-1] == outside).all()


def test_a_spine_beside_the_scan_gives_an_empty_volume():
    far = affine_of((2.0, 2.0, 2.0), (3000.0, 0.0, 0.0))
    straight = straight_volume(Volume(np.full((20, 20, 20), -50, np.int16), far), SPINE, 2.0)
    assert (straight.array == AIR_HU).all()


def test_holes_of_the_scan_do_not_spread():
    holed = scan(np.diag([3.0, 3.0, 3.0]), np.float32, lambda ras: np.full(len(ras), -50.0))
    holed.array[::7, ::5, ::3] = np.nan
    assert np.isfinite(straight_volume(holed, SPINE, 2.0).array).all()


def test_a_long_fine_scan_is_never_copied():
    whole = np.broadcast_to(np.int16(-50), (1200, 512, 512))  # 600 MB if it were held
    place = PLACES.mean(axis=0) - np.array([0.5, 0.5, 0.5]) * (512, 512, 1200) / 2
    long = Volume(whole, affine_of((0.5, 0.5, 0.5), tuple(place)))
    tracemalloc.start()
    straight = straight_volume(long, SPINE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < straight.array.nbytes + 60e6


@pytest.mark.parametrize("case", ["lidc002", "gewb_f67", "acrin_flt_A_headneck"])
def test_distances_of_a_real_spine_are_true(shared_data, case):
    """Against the length of an interpolating curve through the same bodies, of another kind than the module's."""
    volume = read_volume(shared_data / "ct" / f"{case}.nii.gz")
    points = tuple(LabeledPoint(p.level, p.ras) for p in read_points(shared_data / "ct" / f"{case}.mrk.json"))
    labels = SpineLabels(points)
    spine = straight_spine(labels.points)
    straight = straight_volume(volume, spine, 1.0)
    heights = np.array([point.ras[2] for point in spine.labels(labels).points])
    places = np.array([point.ras for point in labels.points])
    true = np.array([_arc(places, row) for row in range(len(places) - 1)])
    np.testing.assert_allclose(heights[0] - heights[-1], true.sum(), rtol=0.01)
    along = np.array([np.convolve(each, np.ones(4), "valid") for each in (heights[:-1] - heights[1:], true)])
    np.testing.assert_allclose(along[0], along[1], rtol=0.01)
    assert np.median(_bone_on_the_axis(straight, heights)) > 80  # the marrow: the bodies stand on the axis


def _arc(places: np.ndarray, row: int) -> float:
    """Length of the Catmull-Rom curve between two neighboring places."""
    padded = np.concatenate([2 * places[:1] - places[1:2], places, 2 * places[-1:] - places[-2:-1]])
    a, b, c, d = padded[row : row + 4]
    t = np.linspace(0, 1, 400)[:, None]
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return float(np.linalg.norm(np.diff(curve, axis=0), axis=1).sum())


def _bone_on_the_axis(straight: Volume, heights: np.ndarray) -> np.ndarray:
    rows = ((heights - straight.ijk_to_ras[2, 3]) / straight.spacing[2]).round().astype(int)
    j, i = (int(-straight.ijk_to_ras[axis, 3] / straight.spacing[axis]) for axis in (1, 0))
    return straight.array[rows, j - 3 : j + 4, i - 3 : i + 4].mean(axis=(1, 2))
