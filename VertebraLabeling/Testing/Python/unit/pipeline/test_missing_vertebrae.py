"""A vertebra that the chain passes over is looked for between its neighbors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from spine_factory import evidence, positions
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, USUAL_LEVELS
from VertebraLabelingLib.core.parameters import SHIPPED
from VertebraLabelingLib.pipeline.missing_vertebrae import look_again, settled, with_possible, with_skipped
from VertebraLabelingLib.solver.chain import cheapest_chain, solve

NUMBERS = SHIPPED.missing

LEVELS = USUAL_LEVELS[1:9]  # C2-T2


def without(*missing: str):
    levels = tuple(level for level in LEVELS if level not in missing)
    points = dict(zip(LEVELS, positions(LEVELS)))
    return evidence(levels, np.array([points[level] for level in levels]), strength=3.0), points


@pytest.mark.parametrize("missing", [("C4",), ("C6",), ("T1",), ("C4", "C5")])
def test_missed_vertebrae_get_candidates_near_their_places(missing):
    given, points = without(*missing)
    wider = with_skipped(given, cheapest_chain(given))
    assert len(wider.points) == len(given.points) + len(missing)
    for level, place in zip(missing, wider.points[len(given.points) :]):
        assert np.linalg.norm(place - points[level]) < 6.0  # the neck is curved, the way between two bodies straight
    assert [point.level for point in solve(wider).points] == list(LEVELS)


def test_a_whole_chain_gets_no_candidate():
    given, _ = without()
    assert with_skipped(given, cheapest_chain(given)) is given


def test_three_missed_in_a_row_are_left_to_the_reader():
    given, _ = without("C4", "C5", "C6")
    assert with_skipped(given, cheapest_chain(given)) is given


def test_skipped_names_without_room_for_bodies_get_no_candidate():
    given, points = without("C4", "C5")
    chain = cheapest_chain(given)
    below = chain.levels > LEVEL_INDEX["C3"]
    closer = chain.points + 0.6 * (points["C3"] - points["C6"]) * below[:, None]
    assert with_skipped(given, chain) is not given
    assert with_skipped(given, chain._replace(points=closer)) is given


def test_nothing_found_stays_nothing():
    given, _ = without()
    empty = type(given)(np.empty((0, 3)), np.empty((0, 26)), np.empty(0), given.presence, given.corners)
    assert with_skipped(empty, cheapest_chain(empty)) is empty


def test_a_new_candidate_is_likeliest_the_level_that_was_missing():
    given, _ = without("C5")
    assert int(with_skipped(given, cheapest_chain(given)).unary[-1].argmin()) == LEVEL_INDEX["C5"]


@pytest.mark.parametrize(("missing", "end"), [("C2", "above"), ("T2", "below")])
def test_a_vertebra_beyond_an_end_that_should_be_in_view_gets_a_candidate_near_its_place(missing, end):
    """The field of view ends in the vertebra, 4 mm beyond its center, or 15 mm beyond it."""
    whole, points = without()
    given = replace(without(missing)[0], corners=whole.corners.copy(), presence=whole.presence)
    face = points[missing][2] + (15.0 if end == "above" else -15.0)
    at_face = np.abs(given.corners[:, 2] - face) < 1e-6
    assert at_face.sum() == 4
    given.corners[at_face, 2] -= 11.0 if end == "above" else -11.0
    assert with_possible(given, cheapest_chain(given)) is given
    given.corners[at_face, 2] = face
    wider = with_possible(given, cheapest_chain(given))
    assert len(wider.points) == len(given.points) + 1
    assert np.linalg.norm(wider.points[-1] - points[missing]) < 8.0, "within what placing reaches"
    assert int(wider.unary[-1].argmin()) == LEVEL_INDEX[missing]
    assert [point.level for point in solve(wider).points] == list(LEVELS)
    unseen = given.presence.copy()
    unseen[LEVEL_INDEX[missing]] = 0.5
    unseen = replace(given, presence=unseen)
    assert with_possible(unseen, cheapest_chain(unseen)) is unseen


def test_a_candidate_beyond_an_end_that_does_not_come_to_rest_is_dropped():
    given, _ = without()
    weak = given.detection.copy()
    weak[0] = weak[-1] = 0.9 * NUMBERS.detection
    given = replace(given, detection=weak)
    kept = settled(given, len(given.points) - 1)
    np.testing.assert_array_equal(kept.points, given.points[:-1])


def test_an_end_of_which_nothing_was_found_has_no_beyond():
    given, _ = without()
    one = given.kept(np.arange(len(given.points)) == 3)
    assert with_possible(one, cheapest_chain(one)) is one


def test_neighbors_that_are_too_far_apart_get_a_candidate_between_them_of_either_level():
    """C5 and C6 run together: one candidate on C6, named C5, and all below it one level too high."""
    points = positions(USUAL_LEVELS[1:12])  # C2-T5
    levels = (*USUAL_LEVELS[1:4], *USUAL_LEVELS[4:11])
    given = evidence(levels, np.delete(points, 3, axis=0), strength=6.0)
    chain = [point.level for point in solve(given).points]
    assert chain == list(levels)
    wider = with_possible(given, cheapest_chain(given))
    new = wider.points[len(given.points) :]
    assert len(new) == 1 and np.linalg.norm(new[0] - points[3]) < 6.0
    assert sorted(wider.unary[-1].argsort()[:2]) == [LEVEL_INDEX["C4"], LEVEL_INDEX["C5"]]


def test_the_last_thoracic_and_the_first_lumbar_vertebra_are_neighbors_as_well():
    """T13 lies between their indices, not between them."""
    levels = USUAL_LEVELS[12:24]
    points = positions(levels)
    below = np.array([level.startswith("L") for level in levels])
    points[below] += 0.45 * (points[below][0] - points[~below][-1])
    given = evidence(levels, points, strength=6.0)
    assert [point.level for point in solve(given).points] == list(levels)
    wider = with_possible(given, cheapest_chain(given))
    assert len(wider.points) == len(given.points) + 1
    assert sorted(wider.unary[-1].argsort()[:2]) == [LEVEL_INDEX["T12"], LEVEL_INDEX["L1"]]


def test_the_atlas_may_lie_far_from_the_axis():
    levels = USUAL_LEVELS[:8]
    points = positions(levels)
    points[0] += 0.4 * (points[0] - points[1])
    given = evidence(levels, points, strength=6.0)
    assert [point.level for point in solve(given).points] == list(levels)
    assert with_possible(given, cheapest_chain(given)) is given


class TestLookAgain:
    """Skipped levels first, then what is only possible; each place is looked at where there is one."""

    @staticmethod
    def looked(given, detection=NUMBERS.detection):
        asked = []

        def place(wider, first):
            asked.append((len(wider.points), first))
            seen = wider.detection.copy()
            seen[first:] = detection
            return replace(wider, detection=seen)

        found, chain = look_again(given, place)
        return found, chain, asked

    def test_a_whole_spine_is_not_looked_at(self):
        given, _ = without()
        found, chain, asked = self.looked(given)
        assert found is given and not asked
        np.testing.assert_array_equal(chain.points, cheapest_chain(given).points)

    def test_a_skipped_vertebra_joins_the_chain(self):
        given, _ = without("C5")
        found, chain, asked = self.looked(given)
        assert asked == [(len(LEVELS), len(LEVELS) - 1)] and len(found.points) == len(LEVELS)
        assert [USUAL_LEVELS[k] for k in chain.levels] == list(LEVELS)

    @pytest.mark.parametrize(
        ("detection", "number"),
        [(NUMBERS.detection, 1), (0.9 * NUMBERS.detection, 0)],
        ids=["settled", "not"],
    )
    def test_a_possible_vertebra_joins_the_chain_where_it_comes_to_rest(self, detection, number):
        whole, _ = without()
        given = replace(without("T2")[0], corners=whole.corners, presence=whole.presence)
        found, chain, asked = self.looked(given, detection)
        assert asked == [(len(LEVELS), len(LEVELS) - 1)]
        assert len(found.points) == len(chain.levels) == len(LEVELS) - 1 + number
