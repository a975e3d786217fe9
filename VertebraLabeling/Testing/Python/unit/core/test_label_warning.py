"""Warnings as data: their words, their JSON, and what damaged or older scenes hold instead."""

from __future__ import annotations

import json

import pytest
from VertebraLabelingLib.core.count_rules import AS_SEEN, FROM_ABOVE, FROM_SACRUM
from VertebraLabelingLib.core.label_warning import (
    ASTRAY,
    BEYOND,
    CLIPPED,
    COUNTS,
    CUT,
    DENS,
    END,
    FIRST_RIB,
    FRAME,
    FURTHER,
    GAP,
    IMPLANTS,
    LANDMARKS,
    LAST_RIB,
    NO_GPU,
    NOTE,
    REVIEW_KINDS,
    RULE,
    SHIFT,
    SMALL,
    SOLVER_KINDS,
    TURNED,
    VARIANT,
    LabelWarning,
    note,
)
from VertebraLabelingLib.core.stored_sentences import from_sentence

SAID = [
    (
        LabelWarning(SHIFT, landmarks=(DENS, FIRST_RIB)),
        "Levels may be shifted by one: what is seen at C2 and the first rib does not settle the count.",
    ),
    (
        LabelWarning(SHIFT),
        "Levels may be shifted by one: no landmark is in view (C2, the first rib at T1, the last rib at T12, or the "
        "sacrum below L5).",
    ),
    (LabelWarning(VARIANT, ("L6",)), "L6 or lumbarized S1 found."),
    (LabelWarning(VARIANT, ("T13",)), "T13 found."),
    (LabelWarning(GAP, ("T5",), ("T4", "T6")), "T5 not found between T4 and T6."),
    (LabelWarning(GAP, ("T5", "T6", "T7"), ("T4", "T8")), "T5-T7 not found between T4 and T8."),
    (LabelWarning(END, ("T3",), ("T4",)), "T3 not found above T4, where it should be in view."),
    (LabelWarning(END, ("L1",), ("T13",)), "L1 not found below T13, where it should be in view."),
    (LabelWarning(CUT, ("C7",)), "The field of view ends inside C7."),
    (
        LabelWarning(FURTHER),
        "Further vertebral bodies are seen far from the named ones: look whether a part of the spine is missing.",
    ),
    (
        LabelWarning(IMPLANTS, ("T11", "T12", "L1")),
        "Metal or cement lies at T11-L1: vertebrae there may be missed or misplaced, check them.",
    ),
]
COUNTED = [
    (
        LabelWarning(COUNTS, ("T13",), ("L1",), numbers={"ribs": 13}, text=FROM_SACRUM),
        "Thirteen vertebrae bear ribs, the last is named T13; counted from the sacrum it is L1.",
    ),
    (
        LabelWarning(COUNTS, ("L1",), numbers={"ribs": 11}),
        "Eleven vertebrae bear ribs: the next, named L1, may be T12 without ribs or L1.",
    ),
    (
        LabelWarning(COUNTS, ("L6",), ("L5",), numbers={"lumbar": 6}, text=FROM_SACRUM),
        "Six vertebrae lie between the last rib and the sacrum, the lowest is named L6; counted from the sacrum it is "
        "L5.",
    ),
    (
        LabelWarning(COUNTS, ("L5",), ("L4",), numbers={"lumbar": 4}, text=AS_SEEN),
        "Four vertebrae lie between the last rib and the sacrum, the lowest is named L5; named as what is seen it is "
        "L4.",
    ),
    (
        LabelWarning(COUNTS, ("T13",), ("L1",), text=FROM_ABOVE),
        "T13 found; counted from above it is L1.",
    ),
    (LabelWarning(COUNTS, ("T12",)), "The vertebra named T12 may be T12 with short ribs or none, or L1."),
    (
        LabelWarning(COUNTS, ("L1",), ("T12",), (LAST_RIB,)),
        "What is seen at the last rib contradicts the other names: by it L1 would be T12.",
    ),
    (
        LabelWarning(RULE, text=FROM_SACRUM),
        "The sacrum is not in view, so the vertebrae are named as what is seen, not counted from there.",
    ),
    (
        LabelWarning(RULE, text=FROM_ABOVE),
        "Neither C2 nor the first rib is in view, so the vertebrae are named as what is seen, not counted from above.",
    ),
    (
        LabelWarning(RULE, ("C1",), text=FROM_SACRUM),
        "Counted from the sacrum C1 would have no name, so the vertebrae are named as what is seen.",
    ),
]
OTHERS = [
    (
        LabelWarning(TURNED, numbers={"degrees": 30, "head_down": 0}),
        "The patient seems to lie turned by about 30 degrees in this scan, and was labeled so.",
    ),
    (
        LabelWarning(TURNED, numbers={"degrees": 90, "head_down": 1}),
        "The patient seems to lie upside down and turned by about 90 degrees in this scan, and was labeled so: check "
        "the scan's orientation, left and right too.",
    ),
    (
        LabelWarning(SMALL, numbers={"percent": 65}),
        "The spine is small, about 65 % of a usual adult's, and was labeled enlarged: check the levels, the networks "
        "have learned from adults.",
    ),
    (
        LabelWarning(CLIPPED, numbers={"hu": -160.0}),
        "This CT was saved without its values below -160 HU, as for display: they were taken for air. Label the "
        "original where there is one.",
    ),
    (
        LabelWarning(ASTRAY, ("T8", "L1")),
        "No vertebra was seen within 25 mm of what you moved or confirmed at T8, L1: check these places.",
    ),
    (
        LabelWarning(BEYOND, ("T4",), numbers={"step": 1}),
        "The image goes on below T4, but no vertebra was seen there: look whether some are missing.",
    ),
    (
        LabelWarning(BEYOND, ("C3",), numbers={"step": -1}),
        "The image goes on above C3, but no vertebra was seen there: look whether some are missing.",
    ),
    (
        LabelWarning(FRAME, numbers={"number": 3, "count": 10}, text="time 0.5 s"),
        "Only the shown frame of the sequence was labeled: 3 of 10 (time 0.5 s).",
    ),
    (LabelWarning(NO_GPU), "The GPU has too little free memory: this scan was labeled on the CPU."),
    (note("Slices 3-5 were interpolated."), "Slices 3-5 were interpolated."),
]


@pytest.mark.parametrize(("warning", "sentence"), SAID + COUNTED + OTHERS, ids=lambda value: str(value)[:40])
def test_each_kind_has_its_words_and_survives_json(warning, sentence):
    assert str(warning) == sentence
    assert LabelWarning.from_json(json.loads(json.dumps(warning.to_json()))) == warning


@pytest.mark.parametrize(("warning", "sentence"), SAID, ids=lambda value: str(value)[:40])
def test_sentences_of_the_solver_and_of_implants_are_read_back_as_data(warning, sentence):
    assert from_sentence(sentence) == warning


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("Levels may be shifted by one: no anchor is in view (C2, the first rib at T1, or the sacrum).", SHIFT),
        ("Levels may be shifted by one.", NOTE),
        ("T15 not found between T4 and T6.", NOTE),
        ("The field of view ends inside the patient.", NOTE),
        ("{0.__class__}", NOTE),
        ("", NOTE),
    ],
)
def test_older_and_foreign_sentences(sentence, kind):
    warning = from_sentence(sentence)
    assert warning.kind == kind
    assert kind != NOTE or str(warning) == sentence


@pytest.mark.parametrize(
    "damaged",
    [
        None,
        "shift",
        {},
        {"kind": "unknown"},
        {"kind": ["shift"]},
        {"kind": "gap", "levels": ["T5"]},
        {"kind": "gap", "levels": ["T5"], "beside": ["T4"]},
        {"kind": "gap", "levels": [], "beside": ["T4"]},
        {"kind": "cut", "levels": ["<b>"]},
        {"kind": "astray"},
        {"kind": "cut", "levels": "T5"},
        {"kind": "shift", "landmarks": ["moon"]},
        {"kind": "turned", "numbers": {"degrees": float("nan"), "head_down": 0}},
        {"kind": "turned", "numbers": {"degrees": 20}},
        {"kind": "clipped", "numbers": {"hu": "low"}},
        {"kind": "clipped", "numbers": {"hu": 10**400}},
        {"kind": "astray", "levels": ["L1"] * 1000},
        {"kind": "frame", "numbers": {"number": 3}, "text": "time 0.5 s"},
        {"kind": "frame", "numbers": {"number": 3, "count": 10, "text": 1}},
        {"kind": "note", "text": 5},
        {"kind": "counts"},
        {"kind": "counts", "levels": ["T13"], "beside": ["L1"], "text": "hip"},
        {"kind": "counts", "levels": ["T13"], "beside": ["L1"], "numbers": {"ribs": 99}, "text": "above"},
        {"kind": "counts", "levels": ["T13"], "beside": ["L1", "L2"], "text": "above"},
        {"kind": "rule", "text": "seen"},
    ],
)
def test_damaged_data_are_no_warning(damaged):
    assert LabelWarning.from_json(damaged) is None


def test_sentences_are_translated_as_templates():
    """Slicer looks templates up, not sentences with names in them."""
    seen = []

    def translate(text):
        seen.append(text)
        return text.replace("not found between", "nicht gefunden zwischen").replace(" and ", " und ")

    gap = LabelWarning(GAP, ("T5",), ("T4", "T6"))
    assert gap.sentence(translate) == "T5 nicht gefunden zwischen T4 und T6."
    assert seen == ["{levels} not found between {above} and {below}."]


def test_a_look_is_asked_for_what_the_solver_metal_or_a_correction_leaves_in_doubt():
    assert {SHIFT, COUNTS, GAP, END, FURTHER, IMPLANTS, ASTRAY, BEYOND} == REVIEW_KINDS
    assert {COUNTS, RULE, VARIANT} <= SOLVER_KINDS
    assert IMPLANTS not in SOLVER_KINDS and len(LANDMARKS) == 4


def test_a_text_of_a_scene_can_be_shown_whatever_it_holds():
    assert str(LabelWarning.from_json({"kind": "note", "text": "a\ud800b"})) == "a?b"
    assert len(str(note("x" * 10**6))) == 1000
