"""A vertebra that the chain passes over is looked for between its neighbors."""

from __future__ import annotations

import numpy as np
import pytest
from spine_factory import evidence, positions
from VertebraLabelingLib import gaps
from VertebraLabelingLib.anatomy import LEVEL_INDEX, USUAL_LEVELS
from VertebraLabelingLib.chain import cheapest_chain, solve
from VertebraLabelingLib.gaps import with_skipped

LEVELS = USUAL_LEVELS[1:9]  # C2-T2


def without(*missing: str):
    levels = tuple(level for level in LEVELS if level not in missing)
    points = dict(zip(LEVELS, positions(LEVELS)))
    return evidence(levels, np.array([points[level] for level in levels]), strength=3.0), points


@pytest.mark.parametrize("missing", [("C4",), ("C6",), ("T1",), ("C4", "C5")])
def test_missed_vertebrae_get_candidates_near_their_places(missing):
    given, points = without(*missing)
    wider = with_skipped(given)
    assert len(wider.points) == len(given.points) + len(missing)
    for level, place in zip(missing, wider.points[len(given.points) :]):
        assert np.linalg.norm(place - points[level]) < 6.0  # the neck is curved, the way between two bodies straight
    assert [point.level for point in solve(wider).points] == list(LEVELS)


def test_a_whole_chain_gets_no_candidate():
    given, _ = without()
    assert with_skipped(given) is given


def test_three_missed_in_a_row_are_left_to_the_reader():
    given, _ = without("C4", "C5", "C6")
    assert with_skipped(given) is given


def test_skipped_names_without_room_for_bodies_get_no_candidate(monkeypatch):
    given, points = without("C4", "C5")
    places, levels = cheapest_chain(given)
    below = levels > LEVEL_INDEX["C3"]
    closer = places + 0.6 * (points["C3"] - points["C6"]) * below[:, None]
    monkeypatch.setattr(gaps, "cheapest_chain", lambda evidence: (closer, levels))
    assert with_skipped(given) is given


def test_nothing_found_stays_nothing():
    given, _ = without()
    empty = type(given)(np.empty((0, 3)), np.empty((0, 26)), np.empty(0), given.presence, given.corners)
    assert with_skipped(empty) is empty


def test_a_new_candidate_is_likeliest_the_level_that_was_missing():
    given, _ = without("C5")
    assert int(with_skipped(given).unary[-1].argmin()) == LEVEL_INDEX["C5"]
