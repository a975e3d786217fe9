"""The vertebrae at the ends of a field of view: which of them count, and which are missed without a word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from spine_factory import evidence, positions
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingTraining.data.evidence_folder import Sample
from VertebraLabelingTraining.evaluation.end_scores import INSIDE_MM, ends, table

LEVELS = USUAL_LEVELS[8:15]
POINTS = positions(LEVELS)


def sample(points: np.ndarray = POINTS, below_mm: float = 60.0) -> Sample:
    """Seven vertebrae in a box that ends ``below_mm`` below the lowest; the networks have seen those of ``points``."""
    low, high = POINTS.min(axis=0) - 60.0, POINTS.max(axis=0) + 60.0
    low[2] = POINTS[-1, 2] - below_mm
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    seen = replace(evidence(LEVELS[: len(points)], points), corners=corners)
    return Sample(seen, dict(zip(LEVELS, map(tuple, POINTS))), frozenset(), "a")


def test_both_ends_of_a_spine_that_is_named_are_found():
    assert [end[:3] for end in ends(sample())] == [("a", LEVELS[0], True), ("a", LEVELS[-1], True)]


def test_a_vertebra_near_the_edge_of_the_image_counts_from_8_mm_on():
    assert ends(sample(below_mm=INSIDE_MM + 0.1))[-1][1] == LEVELS[-1]
    assert ends(sample(below_mm=INSIDE_MM - 0.1))[-1][1] == LEVELS[-2]


def test_a_missed_end_is_counted_and_named_where_nothing_is_told():
    found = ends(sample(POINTS[:-1]))
    assert [end[2] for end in found] == [True, False]
    silent = [(case, level, named, False) for case, level, named, _ in found]
    assert table(silent).splitlines() == ["2 ends, 1 missed, 1 of these without a flag (50.0%)", f"  a: {LEVELS[-1]}"]
    told = [(case, level, named, True) for case, level, named, _ in found]
    assert table(told) == "2 ends, 1 missed, 0 of these without a flag (0.0%)"
