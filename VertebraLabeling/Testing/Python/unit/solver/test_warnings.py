"""The sentences about a chain."""

from __future__ import annotations

import json

import numpy as np
import pytest
from spine_factory import evidence, positions
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, USUAL_LEVELS
from VertebraLabelingLib.core.label_warning import (
    ASTRAY,
    BEYOND,
    IMPLANTS,
    NO_GPU,
    REVIEW_KINDS,
    SHIFT,
    SOLVER_KINDS,
    LabelWarning,
)
from VertebraLabelingLib.core.labels import LabeledPoint
from VertebraLabelingLib.core.stored_sentences import from_sentence
from VertebraLabelingLib.solver.warnings import warnings_after_renaming, warnings_for, warnings_of_places


def told(*arguments):
    """The sentences of the warnings, each also read back from its words and from JSON."""
    warnings = warnings_for(*arguments)
    assert all(from_sentence(str(warning)) == warning for warning in warnings)
    assert all(LabelWarning.from_json(json.loads(json.dumps(each.to_json()))) == each for each in warnings)
    assert all(warning.kind in SOLVER_KINDS for warning in warnings)
    return tuple(map(str, warnings))


@pytest.mark.parametrize(
    ("levels", "margin_mm", "reason"),
    [
        (USUAL_LEVELS[0:4], 20, "what is seen at C2 does"),
        (USUAL_LEVELS[4:12], 20, "what is seen at the first rib does"),
        (USUAL_LEVELS[14:22], 20, "what is seen at the last rib does"),
        (USUAL_LEVELS[20:24], 80, "what is seen at the sacrum does"),
        (USUAL_LEVELS[6:24], 80, "what is seen at the first rib and the last rib and the sacrum does"),
        (
            USUAL_LEVELS[20:24],
            20,
            "no landmark is in view (C2, the first rib at T1, the last rib at T12, or the sacrum",
        ),
        (USUAL_LEVELS[9:16], 20, "no landmark is in view"),
    ],
)
def test_a_possible_shift_is_told_with_the_landmark_that_should_settle_it(levels, margin_mm, reason):
    points = positions(levels)
    given = evidence(levels, points, margin_mm=margin_mm)
    sentences = told(levels, points, 1.0, given, True)
    assert sentences[0].startswith(f"Levels may be shifted by one: {reason}")
    assert told(levels, points, 1.0, given, False) == ()


def test_a_gap_of_several_levels_is_one_sentence():
    levels = [level for level in USUAL_LEVELS if level not in ("T5", "T6", "T7")]
    points = positions(USUAL_LEVELS)[[USUAL_LEVELS.index(level) for level in levels]]
    sentences = told(levels, points, 1.0, evidence(levels, points), False)
    assert sentences == ("T5-T7 not found between T4 and T8.",)


@pytest.mark.parametrize("levels", [USUAL_LEVELS[3:12], USUAL_LEVELS[1:5], USUAL_LEVELS[14:22]])
@pytest.mark.parametrize(("times", "is_told"), [(1.35, False), (1.5, True), (2.0, True)])
def test_neighbors_as_far_apart_as_every_other_one_are_told(levels, times, is_told):
    """A body between them was rejected, or not seen, and the names run on."""
    points = positions(levels)
    points[3:] += (times - 1.0) * (points[3] - points[2])
    said = warnings_for(levels, points, 1.0, evidence(levels, points), False)
    text = (
        f"{levels[2]} and {levels[3]} lie twice as far apart as neighbors do: a vertebra may be missing between them."
    )
    assert [str(warning) for warning in said] == ([text] if is_told else [])
    assert all(warning.kind in REVIEW_KINDS for warning in said)
    assert [LabelWarning.from_json(json.loads(json.dumps(each.to_json()))) for each in said] == list(said)
    names = dict(zip(levels, USUAL_LEVELS[USUAL_LEVELS.index(levels[0]) + 1 :]))
    renamed = warnings_after_renaming(said, names)
    assert [warning.beside for warning in renamed] == [(names[levels[2]], names[levels[3]])] * is_told


def test_the_dens_may_be_high():
    points = positions(USUAL_LEVELS[:5])
    points[0] += 1.0 * (points[0] - points[1])
    assert warnings_for(USUAL_LEVELS[:5], points, 1.0, evidence(USUAL_LEVELS[:5], points), False) == ()


def test_several_kinds_at_once():
    levels = (*USUAL_LEVELS[17:19], "T13", "L1", "L3", "L5", "L6")
    points = np.linspace((0, 0, 200), (0, 0, 0), len(levels))
    sentences = told(levels, points, 1.0, evidence(levels, points, margin_mm=2.0), True)
    assert len(sentences) == 5 and all(text.endswith(".") for text in sentences)


FURTHER = "Further vertebral bodies are seen far from the named ones: look whether a part of the spine is missing."


@pytest.mark.parametrize(
    ("left_out", "detection", "is_told"),
    [(4, 0.6, True), (2, 0.6, True), (1, 0.6, False), (4, 0.3, False)],
    ids=["a part", "two", "one", "unsure ones"],
)
def test_a_part_of_the_spine_that_is_not_named_is_told(left_out, detection, is_told):
    levels = USUAL_LEVELS[6:18]
    points = positions(levels)
    given = evidence(levels, points, presence=False)
    given.detection[-left_out:] = detection
    named = len(levels) - left_out
    sentences = told(levels[:named], points[:named], 1.0, given, False)
    assert sentences == ((FURTHER,) if is_told else ())


def test_a_double_beside_a_named_point_is_no_part_of_the_spine():
    levels = USUAL_LEVELS[6:12]
    points = positions(levels)
    doubles = evidence((*levels, *levels), np.concatenate([points, points + np.array([8.0, 4.0, 0.0])]))
    assert told(levels, points, 1.0, doubles, False) == ()


@pytest.mark.parametrize(
    ("presence", "room_mm", "is_told"),
    [(0.95, 45, True), (0.8, 45, False), (0.95, 24, False)],
    ids=["seen and with room", "hardly seen", "cut by the image"],
)
@pytest.mark.parametrize("end", ["above", "below"])
def test_a_vertebra_that_should_be_in_view_beyond_an_end_is_told(presence, room_mm, is_told, end):
    """T4 to T10, some 22 and 28 mm to the next ones: their bodies are whole within 33 and 41 mm."""
    levels = USUAL_LEVELS[10:17]
    points = positions(levels, angle=lambda part: 0.0)
    given = evidence(levels, points, margin_mm=5.0)
    given.presence[:] = 0.05
    high, low = given.corners[:, 2].max(), given.corners[:, 2].min()
    if end == "above":
        given.corners[given.corners[:, 2] == high, 2] = points[0, 2] + room_mm
    else:
        given.corners[given.corners[:, 2] == low, 2] = points[-1, 2] - room_mm
    given.presence[[LEVEL_INDEX["T3"], LEVEL_INDEX["T11"]]] = presence
    sentences = [text for text in told(levels, points, 1.0, given, False) if "field of view ends" not in text]
    expected = {"above": "T3 not found above T4", "below": "T11 not found below T10"}[end]
    assert sentences == ([f"{expected}, where it should be in view."] if is_told else [])


def test_nothing_is_missed_beyond_the_ends_of_the_spine():
    points = positions(USUAL_LEVELS)
    given = evidence(USUAL_LEVELS, points, margin_mm=120.0)
    given.presence[:] = 1.0
    assert told(USUAL_LEVELS, points, 1.0, given, False) == ()


DOUBT = "Levels may be shifted by one: no anchor is in view (C2)."
FOREIGN = "The GPU has too little free memory: this scan was labeled on the CPU."


def inside(level):
    return f"The field of view ends inside {level}."


def beyond(words):
    return f"{words}, where it should be in view."


@pytest.mark.parametrize(
    ("before", "old", "new", "after"),
    [
        ((DOUBT, FOREIGN), "T11 T12 L1", "T12 L1 L2", (FOREIGN,)),
        ((DOUBT, FURTHER), "T11 T12 L1", "T12 L1 L2", (FURTHER,)),
        ((inside("L1"), inside("L2")), "L1 L2", "L2 L3", (inside("L2"), inside("L3"))),
        (("T11 not found between T10 and T12.",), "T10 T12", "T9 T11", ("T10 not found between T9 and T11.",)),
        (("L6 or lumbarized S1 found.",), "L5 L6", "L4 L5", ()),
        (("T13 found.", inside("L1")), "T13 L1", "T12 L1", (inside("L1"),)),
        ((inside("T1"),), "L1 L2", "L2 L3", ()),
        ((beyond("L3 not found below L2"),), "L1 L2", "T12 L1", (beyond("L2 not found below L1"),)),
        ((beyond("T12 not found above L1"),), "L1 L2", "T12 L1", (beyond("T11 not found above T12"),)),
        ((beyond("L5 not found below L4"),), "L3 L4", "L4 L5", ()),
    ],
    ids=[
        "possible shift",
        "a part that is not named",
        "cut",
        "gap",
        "L6",
        "T13",
        "cut vertebra that is no longer there",
        "missing below",
        "missing above",
        "missing below what is now the last",
    ],
)
def test_sentences_speak_of_the_names_that_the_user_gave(before, old, new, after):
    warnings = warnings_after_renaming(tuple(map(from_sentence, before)), dict(zip(old.split(), new.split())))
    assert tuple(map(str, warnings)) == after


def test_a_renamed_chain_has_the_sentences_that_its_new_names_would_have_had():
    old, new = (*USUAL_LEVELS[9:14], *USUAL_LEVELS[15:20]), (*USUAL_LEVELS[10:15], *USUAL_LEVELS[16:21])
    points = np.delete(positions(USUAL_LEVELS[9:20]), 5, axis=0)
    given = evidence(old, points, margin_mm=2.0)
    before = warnings_for(old, points, 1.0, given, True)
    after = warnings_for(new, points, 1.0, given, False)
    assert len(before) == 4 and len(after) == 3
    assert warnings_after_renaming(before, dict(zip(old, new))) == after


def test_without_names_only_what_others_wrote_stays():
    foreign = LabelWarning(NO_GPU)
    assert warnings_after_renaming((LabelWarning(SHIFT), foreign), {}) == (foreign,)


@pytest.mark.parametrize("kind", [IMPLANTS, ASTRAY])
def test_what_is_seen_at_a_vertebra_stays_with_it_under_its_new_name(kind):
    levels = USUAL_LEVELS[10:16]
    before = [LabeledPoint(level, (0.0, 0.0, -25.0 * row)) for row, level in enumerate(levels)]
    after = [LabeledPoint(level, (0.0, 4.0, -25.0 * row)) for row, level in enumerate(USUAL_LEVELS[11:16])]
    told = (LabelWarning(kind, (levels[1], levels[3])), LabelWarning(kind, (levels[5],)), LabelWarning(NO_GPU))
    expected = (LabelWarning(kind, (USUAL_LEVELS[12], USUAL_LEVELS[14])), LabelWarning(NO_GPU))  # the last one is gone
    assert warnings_of_places(told, before, after) == expected
    assert warnings_of_places(told, before, []) == (LabelWarning(NO_GPU),)


@pytest.mark.parametrize("step", [-1, 1])
def test_that_the_image_goes_on_is_told_of_ends_alone(step):
    """Where the user has put the missing vertebrae there, nothing is left to say."""
    levels = USUAL_LEVELS[10:16]
    before = [LabeledPoint(level, (0.0, 0.0, -25.0 * row)) for row, level in enumerate(levels)]
    end = before[0] if step < 0 else before[-1]
    told = (LabelWarning(BEYOND, (end.level,), numbers={"step": step}),)
    assert warnings_of_places(told, before, before) == told
    further = LabeledPoint(USUAL_LEVELS[9 if step < 0 else 16], (0.0, 0.0, 25.0 if step < 0 else -150.0))
    assert warnings_of_places(told, before, [further, *before] if step < 0 else [*before, further]) == ()
