"""Points drawn to the line of their chain: noise goes, the shape of a spine and what is broken in it stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spine_factory import evidence, positions
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, USUAL_LEVELS
from VertebraLabelingLib.core.parameters import SHIPPED
from VertebraLabelingLib.core.spacing import VERSE_SPACING
from VertebraLabelingLib.pipeline.chain_smoothing import OFF_THE_LINE, smooth, with_smooth_chain
from VertebraLabelingLib.solver.chain import Chain, cheapest_chain

LEVELS = USUAL_LEVELS[:14]  # C1-T7
SPINE = USUAL_LEVELS[2:20]  # C3-L1


def usual(levels) -> np.ndarray:
    """Usual distances between neighbors, mm."""
    return np.array([VERSE_SPACING[pair] for pair in zip(levels, levels[1:])])


def chain_of(levels, points) -> Chain:
    """The chain of all candidates in their order."""
    return Chain(np.asarray(points), np.array([LEVEL_INDEX[level] for level in levels]), np.arange(len(levels)))


@pytest.mark.parametrize("levels", [USUAL_LEVELS[2:9], USUAL_LEVELS[9:24], USUAL_LEVELS[2:]], ids=lambda its: its[0])
@pytest.mark.parametrize("scale", [0.7, 1.0, 1.2])
def test_a_straight_spine_with_the_usual_distances_stays_whatever_its_size(levels, scale):
    gaps = usual(levels)
    line = np.outer(scale * np.append(0.0, np.cumsum(gaps)), (0.2, 0.4, -0.9))
    np.testing.assert_allclose(smooth(line, gaps), line, atol=1e-9)


def test_noise_of_single_points_becomes_less():
    points, rng = np.stack(positions(SPINE)), np.random.default_rng(0)
    before, after = [], []
    for _ in range(50):
        noisy = points + rng.normal(0, 0.7, points.shape)
        before.append(np.linalg.norm(noisy - points, axis=1).mean())
        after.append(np.linalg.norm(smooth(noisy, usual(SPINE)) - points, axis=1).mean())
    assert np.mean(after) < 0.9 * np.mean(before)


def test_the_line_of_a_bent_spine_is_hardly_made_straighter():
    points = np.stack(positions(USUAL_LEVELS[2:]))
    assert np.linalg.norm(smooth(points, usual(USUAL_LEVELS[2:])) - points, axis=1).max() < 0.5


def test_a_body_that_has_slipped_keeps_its_place_to_less_than_a_millimeter():
    points = np.outer(np.append(0.0, np.cumsum(usual(SPINE))), (0.0, 0.0, -1.0))
    points[6:, 1] += 9.0
    moved = np.linalg.norm(smooth(points, usual(SPINE)) - points, axis=1)
    assert moved.max() == pytest.approx(SHIPPED.smoothing.most_mm) and SHIPPED.smoothing.most_mm < 1


@given(st.integers(0, 22), st.integers(0, 10**6))
def test_no_point_moves_farther_than_that_in_any_chain_however_it_lies(number, seed):
    rng = np.random.default_rng(seed)
    points, gaps = rng.normal(0, 50, (number, 3)), usual(USUAL_LEVELS[2 : 2 + number])
    turned, shift = np.linalg.qr(rng.normal(size=(3, 3)))[0], rng.normal(0, 100, 3)
    after = smooth(points, gaps)
    assert np.linalg.norm(after - points, axis=1).max(initial=0) <= SHIPPED.smoothing.most_mm + 1e-9
    np.testing.assert_allclose(smooth(points @ turned + shift, gaps), after @ turned + shift, atol=1e-6)


@pytest.mark.parametrize("number", range(3))
def test_few_points_say_nothing_about_a_line(number):
    points = np.random.default_rng(0).normal(0, 30, (number, 3))
    np.testing.assert_array_equal(smooth(points, usual(SPINE[:number])), points)


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
    after = with_smooth_chain(wider, chain._replace(rows=chain.rows + 1))
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
    np.testing.assert_allclose(after[line], smooth(points[line], usual(levels[line])))
    whole = with_smooth_chain(seen, chain_of(levels, points)).points
    np.testing.assert_allclose(whole, smooth(points, usual(levels)))


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
    """Above and below it are lines of their own, and two points are none."""
    levels = (*USUAL_LEVELS[3:5], *USUAL_LEVELS[6:12])
    _, points = uneven(USUAL_LEVELS[3:12])
    points = np.delete(points, 2, axis=0)
    seen = evidence(levels, points)
    after = with_smooth_chain(seen, chain_of(levels, points)).points
    np.testing.assert_array_equal(after[:2], points[:2])
    np.testing.assert_allclose(after[2:], smooth(points[2:], usual(levels[2:])))


@pytest.mark.parametrize("pair", [("T11", "L1"), ("T12", "T13"), ("T12", "L1")], ids="-".join)
def test_variants_of_the_spine_are_neighbors_as_well(pair):
    above = USUAL_LEVELS[10 : USUAL_LEVELS.index(pair[0]) + 1]
    below = ("T13", "L1", "L2", "L3") if pair[1] == "T13" else ("L1", "L2", "L3")
    levels, rng = (*above, *below), np.random.default_rng(2)
    points = np.outer(np.arange(len(levels)), (0.0, 2.0, -27.0)) + rng.normal(0, 0.5, (len(levels), 3))
    after = with_smooth_chain(evidence(levels, points), chain_of(levels, points)).points
    np.testing.assert_allclose(after, smooth(points, usual(levels)))


def test_nothing_found_stays_nothing():
    seen, _ = uneven()
    empty = seen.kept(np.zeros(len(seen.points), bool))
    assert len(with_smooth_chain(empty, cheapest_chain(empty)).points) == 0
