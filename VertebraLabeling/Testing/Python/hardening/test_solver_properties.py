"""The solver on evidence that no network gives: coincident, collinear, certain, contradictory, far apart."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.errors import InputError, NoSpineError
from VertebraLabelingLib.solver.chain import cheapest_chain, relabel, solve

PATTERNS = ("scattered", "one place", "two places", "a line", "a line across", "a ring", "far apart", "a grid")
EXTREMES = ("random", "zero", "highest", "one level", "upside down", "two levels each")
CORNERS = ("around", "no volume", "elsewhere", "huge")


def places(pattern: str, count: int, rng) -> np.ndarray:
    """(N, 3) candidates."""
    row = np.arange(count, dtype=float)
    if pattern == "one place":
        return np.tile((1.0, 2.0, 3.0), (count, 1))
    if pattern == "two places":
        return np.where((row % 2 == 0)[:, None], (0.0, 0.0, 0.0), (0.0, 0.0, 25.0))
    if pattern == "a line":
        return np.stack([0 * row, 0 * row, -20.0 * row], axis=1)
    if pattern == "a line across":
        return np.stack([20.0 * row, 0 * row, 0 * row], axis=1)
    if pattern == "a ring":
        return 80 * np.stack([np.cos(row), np.sin(row), 0 * row], axis=1)
    if pattern == "far apart":
        return rng.uniform(-9e4, 9e4, (count, 3))
    if pattern == "a grid":
        return np.stack([20 * (row % 3), 20 * (row // 3 % 3), 20 * (row // 9)], axis=1)
    return rng.uniform((-60, -60, 0), (60, 60, 600), (count, 3))


def costs(kind: str, count: int, rng) -> np.ndarray:
    """(N, 26) unary costs."""
    row, level = np.arange(count)[:, None], np.arange(len(LEVELS))[None]
    if kind == "zero":
        return np.zeros((count, len(LEVELS)))
    if kind == "highest":
        return np.full((count, len(LEVELS)), 12.0)
    if kind == "one level":
        return np.where(level == 12, 0.0, 12.0) + 0.0 * row
    if kind == "upside down":
        return np.minimum(np.abs(level - (25 - row)) * 4.0, 12.0)
    if kind == "two levels each":
        return np.where((level == row) | (level == (row + 13) % 26), 0.0, 12.0)
    return 12 * rng.random((count, len(LEVELS)))


@st.composite
def evidences(draw) -> Evidence:
    """Any pattern of places with any pattern of costs, certain or uncertain."""
    count, rng = draw(st.integers(0, 26)), np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    detection, presence = draw(st.sampled_from(("random", 0.0, 1.0))), draw(st.sampled_from(("random", 0.0, 0.5, 1.0)))
    size = {"around": 700.0, "no volume": 0.0, "elsewhere": 10.0, "huge": 1e5}[draw(st.sampled_from(CORNERS))]
    box = np.array(np.meshgrid((-size, size), (-size, size), (-size, size), indexing="ij")).reshape(3, 8).T
    return Evidence(
        places(draw(st.sampled_from(PATTERNS)), count, rng),
        costs(draw(st.sampled_from(EXTREMES)), count, rng),
        rng.random(count) if detection == "random" else np.full(count, detection),
        rng.random(len(LEVELS)) if presence == "random" else np.full(len(LEVELS), presence),
        box + (5000.0 if size == 10.0 else 0.0),
    )


def assert_sound(labels: SpineLabels) -> None:
    """Levels ordered and single, positions finite, confidences probabilities."""
    order = [LEVEL_INDEX[point.level] for point in labels.points]
    assert order == sorted(set(order)) and order
    assert np.isfinite([point.ras for point in labels.points]).all()
    assert all(0.0 <= point.confidence <= 1.0 for point in labels.points)
    assert len({point.ras for point in labels.points}) <= len(labels.points)


@settings(max_examples=60, deadline=None)
@given(evidences())
def test_levels_are_never_repeated_or_unordered_whatever_the_evidence(evidence):
    try:
        assert_sound(solve(evidence))
    except NoSpineError as error:
        assert str(error).endswith(".")


@given(evidences())
def test_the_cheapest_chain_alone_is_that_of_the_whole_answer(evidence):
    places, levels, _ = cheapest_chain(evidence)
    try:
        points = solve(evidence).points
    except NoSpineError:
        points = ()
    assert [LEVELS[level] for level in levels] == [point.level for point in points]
    np.testing.assert_array_equal(places, np.array([point.ras for point in points]).reshape(-1, 3))


@settings(max_examples=25, deadline=None)
@given(evidence=evidences(), data=st.data())
def test_no_row_of_corrections_brings_a_level_twice_or_out_of_order(evidence, data):
    try:
        labels = solve(evidence)
    except NoSpineError:
        return
    for _ in range(data.draw(st.integers(1, 4))):
        point = data.draw(st.sampled_from(labels.points))
        kind = data.draw(st.sampled_from(("name", "move", "remove")))
        fixed, removed = {}, []
        if kind == "name":
            fixed = {data.draw(st.sampled_from(LEVELS)): point.ras}
        elif kind == "move":
            fixed = {point.level: tuple(np.add(point.ras, data.draw(st.tuples(*[st.floats(-30, 30)] * 3))).tolist())}
        else:
            removed = [point.ras]
        try:
            labels = relabel(labels, fixed, removed)
        except (InputError, NoSpineError) as error:
            assert str(error).endswith(".")
            continue
        assert_sound(labels)
        assert all(labels.by_level[level].ras == ras for level, ras in fixed.items())
