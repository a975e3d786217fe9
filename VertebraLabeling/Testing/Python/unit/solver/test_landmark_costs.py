"""What single vertebrae look like: costs, and the names of spines of unusual counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from spine_factory import FOUR_LUMBAR, NO_T12, WITH_L6, WITH_T13, evidence, names, positions, signs
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS, USUAL_LEVELS
from VertebraLabelingLib.core.counting import COUNT, Count
from VertebraLabelingLib.core.evidence import LANDMARK_SIGNS, Evidence
from VertebraLabelingLib.core.parameters import SHIPPED
from VertebraLabelingLib.solver.chain import relabel, solve
from VertebraLabelingLib.solver.landmark_costs import below_costs, contradiction, end_costs, node_costs

P = SHIPPED.chain


def misread(levels, last: str | None = None) -> Evidence:
    """A spine whose levels are all counted from its head as if it were a usual one."""
    points = positions(levels)
    read = [(*USUAL_LEVELS, "L6")[USUAL_LEVELS.index(levels[0]) + n] for n in range(len(levels))]
    said = evidence(read, points, strength=0.3, margin_mm=40.0, presence=False)
    return replace(said, landmarks=signs(levels, last))


def test_what_is_not_known_costs_nothing():
    nothing = np.zeros((3, len(LANDMARK_SIGNS)))
    assert not node_costs(nothing, P).any() and not below_costs(nothing, P).any() and not end_costs(nothing, P).any()


def test_each_level_is_cheapest_for_what_looks_like_it():
    for level in LEVELS[:-3]:  # whether the others lie on the sacrum costs on the way from them, or at the end
        cost = node_costs(signs([level]), P)[0]
        assert cost[LEVEL_INDEX[level]] == pytest.approx(cost.min(), abs=1e-9), level
    thoracic, lumbar = (node_costs(signs([level]), P)[0] for level in ("T5", "L1"))
    assert thoracic[LEVEL_INDEX["L1"]] - thoracic.min() > 8 and lumbar[LEVEL_INDEX["T11"]] - lumbar.min() > 8
    assert lumbar[LEVEL_INDEX["T12"]] - lumbar.min() < 7, "twelfth ribs may be missing"


def indices(levels) -> np.ndarray:
    return np.array([LEVEL_INDEX[level] for level in levels])


@pytest.mark.parametrize("levels", [USUAL_LEVELS, WITH_T13, WITH_L6, NO_T12, FOUR_LUMBAR, USUAL_LEVELS[8:15]])
def test_nothing_speaks_against_a_spine_that_looks_as_it_is_named(levels):
    last = levels[-1] if levels[-1].startswith("L") else None
    assert contradiction(signs(levels, last), indices(levels), P) == 0.0


def test_each_sign_that_its_name_does_not_have_speaks_against_a_chain():
    levels = USUAL_LEVELS[1:15]  # C2 to T8
    shifted = USUAL_LEVELS[2:16]
    assert contradiction(signs(levels), indices(shifted), P) == 4 * 5.0, "C2 is C3; C7, no rib, is T1; T1 is T2"
    ribs = signs(USUAL_LEVELS[16:21])  # T10 to L2
    ribs[3] = signs(["T12"])[0]
    assert contradiction(ribs, indices(USUAL_LEVELS[16:21]), P) == 5.0, "L1 bears a rib"


def test_the_sacrum_below_a_vertebra_speaks_against_another_one_there():
    levels = ("L2", "L3", "L4", "L5")
    assert contradiction(signs(levels, last="L4"), indices(levels), P) == 5.0
    assert contradiction(signs(levels), indices(levels), P) == 0.0, "the sacrum may not be in view"
    assert contradiction(np.zeros((4, len(LANDMARK_SIGNS))), indices(levels), P) == 0.0
    assert contradiction(np.zeros((0, len(LANDMARK_SIGNS))), indices(()), P) == 0.0


def test_no_sign_says_more_than_its_most():
    odd, odder = (node_costs(np.full((1, 4), value), P) for value in (P.landmark_most, 50.0))
    np.testing.assert_array_equal(odd, odder)


@pytest.mark.parametrize(
    ("levels", "last"),
    [
        (WITH_T13, "L5"),
        (WITH_T13[7:], "L5"),
        (WITH_T13[7:22], None),
        (WITH_L6, "L6"),
        (WITH_L6[15:], "L6"),
        (FOUR_LUMBAR, "L4"),
        (FOUR_LUMBAR[12:], "L4"),
        (USUAL_LEVELS, "L5"),
        (USUAL_LEVELS[7:21], None),
    ],
    ids=lambda value: f"{value[0]}-{value[-1]} of {len(value)}" if isinstance(value, tuple) else str(value),
)
def test_ribs_and_sacrum_tell_where_the_count_changes(levels, last):
    assert names(solve(misread(levels, last))) == list(levels)


@pytest.mark.parametrize("levels", [NO_T12, NO_T12[6:20], NO_T12[7:]])
def test_eleven_ribs_are_followed_by_l1(levels):
    said = evidence(levels, positions(levels), strength=0.3, margin_mm=40.0, presence=False)
    last = "L5" if "L5" in levels else None
    assert names(solve(replace(said, landmarks=signs(levels, last)))) == list(levels)


def test_without_these_signs_the_same_spine_is_counted_on():
    said = misread(WITH_T13[7:22])
    assert "T13" not in names(solve(replace(said, landmarks=None)))


def test_a_users_count_stands_against_the_signs():
    levels = USUAL_LEVELS[8:20]
    labels = solve(replace(misread(levels), landmarks=signs(levels)))
    assert names(labels) == list(levels)
    below = USUAL_LEVELS[9:21]
    corrected = relabel(labels, {below[4]: labels.points[4].ras})
    assert names(corrected) == list(below)


def test_signs_are_kept_with_the_evidence():
    said = misread(WITH_T13)
    read = Evidence.from_json(said.to_json())
    np.testing.assert_allclose(read.landmarks, said.landmarks)
    old = said.to_json().replace('"landmarks"', '"unknown"')
    assert not Evidence.from_json(old).landmarks.any(), "evidence that was stored without them"


@pytest.mark.parametrize(
    ("levels", "last", "ribs", "lumbar"),
    [
        (USUAL_LEVELS, "L5", 12, 5),
        (WITH_T13, "L5", 13, 5),
        (NO_T12, "L5", 11, 5),
        (WITH_L6[15:], "L6", None, 6),
        (FOUR_LUMBAR[12:], "L4", None, 4),
        (USUAL_LEVELS[7:20], None, 12, None),
        (USUAL_LEVELS[9:17], None, None, None),
    ],
)
def test_a_result_says_how_it_was_counted(levels, last, ribs, lumbar):
    margin_mm = 80.0 if last else 10.0
    said = evidence(levels, positions(levels), margin_mm=margin_mm, presence=False)
    labels = solve(replace(said, landmarks=signs(levels, last)))
    count = Count.from_json(labels.provenance[COUNT])
    assert names(labels) == list(levels) and (count.ribs, count.lumbar) == (ribs, lumbar)
    assert count.is_usual == (ribs in (None, 12) and lumbar in (None, 5))
