"""The vertebrae at the ends of a field of view: which of them count, and which are missed without a word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from spine_factory import evidence, positions
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingTraining.data import added_truth
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


def test_a_vertebra_beyond_the_end_of_the_image_does_not_count_though_the_file_goes_on(monkeypatch):
    edges = {("pt_1", "lower"): POINTS[-1, 2] - INSIDE_MM + 1, ("pt_1", "upper"): POINTS[0, 2] + INSIDE_MM + 1}
    monkeypatch.setattr(added_truth, "_edges", lambda: edges)
    assert [end[1] for end in ends(replace(sample(), name="openkbp/pt_1__3"))] == [LEVELS[0], LEVELS[-2]]


def test_where_the_images_end_was_read_for_every_scan_of_openkbp():
    assert added_truth.image_edge("openkbp/pt_41", "lower") == -94
    assert added_truth.image_edge("ct/gewb_f67", "lower") is None


def test_a_missed_end_is_counted_and_named_where_nothing_is_told():
    found = ends(sample(POINTS[:-1]))
    assert [end[2] for end in found] == [True, False]
    silent = [(case, level, named, False) for case, level, named, _ in found]
    assert table(silent).splitlines() == ["2 ends, 1 missed, 1 of these without a flag (50.0%)", f"  a: {LEVELS[-1]}"]
    told = [(case, level, named, True) for case, level, named, _ in found]
    assert table(told) == "2 ends, 1 missed, 0 of these without a flag (0.0%)"
