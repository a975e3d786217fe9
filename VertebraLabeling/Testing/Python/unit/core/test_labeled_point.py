"""What is shown of a point: nothing that nobody has looked at is certain."""

from __future__ import annotations

import pytest
from VertebraLabelingLib.core.labels import CONFIRMED, MOVED, PREDICTED, LabeledPoint


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
