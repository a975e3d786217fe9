"""The text for a report: what is seen, how it was counted, what is unusual, and nothing that is not known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bent_spine import straight
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.counting import COUNT, Count
from VertebraLabelingLib.core.label_warning import DENS, FIRST_RIB, GAP, IMPLANTS, LAST_RIB, NO_GPU, SHIFT, LabelWarning
from VertebraLabelingLib.core.labels import CONFIRMED, GIVEN, SpineLabels
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.reading.report import report

COUNTED = {COUNT: Count((FIRST_RIB, LAST_RIB), 12, None).to_json()}


def labels_of(levels=USUAL_LEVELS[6:22], warnings=(), provenance=COUNTED, confidence=0.95) -> SpineLabels:
    points = tuple(replace(p, confidence=confidence) for p in straight() if p.level in levels)
    return SpineLabels(points, tuple(warnings), dict(provenance))


def lines(*arguments, **options) -> list[str]:
    return report(labels_of(*arguments, **options)).splitlines()


def test_a_plain_scan_takes_three_sentences():
    assert lines() == [
        "16 vertebrae were labeled: C7 to L3.",
        "Counted from the first rib and the last rib.",
        "Nothing unusual was noted, and no level is uncertain.",
    ]


def test_gaps_are_told_once():
    levels = [level for level in USUAL_LEVELS[2:] if level not in ("T5", "T6", "L4")]
    seen, _, unusual = lines(levels)
    assert seen == "19 vertebrae were labeled: C3 to T4, T7 to L3 and L5."
    assert unusual == "No vertebra was labeled between T4 and T7. No vertebra was labeled between L3 and L5."
    warning = LabelWarning(GAP, ("T5", "T6"), ("T4", "T7"))
    levels = [level for level in USUAL_LEVELS[2:] if level not in ("T5", "T6")]
    assert lines(levels, [warning])[2] == "T5-T6 not found between T4 and T7."


@pytest.mark.parametrize("given", [{}, COUNTED])
def test_a_twelfth_thoracic_vertebra_without_a_point_is_told(given):
    """L1 may follow T11 in a spine with eleven ribs, but not so far from it."""
    seen, _, unusual = lines([level for level in USUAL_LEVELS[6:22] if level != "T12"], provenance=given)
    assert seen == "15 vertebrae were labeled: C7 to T11 and L1 to L3."
    assert unusual.startswith("No vertebra was labeled between T11 and L1.")
    eleven = tuple(replace(p, level="L1") if p.level == "T12" else p for p in labels_of(USUAL_LEVELS[6:19]).points)
    assert report(SpineLabels(eleven, (), dict(given))).startswith("13 vertebrae were labeled: C7 to L1.\n")


@pytest.mark.parametrize("names", [("L1", "L2"), ("T5", "T8"), ("T12", "L1")])
def test_exchanged_names_are_told(names):
    swapped = dict([names, names[::-1]])
    points = (replace(point, level=swapped.get(point.level, point.level)) for point in labels_of().points)
    assert "The spine turns back at" in report(SpineLabels(tuple(points))).splitlines()[2]


def test_warnings_and_uncertain_levels_are_told_but_nothing_of_the_computer():
    warnings = [LabelWarning(SHIFT, landmarks=(LAST_RIB,)), LabelWarning(IMPLANTS, ("L4", "L5")), LabelWarning(NO_GPU)]
    labels = labels_of(warnings=warnings)
    labels = labels.with_points((replace(labels.points[0], confidence=0.61), *labels.points[1:]))
    text = report(labels).splitlines()[2]
    assert text.startswith("Levels may be shifted by one: what is seen at the last rib does not settle the count.")
    assert "Metal or cement lies at L4-L5" in text and text.endswith("Uncertain levels (confidence): C7 (0.61).")
    assert "GPU" not in text
    assert "Uncertain" not in report(labels, low_confidence=0.5)


def test_what_a_reader_said_stands_above_what_the_program_counted_from():
    labels = labels_of()
    named = (replace(labels.points[3], status=CONFIRMED, confidence=1.0), *labels.points[:3], *labels.points[4:])
    assert report(labels.with_points(named)).splitlines()[1] == "Counted from T3, named or confirmed by a reader."
    everything = tuple(replace(point, status=CONFIRMED) for point in labels.points)
    assert report(labels.with_points(everything)).splitlines()[1] == "All levels were named or confirmed by a reader."


def with_status(labels, **statuses) -> SpineLabels:
    return labels.with_points(tuple(replace(p, status=statuses.get(p.level, p.status)) for p in labels.points))


def test_of_given_levels_no_reader_is_told():
    """Those of a list without statuses, by hand or of another program, and those that a run was given as known."""
    labels = labels_of()
    given = with_status(labels, T3=GIVEN, T4=GIVEN, T5=GIVEN)
    assert report(given).splitlines()[1] == "Counted from T3 to T5 as given, by whom is not recorded."
    both = with_status(labels, T3=GIVEN, T9=CONFIRMED)
    assert report(both).splitlines()[1] == (
        "Counted from T9, named or confirmed by a reader, and from T3 as given, by whom is not recorded."
    )
    everything = with_status(labels, **dict.fromkeys(labels.by_level, GIVEN))
    assert report(everything).splitlines()[1] == "How the levels were counted is not recorded."


def test_what_is_not_recorded_is_not_called_usual():
    _, counted, unusual = lines(provenance={})
    assert counted == "How the levels were counted is not recorded."
    assert unusual == "What the labeling warned of is not recorded."


def test_few_vertebrae_are_told_as_they_are():
    assert lines(("L3",))[0] == "One vertebra was labeled: L3."
    assert lines(("L3", "L4"))[0] == "2 vertebrae were labeled: L3-L4."
    with pytest.raises(InputError, match="label the CT first"):
        report(SpineLabels(()))


def test_all_of_it_can_be_translated():
    """Each template passes the translator: nothing English is left where all are replaced."""
    templates = []

    def shouted(text):
        templates.append(text)
        return text.upper().replace("{LEVELS}", "{levels}").replace("{COUNT}", "{count}").replace("{FIRST}", "{first}")

    def translate(text):
        return shouted(text).replace("{LAST}", "{last}").replace("{LANDMARKS}", "{landmarks}")

    labels = labels_of(provenance={COUNT: Count((DENS, LAST_RIB), None, None).to_json()}, confidence=0.5)
    text = report(labels, translate=translate)
    assert text == text.upper() and len(templates) >= 6
