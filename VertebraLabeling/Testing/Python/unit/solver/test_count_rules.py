"""Names by a rule: first, after corrections, and back again."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from spine_factory import FOUR_LUMBAR, NO_T12, WITH_L6, WITH_T13, evidence, names, positions, spine
from VertebraLabelingLib.background.labeling_process import labels_from_json, labels_to_json
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.count_rules import AS_SEEN, FROM_ABOVE, FROM_SACRUM, RULES
from VertebraLabelingLib.core.counting import COUNT, Count, how_counted, rule_of
from VertebraLabelingLib.core.label_warning import COUNTS, FIRST_RIB, GAP, IMPLANTS, RULE, VARIANT, LabelWarning
from VertebraLabelingLib.core.labels import CONFIRMED, LabeledPoint, SpineLabels
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.solver.chain import relabel, solve
from VertebraLabelingLib.solver.naming import alternative_names, counted_by

IN_ORDER = (*USUAL_LEVELS, "L6")


@lru_cache(maxsize=32)
def solved(levels: tuple[str, ...], rule: str = AS_SEEN) -> SpineLabels:
    """A spine that is seen as it is, named by a rule."""
    return solve(spine(levels), rule=rule)


def told(labels: SpineLabels) -> list[str]:
    return [warning.kind for warning in labels.warnings]


def said(labels: SpineLabels) -> tuple:
    """All of a result but its evidence."""
    return labels.points, labels.warnings, labels.provenance


def in_order(first: str, number: int) -> list[str]:
    return list(IN_ORDER[IN_ORDER.index(first) :][:number])


SPINES = {"usual": USUAL_LEVELS, "T13": WITH_T13, "no T12": NO_T12, "L6": WITH_L6, "four lumbar": FOUR_LUMBAR}
PARTS = {name: levels[5:] for name, levels in SPINES.items()}


@pytest.mark.parametrize("levels", PARTS.values(), ids=PARTS)
def test_each_rule_names_one_vertebra_after_the_other(levels):
    seen = solved(levels)
    assert names(seen) == list(levels)
    above = solved(levels, FROM_ABOVE)
    assert names(above) == in_order(levels[0], len(levels))
    sacrum = solved(levels, FROM_SACRUM)
    assert names(sacrum)[-1] == "L5" and names(sacrum) == in_order(names(sacrum)[0], len(levels))
    for labels, rule in ((seen, AS_SEEN), (above, FROM_ABOVE), (sacrum, FROM_SACRUM)):
        assert rule_of(labels) == rule and RULE not in told(labels) and GAP not in told(labels)
        assert [point.ras for point in labels.points] == [point.ras for point in seen.points]


@pytest.mark.parametrize("levels", PARTS.values(), ids=PARTS)
@pytest.mark.parametrize("rule", RULES)
def test_a_result_can_be_named_by_any_other_rule_and_back(levels, rule):
    labels = solved(levels, rule)
    for other in RULES:
        assert said(counted_by(labels, other)) == said(solved(levels, other))
        assert said(counted_by(counted_by(labels, other), rule)) == said(labels)


@pytest.mark.parametrize(
    ("levels", "rules"),
    [
        (PARTS["usual"], []),
        (PARTS["T13"], [FROM_ABOVE, FROM_SACRUM]),
        (PARTS["L6"], [FROM_SACRUM]),
        (WITH_T13[8:22], []),
    ],
)
def test_other_names_are_one_call_away(levels, rules):
    labels = solved(levels)
    found = alternative_names(labels)
    assert list(found) == rules
    for rule, others in found.items():
        assert list(others) == names(labels) and list(others.values()) == names(counted_by(labels, rule))
        back = alternative_names(counted_by(labels, rule))
        assert back[AS_SEEN] == dict(zip(others.values(), others))


def test_a_usual_spine_is_told_alike_by_every_rule():
    labels = [solved(USUAL_LEVELS[6:], rule) for rule in RULES]
    assert all(each.points == labels[0].points and each.warnings == labels[0].warnings for each in labels)


@pytest.mark.parametrize(
    ("levels", "rule", "words"),
    [
        (USUAL_LEVELS[6:18], FROM_SACRUM, "The sacrum is not in view"),
        (WITH_L6[16:], FROM_ABOVE, "Neither C2 nor the first rib is in view"),
        (WITH_T13, FROM_SACRUM, "Counted from the sacrum C1 would have no name"),
    ],
)
def test_a_rule_that_names_nothing_is_told_and_what_is_seen_is_named(levels, rule, words):
    labels = solved(levels, rule)
    assert names(labels) == list(levels) and rule_of(labels) == rule
    (warning,) = (warning for warning in labels.warnings if warning.kind == RULE)
    assert str(warning).startswith(words)
    again = relabel(labels, {levels[3]: labels.points[3].ras})
    assert names(again) == list(levels) and told(again).count(RULE) == 1
    assert RULE not in told(counted_by(labels, AS_SEEN)) and names(counted_by(labels, AS_SEEN)) == list(levels)


@pytest.mark.parametrize("levels", PARTS.values(), ids=PARTS)
@pytest.mark.parametrize("rule", [FROM_ABOVE, FROM_SACRUM])
class TestCorrections:
    def test_accepted_names_stay(self, levels, rule):
        labels = solved(levels, rule)
        for row in (2, 13, len(levels) - 2):
            point = labels.points[row]
            again = relabel(labels, {point.level: point.ras})
            assert names(again) == names(labels) and again.points[row].status == CONFIRMED
            assert rule_of(again) == rule and told(again) == told(labels)
        both = relabel(labels, {labels.points[row].level: labels.points[row].ras for row in (2, len(levels) - 2)})
        assert names(both) == names(labels)

    def test_a_name_is_read_in_the_rule_and_the_others_follow(self, levels, rule):
        labels = solved(levels, rule)
        for step in (-1, 1):
            wanted = [IN_ORDER[IN_ORDER.index(name) + step] for name in names(labels)[:-1]]
            again = relabel(labels, {wanted[14]: labels.points[14].ras})
            assert names(again)[: len(wanted)] == wanted

    def test_a_deleted_vertebra_takes_its_name_along(self, levels, rule):
        labels = solved(levels, rule)
        again = relabel(labels, {}, removed=[labels.points[0].ras])
        assert names(again) == names(labels)[1:]
        assert names(relabel(again, {names(labels)[0]: labels.points[0].ras})) == names(labels)

    def test_corrections_hold_after_the_result_was_kept_and_read(self, levels, rule):
        labels = labels_from_json(labels_to_json(solved(levels, rule)))
        again = labels_from_json(labels_to_json(relabel(labels, {names(labels)[4]: labels.points[4].ras})))
        assert names(again) == names(labels) and rule_of(again) == rule
        assert names(counted_by(again, AS_SEEN)) == list(levels)

    def test_known_points_of_a_first_run_bear_names_of_the_rule(self, levels, rule):
        wanted = solved(levels, rule)
        for rows in ((3,), (15,), (3, 15)):
            known = {wanted.points[row].level: wanted.points[row].ras for row in rows}
            labels = solve(spine(levels), known, rule=rule)
            assert all(labels.by_level[level].ras == ras for level, ras in known.items())
            assert names(labels) == names(wanted)


def test_a_name_that_the_rule_does_not_give_is_refused():
    labels = solved(PARTS["T13"], FROM_ABOVE)
    with pytest.raises(InputError, match="There is no T13 where vertebrae are counted one by one"):
        relabel(labels, {"T13": labels.points[14].ras})
    with pytest.raises(InputError, match="not a vertebral level"):
        relabel(labels, {"X1": labels.points[14].ras})
    with pytest.raises(InputError, match="no way to count: use seen, above, sacrum"):
        counted_by(labels, "upwards")


def test_names_that_fit_no_count_are_not_kept_in_silence():
    """T12 and L3 are accepted, and one of the two between them is no vertebra."""
    labels = solved(PARTS["T13"], FROM_ABOVE)
    by_level = labels.by_level
    labels = relabel(labels, {level: by_level[level].ras for level in ("T12", "L3")})
    again = relabel(labels, {}, removed=[by_level["L2"].ras])
    assert {level: again.by_level[level].ras for level in ("T12", "L3")} == {
        level: by_level[level].ras for level in ("T12", "L3")
    }
    assert GAP in told(again)


def test_warnings_of_places_bear_the_names_of_the_rule():
    labels = solved(PARTS["T13"])
    metal = LabelWarning(IMPLANTS, ("T13", "L1"))
    labels = counted_by(replace(labels, warnings=(*labels.warnings, metal)), FROM_ABOVE)
    assert LabelWarning(IMPLANTS, ("L1", "L2")) in labels.warnings
    assert metal in counted_by(labels, AS_SEEN).warnings


@pytest.mark.parametrize("rule", RULES)
def test_an_unusual_number_is_told_once_with_the_other_name(rule):
    for name, levels in PARTS.items():
        labels = solved(levels, rule)
        assert VARIANT not in told(labels) and told(labels).count(COUNTS) == (name != "usual"), name
        assert bool(labels.points[0].confidence > 0.9) == (name == "usual")


def test_a_missed_twelfth_vertebra_is_no_missing_twelfth_vertebra():
    levels = [level for level in USUAL_LEVELS[6:] if level != "T12"]
    points = np.delete(positions(USUAL_LEVELS[6:]), USUAL_LEVELS[6:].index("T12"), axis=0)
    labels = solve(evidence(levels, points, margin_mm=40.0))
    assert names(labels) == levels
    assert "T12 not found between T11 and L1." in map(str, labels.warnings) and COUNTS not in told(labels)


def test_every_result_says_how_it_was_counted():
    assert how_counted(solved(PARTS["usual"])).startswith("Counted from the first rib, the last rib and the")
    assert "the first rib is not in view" in how_counted(solved(USUAL_LEVELS[14:]))
    assert "no landmark is in view" in how_counted(solved(USUAL_LEVELS[9:16]))
    labels = solved(PARTS["T13"], FROM_ABOVE)
    assert "the last is named L1; counted from the sacrum it is T12" in how_counted(labels)
    corrected = relabel(labels, {"T5": labels.by_level["T5"].ras})
    assert how_counted(corrected).startswith("Counted from what the user has named;")
    assert how_counted(SpineLabels(())) == "", "of points from elsewhere nothing is known"


def test_a_thirteenth_vertebra_that_the_user_has_named_counts():
    labels = solved(PARTS["usual"])
    place = tuple(np.mean([labels.by_level[level].ras for level in ("T12", "L1")], axis=0))
    labels = labels.with_points((*labels.points, LabeledPoint("T13", place)))
    assert names(counted_by(labels, FROM_ABOVE)) == in_order("C6", len(labels.points))


@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize("offset", [None, -3, 0, 3])
@pytest.mark.parametrize("last", [None, "L4", "L6"])
def test_a_count_that_is_another_spines_ends_in_names_or_one_sentence(more, offset, last):
    """A damaged scene: whatever it says, nothing else is raised, and no vertebra is lost."""
    labels = solved(PARTS["T13"], FROM_ABOVE)
    count = Count((FIRST_RIB,), 11, 6, more, last, FROM_SACRUM, offset)
    labels = replace(labels, provenance={COUNT: count.to_json()})
    point = labels.points[4]
    for change in (
        lambda: counted_by(labels, FROM_ABOVE),
        lambda: counted_by(labels, AS_SEEN),
        lambda: relabel(labels, {point.level: point.ras}),
    ):
        with suppress(InputError):
            assert len(change().points) == len(labels.points)
    assert how_counted(labels) == "" or how_counted(labels).startswith("Counted from the first rib; ")
    with suppress(InputError):
        alternative_names(labels)


def test_a_result_that_does_not_tell_its_count_is_counted_by_its_evidence():
    labels = replace(solved(PARTS["T13"]), provenance={})
    assert names(counted_by(labels, FROM_ABOVE)) == in_order("C6", len(PARTS["T13"]))
    bare = replace(labels, evidence=None)
    assert names(counted_by(bare, FROM_ABOVE)) == names(labels) and RULE in told(counted_by(bare, FROM_ABOVE))
