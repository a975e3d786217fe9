"""The line of the spine through candidates: the order from head to foot, whatever lies beside the spine."""

from __future__ import annotations

import numpy as np
import pytest
from VertebraLabelingLib.solver.spine_curve import spine_curve

SPACING_MM = 20.0


def vertebrae(count: int, top: float = 0.0) -> np.ndarray:
    """A spine that leans backward a little, as the upper chest does."""
    steps = np.arange(count)[:, None]
    return np.array([0.0, 0.0, top]) + steps * np.array([0.0, -6.0, -SPACING_MM])


def order_of(points, weight=0.6, turned=False) -> list[int]:
    """Head first; the levels say nothing, so the world's up decides."""
    points = np.asarray(points)[:: -1 if turned else 1]
    weight = np.broadcast_to(weight, len(points))[:: -1 if turned else 1]
    order = spine_curve(points, weight, np.zeros((len(points), 26))).order
    return [len(points) - 1 - row for row in order] if turned else list(order)


@pytest.mark.parametrize("turned", [False, True], ids=["head first", "feet first"])
def test_vertebrae_are_put_in_order(turned):
    assert order_of(vertebrae(8), turned=turned) == list(range(8))


@pytest.mark.parametrize("stray", [(200.0, 20.0, -160.0), (60.0, -5.0, -185.0), (-120.0, 60.0, -90.0)])
@pytest.mark.parametrize("turned", [False, True], ids=["head first", "feet first"])
def test_a_stray_candidate_does_not_bend_the_end_of_the_line(stray, turned):
    """The line goes straight on at the last vertebrae, so that they keep their order and their direction."""
    spine = vertebrae(8)
    alone = spine_curve(spine, np.full(8, 0.6), np.zeros((8, 26)))
    points, weight = np.vstack([spine, stray]), np.append(np.full(8, 0.6), 0.1)
    assert [row for row in order_of(points, weight, turned) if row < 8] == list(range(8))
    curve = spine_curve(points, weight, np.zeros((9, 26)))
    tangent = curve.tangent[np.argsort(curve.order)]
    np.testing.assert_allclose(tangent[:8], alone.tangent, atol=1e-6)


@pytest.mark.parametrize("missing", [1, 3, 6])
def test_a_gap_between_two_parts_of_the_spine_is_bridged(missing):
    upper, lower = vertebrae(6), vertebrae(6) + (6 + missing) * np.array([0.0, -6.0, -SPACING_MM])
    lower = lower + np.array([25.0, 0.0, 0.0])  # aside: only a line through both parts goes there
    curve = spine_curve(np.vstack([lower, upper]), np.full(12, 0.6), np.zeros((12, 26)))
    assert list(curve.order) == [*range(6, 12), *range(6)]
    ways = np.linalg.norm(np.diff(np.vstack([upper, lower]), axis=0), axis=1)
    assert np.abs(np.diff(curve.position) - ways).max() < 8.0


def test_two_vertebrae_far_apart_are_still_put_in_order():
    """One of them found twice: what lies within one vertebra has no direction."""
    points = np.array([[0.0, 0.0, -150.0], [0.1, 0.0, 0.0], [0.0, 0.1, 0.05]])
    assert order_of(points)[-1] == 0
    assert order_of(points, turned=True)[-1] == 0


def test_candidates_at_one_place_stay_as_they_are():
    assert order_of(np.zeros((3, 3))) == [0, 1, 2]


def test_a_point_at_a_joint_has_the_direction_of_both_sides():
    """A kink: the same line, read from either end, gives the same tangents but for their sign."""
    points = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, -40.0], [0.0, 0.0, -80.0], [40.0, 0.0, -80.0], [80.0, 0.0, -80.0]])
    corner = np.array([[-10.0, 0.0, -90.0]])  # nearest to the kink itself
    there = spine_curve(np.vstack([points, corner]), np.append(np.full(5, 0.6), 0.02), np.zeros((6, 26)))
    back = spine_curve(np.vstack([points[::-1], corner]), np.append(np.full(5, 0.6), 0.02), np.zeros((6, 26)))
    one, other = (curve.tangent[list(curve.order).index(5)] for curve in (there, back))
    assert min(np.abs(one - other).max(), np.abs(one + other).max()) < 0.01
