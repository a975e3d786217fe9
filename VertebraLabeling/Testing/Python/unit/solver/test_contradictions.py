"""Landmarks that contradict the names, twelfth ribs that hardly are there, and how sure such a scan is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import spine_factory
from spine_factory import FOUR_LUMBAR, NO_T12, WITH_L6, WITH_T13, names
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.evidence import LANDMARK_SIGNS, Evidence
from VertebraLabelingLib.core.label_warning import COUNTS, DENS, FIRST_RIB, LAST_RIB, SACRUM, LabelWarning
from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.solver.chain import relabel, solve

_COLUMNS = {"c2": 0, "first": 1, "rib": 2, "last": 3}  # of LANDMARK_SIGNS


def spine(levels, **odd: dict[str, float]) -> Evidence:
    """A spine that looks as its levels say, but for the ``odd`` signs: kind of sign -> level -> log-odds."""
    said = spine_factory.spine(levels)
    looks = said.landmarks.copy()
    for name, values in odd.items():
        for level, odds in values.items():
            looks[list(levels).index(level), _COLUMNS[name]] = odds
    return replace(said, landmarks=looks)


def counts(labels: SpineLabels) -> list[LabelWarning]:
    return [warning for warning in labels.warnings if warning.kind == COUNTS]


@pytest.mark.parametrize(
    ("levels", "odd", "warning"),
    [
        (USUAL_LEVELS[:16], {"c2": {"C2": -4.0, "C3": 4.0}}, LabelWarning(COUNTS, ("C3",), ("C2",), (DENS,))),
        (USUAL_LEVELS[3:], {"first": {"T1": -4.0, "T2": 4.0}}, LabelWarning(COUNTS, ("T2",), ("T1",), (FIRST_RIB,))),
        (USUAL_LEVELS[8:18], {"first": {"T4": 4.0}}, LabelWarning(COUNTS, ("T4",), ("T1",), (FIRST_RIB,))),
        (USUAL_LEVELS[3:], {"rib": {"L1": 2.5}}, LabelWarning(COUNTS, ("L1",), ("T12",), (LAST_RIB,))),
        (USUAL_LEVELS[8:], {"last": {"L5": -4.0, "L4": 4.0}}, LabelWarning(COUNTS, ("L4",), ("L5",), (SACRUM,))),
    ],
)
def test_a_landmark_elsewhere_than_the_names_say_is_told_with_the_other_name(levels, odd, warning):
    labels = solve(spine(levels, **odd))
    assert names(labels) == list(levels)
    assert counts(labels) == [warning]
    assert max(point.confidence for point in labels.points) <= 0.9


@pytest.mark.parametrize("levels", [USUAL_LEVELS, USUAL_LEVELS[3:], USUAL_LEVELS[9:18], USUAL_LEVELS[14:]])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_signs_that_say_little_contradict_nothing(levels, seed):
    """Noise, less than what is clear, on usual spines; the twelfth ribs are there."""
    said = spine(levels)
    noise = np.random.default_rng(seed).uniform(-3.0, 1.9, said.landmarks.shape)
    signs = np.where(said.landmarks > 0, said.landmarks, noise)
    signs[:, LANDMARK_SIGNS.index("rib")] = said.landmarks[:, LANDMARK_SIGNS.index("rib")]
    labels = solve(replace(said, landmarks=signs))
    assert names(labels) == list(levels) and not counts(labels)
    assert not counts(solve(replace(said, landmarks=None)))


@pytest.mark.parametrize("odds", [-5.0, -1.0, 0.5])
def test_a_twelfth_vertebra_with_hardly_a_rib_stays_t12_where_the_count_is_closed(odds):
    for levels in (USUAL_LEVELS, USUAL_LEVELS[5:]):
        labels = solve(spine(levels, rib={"T12": odds}))
        assert names(labels) == list(levels) and not counts(labels)


@pytest.mark.parametrize("levels", [USUAL_LEVELS[5:21], USUAL_LEVELS[14:]])
@pytest.mark.parametrize(("odds", "is_told"), [(-5.0, True), (-1.0, True), (0.0, True), (0.5, True), (2.0, False)])
def test_where_it_is_not_closed_a_twelfth_vertebra_without_a_rib_may_be_l1(levels, odds, is_told):
    labels = solve(spine(levels, rib={"T12": odds}))
    assert names(labels) == list(levels)
    assert counts(labels) == ([LabelWarning(COUNTS, ("T12",), landmarks=(LAST_RIB,))] if is_told else [])
    assert not is_told or "T12 with short ribs or none, or L1" in str(counts(labels)[0])


@pytest.mark.parametrize(("odds", "is_told"), [(-5.0, True), (0.0, True), (3.5, True), (5.0, False)])
def test_where_the_last_rib_alone_is_counted_from_it_must_be_clear(odds, is_told):
    labels = solve(spine(USUAL_LEVELS[14:21], rib={"T12": odds}))
    assert names(labels) == list(USUAL_LEVELS[14:21])
    assert counts(labels) == ([LabelWarning(COUNTS, ("T12",), landmarks=(LAST_RIB,))] if is_told else [])


@pytest.mark.parametrize("levels", [USUAL_LEVELS[5:21], USUAL_LEVELS[14:]])
@pytest.mark.parametrize(("t12", "l1", "is_told"), [(2.0, -0.5, True), (2.0, -1.5, False), (4.0, 0.0, False)])
def test_so_may_a_first_lumbar_vertebra_that_is_hardly_less_like_a_rib_bearer(levels, t12, l1, is_told):
    labels = solve(spine(levels, rib={"T12": t12, "L1": l1}))
    assert names(labels) == list(levels)
    assert counts(labels) == ([LabelWarning(COUNTS, ("L1",), landmarks=(LAST_RIB,))] if is_told else [])


@pytest.mark.parametrize("levels", [WITH_T13, WITH_T13[5:], NO_T12, NO_T12[8:], WITH_L6[5:], FOUR_LUMBAR[5:]])
def test_no_point_of_two_counts_is_told_above_nine_tenths(levels):
    labels = solve(spine(levels))
    assert names(labels) == list(levels) and len(counts(labels)) == 1
    assert max(point.confidence for point in labels.points) == pytest.approx(0.9)
    point = labels.points[3]
    again = relabel(labels, {point.level: point.ras})
    assert again.points[3].confidence == 1.0, "the user has said which it is"
    assert all(other.confidence <= 0.9 for other in again.points if other.level != point.level)


def test_a_count_that_the_user_gives_quiets_the_signs_that_it_contradicts():
    labels = solve(spine(USUAL_LEVELS[8:18], first={"T4": 4.0}))
    again = relabel(labels, {"T1": labels.by_level["T4"].ras})
    assert again.points[0].level == "C6" and not counts(again)
