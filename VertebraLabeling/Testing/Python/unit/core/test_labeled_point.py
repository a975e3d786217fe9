"""What is shown of a point: nothing that nobody has looked at is certain."""

from __future__ import annotations

import pytest
from VertebraLabelingLib.core.labels import CONFIRMED, GIVEN, LOW_CONFIDENCE, MOVED, PREDICTED, LabeledPoint


@pytest.mark.parametrize(
    ("confidence", "status", "shown"),
    [
        (0.0, PREDICTED, 0.0),
        (0.974, PREDICTED, 0.97),
        (0.9949, PREDICTED, 0.99),
        (0.9951, PREDICTED, 0.99),
        (1.0, PREDICTED, 0.99),
        (0.6, CONFIRMED, 0.6),
        (1.0, CONFIRMED, 1.0),
        (1.0, MOVED, 0.99),  # a drag settles the place, not the level
    ],
)
def test_a_prediction_is_never_shown_as_certain(confidence, status, shown):
    point = LabeledPoint("L1", (0.0, 0.0, 0.0), confidence, status)
    assert point.shown_confidence == shown
    assert point.description.startswith(f"confidence={shown:.2f};status={status};")
    assert point.confidence == confidence


@pytest.mark.parametrize(("status", "is_uncertain"), [(PREDICTED, True), (MOVED, True), (CONFIRMED, False)])
def test_only_who_says_which_vertebra_it_is_settles_a_doubt(status, is_uncertain):
    assert LabeledPoint("L1", (0.0, 0.0, 0.0), LOW_CONFIDENCE - 0.01, status).is_uncertain() == is_uncertain
    assert not LabeledPoint("L1", (0.0, 0.0, 0.0), LOW_CONFIDENCE, status).is_uncertain()
    assert LabeledPoint("L1", (0.0, 0.0, 0.0), 1.0, status).is_uncertain(below=1.0) == is_uncertain


@pytest.mark.parametrize("confidence", ["", "confidence=abc;", "confidence=nan;", "confidence=;", "confidence=-3;"])
@pytest.mark.parametrize("status", [PREDICTED, MOVED])
def test_a_confidence_that_cannot_be_read_hides_no_doubt(confidence, status):
    point = LabeledPoint.described("L1", (1.0, 2.0, 3.0), f"{confidence}status={status}")
    assert (point.confidence, point.status, point.is_uncertain()) == (0.0, status, True)


@pytest.mark.parametrize("description", ["", "by hand", "confidence=0.2", "status=guessed", "status=confirmed"])
def test_what_a_person_or_another_program_has_placed_is_sure(description):
    point = LabeledPoint.described("L1", (1.0, 2.0, 3.0), description)
    status = CONFIRMED if description == "status=confirmed" else GIVEN
    assert point == LabeledPoint("L1", (1.0, 2.0, 3.0), 1.0, status) and not point.is_uncertain()
