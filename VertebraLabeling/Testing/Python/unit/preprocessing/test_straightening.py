"""The straightened spine: where the cross-sections lie, how they are turned, and what is sampled in them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from VertebraLabelingLib.core.volume import AIR_HU
from VertebraLabelingLib.preprocessing.straightening import (
    BEYOND_MM,
    CELL_MM,
    DEPTH_CELLS,
    FRONT_MM,
    SIDE_CELLS,
    STEP_MM,
    sections_through,
    straighten,
)

HEIGHTS = np.arange(10)[:, None] * np.array([[-25.0, 0.0, 0.0]])
STRAIGHT = np.array([400.0, 100.0, 100.0]) + HEIGHTS
CURVED = STRAIGHT + np.stack([np.zeros(10), 20 * np.sin(np.arange(10) / 2), 8 * np.cos(np.arange(10) / 3)], axis=1)
TILTED = np.array([400.0, 60.0, 100.0]) + np.arange(10)[:, None] * np.array([[-24.0, 7.0, 3.0]])
CHAINS = pytest.mark.parametrize("chain", [STRAIGHT, CURVED, TILTED], ids=["straight", "curved", "tilted"])

SLOPE = np.array([1.5, 2.0, -3.0])  # HU per mm along z, y, x


def linear_volume(spacing, extent_mm=(300.0, 160.0, 200.0)) -> torch.Tensor:
    """(D, H, W) HU that are a linear function of the position in mm."""
    axes = [torch.arange(0, length, step, dtype=torch.float64) for length, step in zip(extent_mm, spacing)]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return (SLOPE[0] * z + SLOPE[1] * y + SLOPE[2] * x).float()


def cell_places(sections, zoom=1.0) -> np.ndarray:
    """(S, DEPTH_CELLS, SIDE_CELLS, 3) middles of the cells, mm: front row first, the patient's left column first."""
    front = (FRONT_MM - (np.arange(DEPTH_CELLS) + 0.5) * CELL_MM) * zoom
    right = (np.arange(SIDE_CELLS) + 0.5 - SIDE_CELLS / 2) * CELL_MM * zoom
    return (
        sections.center[:, None, None]
        + front[:, None, None] * sections.front[:, None, None]
        + right[:, None] * sections.right[:, None, None]
    )


@CHAINS
def test_sections_are_two_millimeters_apart_from_head_to_foot(chain):
    sections = sections_through(chain)
    steps = np.diff(sections.center, axis=0)
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1), STEP_MM, atol=0.01)
    assert (steps[:, 0] < 0).all()


@CHAINS
def test_the_planes_are_orthonormal_and_stand_across_the_curve(chain):
    sections = sections_through(chain)
    along = np.gradient(sections.center, axis=0) / STEP_MM
    for first, second, dot in (
        (sections.right, sections.right, 1),
        (sections.front, sections.front, 1),
        (sections.right, sections.front, 0),
        (sections.right, along, 0),
        (sections.front, along, 0),
    ):
        np.testing.assert_allclose((first * second).sum(axis=1), dot, atol=2e-3)


@pytest.mark.parametrize(
    ("name", "to_foot", "right", "front"),
    [
        ("upright", (-1, 0, 0), (0, 0, 1), (0, 1, 0)),
        ("head to the front", (-0.8, -0.6, 0), (0, 0, 1), (-0.6, 0.8, 0)),
        ("head to the back", (-0.8, 0.6, 0), (0, 0, 1), (0.6, 0.8, 0)),
        ("head to the right", (-0.8, 0, -0.6), (-0.6, 0, 0.8), (0, 1, 0)),
        ("head to the left", (-0.8, 0, 0.6), (0.6, 0, 0.8), (0, 1, 0)),
    ],
)
def test_right_and_front_turn_with_the_spine(name, to_foot, right, front):
    chain = np.array([300.0, 200.0, 200.0]) + 30.0 * np.arange(5)[:, None] * np.array(to_foot)
    sections = sections_through(chain)
    np.testing.assert_allclose(sections.right, np.broadcast_to(right, (len(sections), 3)), atol=1e-6)
    np.testing.assert_allclose(sections.front, np.broadcast_to(front, (len(sections), 3)), atol=1e-6)


def test_the_curve_runs_on_straight_beyond_both_ends():
    sections = sections_through(TILTED)
    direction = (TILTED[-1] - TILTED[0]) / np.linalg.norm(TILTED[-1] - TILTED[0])
    np.testing.assert_allclose(sections.center[0], TILTED[0] - BEYOND_MM * direction, atol=0.1)
    np.testing.assert_allclose(sections.center[-1], TILTED[-1] + BEYOND_MM * direction, atol=STEP_MM)
    short = sections_through(TILTED, beyond_mm=10.0)
    assert len(sections) - len(short) == pytest.approx(2 * (BEYOND_MM - 10) / STEP_MM, abs=1)


def test_the_curve_passes_within_two_millimeters_of_every_body():
    sections = sections_through(CURVED)
    nearest = np.linalg.norm(CURVED[:, None] - sections.center[None], axis=2).min(axis=1)
    assert nearest.max() < 2.0


@CHAINS
def test_the_row_of_a_place_on_the_curve_is_found_again(chain):
    sections = sections_through(chain)
    rows = np.random.default_rng(0).uniform(0, len(sections) - 1, 200)
    places = np.stack([np.interp(rows, np.arange(len(sections)), axis) for axis in sections.center.T], axis=1)
    np.testing.assert_allclose(sections.rows_of(places), rows, atol=0.02)


def test_the_row_of_a_place_beside_a_straight_spine_is_that_of_its_plane():
    sections = sections_through(TILTED)
    rng = np.random.default_rng(1)
    at = rng.integers(0, len(sections), 50)
    beside = rng.uniform(-30, 30, (2, 50, 1))
    places = sections.center[at] + beside[0] * sections.right[at] + beside[1] * sections.front[at]
    np.testing.assert_allclose(sections.rows_of(places), at, atol=1e-6)


def test_rows_stop_at_the_ends_of_the_curve():
    sections = sections_through(STRAIGHT)
    outside = np.array([[900.0, 100.0, 100.0], [-900.0, 100.0, 100.0]])
    np.testing.assert_array_equal(sections.rows_of(outside), [0, len(sections) - 1])


@pytest.mark.parametrize("zoom", [1.0, 1.2])
@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (3.0, 0.9, 1.3)], ids=["isotropic", "anisotropic"])
@pytest.mark.parametrize("to_foot", [(-1.0, 0.0, 0.0), (-0.96, 0.28, 0.0), (-0.96, -0.1, 0.2)])
def test_each_cell_holds_the_value_at_its_place(spacing, zoom, to_foot):
    chain = np.array([190.0, 95.0, 100.0]) + 25.0 * np.arange(4)[:, None] * np.array(to_foot)
    sections = sections_through(chain, beyond_mm=10.0)
    image = linear_volume(spacing)
    values = straighten(image, np.array(spacing), sections, zoom).numpy()
    places = cell_places(sections, zoom)
    assert values.shape == places.shape[:3] == (len(sections), DEPTH_CELLS, SIDE_CELLS)
    last = (np.array(image.shape) - 1) * spacing
    inside = ((places > CELL_MM) & (places < last - CELL_MM)).all(axis=3)  # all four samples of the cell
    assert inside.mean() > 0.75
    np.testing.assert_allclose(values[inside], (places @ SLOPE)[inside], atol=0.5)


def test_outside_of_the_volume_is_air():
    spacing = np.array([3.0, 1.0, 1.0])
    image = torch.full((30, 60, 60), 300, dtype=torch.int16)
    sections = sections_through(np.array([[70.0, 30.0, 30.0], [40.0, 32.0, 30.0], [10.0, 30.0, 30.0]]))
    values = straighten(image, spacing, sections).numpy()
    places = cell_places(sections)
    reach = CELL_MM / 2 + spacing.max()
    last = (np.array(image.shape) - 1) * spacing
    inside = ((places > reach) & (places < last - reach)).all(axis=3)
    outside = ((places < -reach) | (places > last + reach)).any(axis=3)
    assert inside.sum() > 1000 and outside[0].all() and outside[-1].all()
    np.testing.assert_allclose(values[inside], 300.0, atol=1e-3)
    np.testing.assert_allclose(values[outside], AIR_HU, atol=1e-3)


def test_a_curve_wholly_outside_of_the_volume_sees_air():
    sections = sections_through(np.array([[900.0, 500.0, 500.0], [850.0, 500.0, 500.0]]))
    values = straighten(torch.full((20, 20, 20), 300.0), np.array([2.0, 2.0, 2.0]), sections)
    assert (values == AIR_HU).all()


@pytest.mark.parametrize(
    ("axis", "bright"),
    [(2, (slice(None), slice(None), slice(SIDE_CELLS // 2, None))), (1, (slice(None), slice(0, 7), slice(None)))],
    ids=["right half", "front half"],
)
def test_the_left_column_and_the_front_row_come_first(axis, bright):
    """The patient's right half is bright, or the front: 7 rows of 4 mm lie before the curve."""
    image = torch.zeros(150, 100, 100)
    image.index_fill_(axis, torch.arange(50, 100), 1000.0)
    chain = np.array([[200.0, 99.0, 99.0], [150.0, 99.0, 99.0], [100.0, 99.0, 99.0]])  # between voxels 49 and 50
    values = straighten(image, np.array([2.0, 2.0, 2.0]), sections_through(chain)).numpy()
    expected = np.zeros_like(values, dtype=bool)
    expected[bright] = True
    near = np.s_[5:-5, :, 10:22]  # the cells beside the curve, inside the volume
    np.testing.assert_allclose(values[near][expected[near]], 1000.0, atol=1.0)
    np.testing.assert_allclose(values[near][~expected[near]], 0.0, atol=1.0)
