"""How a spine was counted, in words and data, and its names by another rule."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from spine_factory import FOUR_LUMBAR, NO_T12, WITH_L6, WITH_T13
from VertebraLabelingLib.core.anatomy import LEVELS, USUAL_LEVELS
from VertebraLabelingLib.core.count_rules import AS_SEEN, FROM_ABOVE, FROM_SACRUM, RULES
from VertebraLabelingLib.core.counting import COUNT, Count, how_counted, names_by
from VertebraLabelingLib.core.label_warning import DENS, FIRST_RIB, LANDMARKS, LAST_RIB, SACRUM
from VertebraLabelingLib.core.labels import CONFIRMED, GIVEN, LabeledPoint, SpineLabels

RIBS = (FIRST_RIB, LAST_RIB)
BOTH_ENDS = (*RIBS, SACRUM)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (Count(), "Counted by the looks of single vertebrae, no landmark is in view."),
        (Count((DENS, FIRST_RIB)), "Counted from C2 and the first rib; the last rib and the sacrum are not in view."),
        (Count((LAST_RIB,)), "Counted from the last rib; the first rib is not in view."),
        (Count(RIBS, 12), "Counted from the first rib and the last rib."),
        (Count((DENS, *BOTH_ENDS), 12, 5, 0, "L5"), "Counted from C2, the first rib, the last rib and the sacrum."),
        (
            Count(RIBS, 13, more=1),
            "Counted from the first rib and the last rib; thirteen vertebrae bear ribs, the last is named T13; counted "
            "from above it is L1.",
        ),
        (
            Count(RIBS, 13, more=1, rule=FROM_ABOVE, offset=0),
            "Counted from the first rib and the last rib; thirteen vertebrae bear ribs, the last is named L1; named as "
            "what is seen it is T13; the names are counted from above, seven, twelve and five.",
        ),
        (
            Count(BOTH_ENDS, 13, 4, 1, "L4"),
            "Counted from the first rib, the last rib and the sacrum; thirteen vertebrae bear ribs, the last is named "
            "T13; counted from the sacrum it is L1; four vertebrae lie between the last rib and the sacrum, the lowest "
            "is named L4.",
        ),
        (
            Count(BOTH_ENDS, 11, 5, -1, "L5"),
            "Counted from the first rib, the last rib and the sacrum; eleven vertebrae bear ribs, the next is named "
            "L1; counted from above it is T12.",
        ),
        (
            Count((LAST_RIB, SACRUM), None, 4, 0, "L4"),
            "Counted from the last rib and the sacrum; four vertebrae lie between the last rib and the sacrum, the "
            "lowest is named L4; counted from the sacrum it is L5; the first rib is not in view.",
        ),
        (
            Count((LAST_RIB, SACRUM), None, 6, 0, "L6", FROM_SACRUM, -1),
            "Counted from the last rib and the sacrum; six vertebrae lie between the last rib and the sacrum, the "
            "lowest is named L5; named as what is seen it is L6; the first rib is not in view; the names are counted "
            "from the sacrum up, five, twelve and seven.",
        ),
        (
            Count((SACRUM,), None, None, 0, "L6"),
            "Counted from the sacrum; the vertebra on the sacrum is named L6; counted from the sacrum it is L5; the "
            "first rib is not in view.",
        ),
        (Count(RIBS, 12, by_user=True), "Counted from what the user has named."),
    ],
)
def test_the_sentence_says_from_where_and_what_is_unusual(count, words):
    assert count.sentence() == words
    assert Count.from_json(json.loads(json.dumps(count.to_json()))) == count


def test_levels_of_a_list_are_not_told_as_those_of_the_user():
    labels = SpineLabels(
        (LabeledPoint("L1", (0.0, 0.0, 0.0), 1.0, GIVEN), LabeledPoint("L2", (0.0, 0.0, -30.0), 0.9)),
        provenance={COUNT: Count(RIBS, 12, by_user=True).to_json()},
    )
    assert how_counted(labels) == "Counted from the levels that were given."
    named = replace(labels.points[1], status=CONFIRMED)
    assert how_counted(labels.with_points((labels.points[0], named))) == "Counted from what the user has named."


@pytest.mark.parametrize(
    "data",
    [{"landmarks": "dens"}, {"landmarks": ["hip"]}, {"ribs": 99}, {"landmarks": [[]]}, {"landmarks": [DENS] * 9}]
    + [{"ribs": value} for value in ("12", 12.0, True, [12])]
    + [{"more": 2}, {"more": True}, {"last": "L3"}, {"last": 5}, {"rule": "hip"}, {"offset": 9}, {"offset": False}]
    + [{"by_user": 1}, {"offset": 0}, {"rule": "above", "more": 1, "last": "L6", "offset": 0}],
)
def test_what_is_no_count_is_none(data):
    assert Count.from_json({**Count().to_json(), **data}) is None


def test_a_count_that_tells_less_is_none():
    sound = Count((DENS,)).to_json()
    assert Count.from_json(sound) == Count((DENS,))
    for name in sound:
        assert Count.from_json({key: value for key, value in sound.items() if key != name}) is None
    assert all(Count.from_json(data) is None for data in (None, [], {}, 5, "count"))


def whole(levels) -> Count:
    """The count of a chain that shows all landmarks."""
    more = ("T13" in levels) - ("T12" not in levels)
    return Count(LANDMARKS, 12 + more, int(levels[-1][1:]), more, levels[-1])


def test_a_usual_spine_has_one_name_for_each_vertebra_by_every_rule():
    for levels in (USUAL_LEVELS, USUAL_LEVELS[15:]):
        for rule in RULES:
            assert names_by(rule, levels, whole(levels)) == {level: level for level in levels}


@pytest.mark.parametrize(
    ("levels", "rule", "changed"),
    [
        (WITH_T13, AS_SEEN, {}),
        (WITH_T13[10:], FROM_ABOVE, {"T13": "L1", "L1": "L2", "L2": "L3", "L3": "L4", "L4": "L5", "L5": "L6"}),
        (WITH_T13[17:], FROM_SACRUM, {"T11": "T10", "T12": "T11", "T13": "T12"}),
        (NO_T12[16:], FROM_ABOVE, {"L1": "T12", "L2": "L1", "L3": "L2", "L4": "L3", "L5": "L4"}),
        (NO_T12[16:], FROM_SACRUM, {"T10": "T11", "T11": "T12"}),
        (WITH_L6[18:], FROM_ABOVE, {}),
        (WITH_L6[18:], FROM_SACRUM, {"T12": "T11", "L1": "T12", **{f"L{n + 1}": f"L{n}" for n in range(1, 6)}}),
        (FOUR_LUMBAR[18:], FROM_SACRUM, {"T12": "L1", **{f"L{n}": f"L{n + 1}" for n in range(1, 5)}}),
    ],
)
def test_an_unusual_spine_is_called_by_the_rule(levels, rule, changed):
    names = names_by(rule, levels, whole(levels))
    assert {level: name for level, name in names.items() if level != name} == changed


@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize("offset", [None, -2, -1, 0, 1])
def test_a_name_is_read_back_as_what_is_seen(more, offset):
    count = Count(more=more, offset=offset)
    levels = [level for level in LEVELS if (level != "T13" or more == 1) and (level != "T12" or more > -1)]
    names = [count.name(level) for level in levels]
    assert len({name for name in names if name}) == sum(name is not None for name in names) >= len(levels) - 2
    assert all(count.level(name) == level for level, name in zip(levels, names) if name)
    assert offset is None or count.level("T13") is None, "counted one by one there is none"


def test_a_rule_that_cannot_name_all_names_none():
    assert names_by(FROM_SACRUM, WITH_T13, whole(WITH_T13)) is None, "a vertebra above C1"
    assert names_by(FROM_SACRUM, WITH_T13[8:22], Count(RIBS, 13, more=1)) is None, "the sacrum is not in view"
    assert names_by(FROM_ABOVE, WITH_L6[15:], Count((LAST_RIB, SACRUM), None, 6, 0, "L6")) is None, "nor is the neck"
    levels = (*WITH_T13, "L6")
    assert names_by(FROM_ABOVE, levels, whole(levels)) is None, "two below L5"
