"""Points drawn to the line of their chain: noise goes, the shape of a spine and what is broken in it stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spine_factory import evidence, positions
from VertebraLabelingLib.anatomy import LEVEL_INDEX, USUAL_LEVELS
from VertebraLabelingLib.chain import Chain, cheapest_chain
from VertebraLabelingLib.smooth_chain import MOST_MM, OFF_THE_LINE, smooth, with_smooth_chain

LEVELS = USUAL_LEVELS[:14]  # C1-T7
ROW = np.arange(12.0)


def chain_of(levels, points) -> Chain:
    return Chain(np.asarray(points), np.array([LEVEL_INDEX[level] for level in levels]))


@pytest.mark.parametrize(
    "line",
    [
        np.outer(ROW, (0.5, -3.0, -25.0)),
        np.stack([0.2 * ROW**2, -0.4 * ROW**2, -18 * ROW - 0.3 * ROW**2], axis=1),
    ],
    ids=["straight", "scoliosis and growing distances"],
)
def test_a_line_whose_curve_and_distances_change_evenly_stays(line):
    np.testing.assert_allclose(smooth(line), line, atol=1e-9)


def test_noise_of_single_points_becomes_less():
    points = np.stack(positions(USUAL_LEVELS[2:20]))
    rng = np.random.default_rng(0)
    before, after = [], []
    for _ in range(50):
        noisy = points + rng.normal(0, 0.7, points.shape)
        before.append(np.linalg.norm(noisy - points, axis=1).mean())
        after.append(np.linalg.norm(smooth(noisy) - points, axis=1).mean())
    assert np.mean(after) < 0.8 * np.mean(before)


def test_the_line_of_a_spine_itself_is_hardly_bent():
    points = np.stack(positions(USUAL_LEVELS[2:]))
    assert np.linalg.norm(smooth(points) - points, axis=1).max() < 0.5


def test_a_body_that_has_slipped_keeps_its_place_to_a_millimeter():
    points = np.outer(ROW, (0.0, 0.0, -25.0))
    points[6:, 1] += 9.0
    moved = np.linalg.norm(smooth(points) - points, axis=1)
    assert moved.max() == pytest.approx(MOST_MM)


@given(st.integers(0, 30), st.integers(0, 10**6))
def test_no_point_moves_farther_than_that_in_any_chain_however_it_lies(number, seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 50, (number, 3))
    turned, shift = np.linalg.qr(rng.normal(size=(3, 3)))[0], rng.normal(0, 100, 3)
    after = smooth(points)
    assert np.linalg.norm(after - points, axis=1).max(initial=0) <= MOST_MM + 1e-9
    np.testing.assert_allclose(smooth(points @ turned + shift), after @ turned + shift, atol=1e-6)


@pytest.mark.parametrize("number", range(4))
def test_few_points_say_nothing_about_a_line(number):
    points = np.random.default_rng(0).normal(0, 30, (number, 3))
    np.testing.assert_array_equal(smooth(points), points)


def uneven(levels=LEVELS):
    points = np.stack(positions(levels)) + np.random.default_rng(1).normal(0, 0.5, (len(levels), 3))
    return evidence(levels, points, strength=6.0), points


def test_the_candidates_of_the_chain_move_and_no_others():
    seen, _ = uneven()
    chain = cheapest_chain(seen)
    beside = seen.points[4] + (30.0, 0.0, 0.0)
    wider = type(seen)(
        np.vstack([beside, seen.points]),
        np.vstack([seen.unary[4], seen.unary]),
        np.append(0.1, seen.detection),
        seen.presence,
        seen.corners,
    )
    after = with_smooth_chain(wider, chain)
    np.testing.assert_array_equal(after.points[0], beside)
    moved = np.linalg.norm(after.points[1:] - seen.points, axis=1) > 0
    np.testing.assert_array_equal(moved, [level not in OFF_THE_LINE for level in LEVELS])
    for name in ("unary", "detection", "presence", "corners"):
        np.testing.assert_array_equal(getattr(after, name), getattr(wider, name))
    np.testing.assert_array_equal(wider.points[1:], seen.points)  # the input is not written to


@pytest.mark.parametrize("end", [0, -1], ids=["head", "foot"])
def test_an_end_that_the_field_of_view_cuts_is_no_part_of_the_line(end):
    levels = USUAL_LEVELS[4:14]
    seen, points = uneven(levels)
    corners = seen.corners.copy()
    face = corners[:, 2] == (corners[:, 2].max() if end == 0 else corners[:, 2].min())
    corners[face, 2] = points[end, 2] + (5.0 if end == 0 else -5.0)  # about half a body is 9 mm
    after = with_smooth_chain(replace(seen, corners=corners), chain_of(levels, points)).points
    line = slice(1, None) if end == 0 else slice(None, -1)
    np.testing.assert_array_equal(after[end], points[end])
    np.testing.assert_allclose(after[line], smooth(points[line]))
    np.testing.assert_allclose(with_smooth_chain(seen, chain_of(levels, points)).points, smooth(points))


@given(st.integers(2, 24), st.floats(0, 0.8), st.integers(0, 10**6))
def test_a_smooth_chain_has_the_names_of_the_chain(number, noise, seed):
    rng = np.random.default_rng(seed)
    first = int(rng.integers(0, 24 - number + 1))
    levels = USUAL_LEVELS[first : first + number]
    points = np.stack(positions(levels)) + rng.normal(0, noise, (number, 3))
    seen = evidence(levels, points, strength=6.0)
    chain = cheapest_chain(seen)
    np.testing.assert_array_equal(cheapest_chain(with_smooth_chain(seen, chain)).levels, chain.levels)


def test_a_gap_in_the_names_parts_the_line():
    """Above and below it are lines of their own, and three points are none."""
    levels = (*USUAL_LEVELS[2:5], *USUAL_LEVELS[6:12])
    _, points = uneven(USUAL_LEVELS[2:12])
    points = np.delete(points, 3, axis=0)
    seen = evidence(levels, points)
    after = with_smooth_chain(seen, chain_of(levels, points)).points
    np.testing.assert_array_equal(after[:3], points[:3])
    np.testing.assert_allclose(after[3:], smooth(points[3:]))


@pytest.mark.parametrize("pair", [("T11", "L1"), ("T12", "T13"), ("T12", "L1")], ids="-".join)
def test_variants_of_the_spine_are_neighbors_as_well(pair):
    above = USUAL_LEVELS[10 : USUAL_LEVELS.index(pair[0]) + 1]
    below = ("T13", "L1", "L2", "L3") if pair[1] == "T13" else ("L1", "L2", "L3")
    levels, rng = (*above, *below), np.random.default_rng(2)
    points = np.outer(np.arange(len(levels)), (0.0, 2.0, -27.0)) + rng.normal(0, 0.5, (len(levels), 3))
    after = with_smooth_chain(evidence(levels, points), chain_of(levels, points)).points
    np.testing.assert_allclose(after, smooth(points))


def test_nothing_found_stays_nothing():
    seen, _ = uneven()
    empty = seen.kept(np.zeros(len(seen.points), bool))
    assert len(with_smooth_chain(empty, cheapest_chain(empty)).points) == 0
