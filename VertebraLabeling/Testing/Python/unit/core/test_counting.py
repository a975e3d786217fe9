"""How a spine was counted, in words and data, and its names by another rule."""

from __future__ import annotations

import json

import pytest
from spine_factory import FOUR_LUMBAR, NO_T12, WITH_L6, WITH_T13
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.counting import AS_SEEN, FROM_ABOVE, FROM_SACRUM, RULES, Count, names_by
from VertebraLabelingLib.core.label_warning import DENS, FIRST_RIB, LAST_RIB, SACRUM


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (Count(), "Counted by the looks of single vertebrae: no landmark is in view."),
        (Count((DENS, FIRST_RIB)), "Counted from C2 and the first rib. The last rib and the sacrum are not in view."),
        (Count((LAST_RIB,)), "Counted from the last rib. The first rib is not in view."),
        (Count((FIRST_RIB, LAST_RIB), 12), "Counted from the first rib and the last rib."),
        (
            Count((FIRST_RIB, LAST_RIB), 13),
            "Counted from the first rib and the last rib. Thirteen vertebrae bear ribs.",
        ),
        (
            Count((LAST_RIB, SACRUM), None, 4),
            "Counted from the last rib and the sacrum. Four vertebrae lie between the last rib and the sacrum.",
        ),
    ],
)
def test_the_sentence_says_from_where_and_what_is_unusual(count, words):
    assert count.sentence() == words
    assert Count.from_json(json.loads(json.dumps(count.to_json()))) == count


@pytest.mark.parametrize(
    "data",
    [None, [], {}, {"landmarks": "dens"}, {"landmarks": ["hip"]}, {"landmarks": [], "ribs": 99}, {"landmarks": [[]]}]
    + [{"landmarks": [], "ribs": value} for value in ("12", 12.0, True, [12])]
    + [{"landmarks": [DENS] * 9}],
)
def test_what_is_no_count_is_none(data):
    assert Count.from_json(data) is None


def test_a_usual_spine_has_one_name_for_each_vertebra_by_every_rule():
    for levels in (USUAL_LEVELS, USUAL_LEVELS[15:]):
        for rule in RULES:
            assert names_by(rule, levels, True) == {level: level for level in levels}


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
    names = names_by(rule, levels, True)
    assert {level: name for level, name in names.items() if level != name} == changed


def test_a_rule_that_cannot_name_all_names_none():
    assert names_by(FROM_SACRUM, WITH_T13, True) is None, "a vertebra above C1"
    assert names_by(FROM_SACRUM, WITH_T13[8:22], False) is None, "the sacrum is not in view"
    assert names_by(FROM_ABOVE, (*WITH_T13, "L6"), True) is None, "two below L5"
