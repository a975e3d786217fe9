"""Level costs of a network that is off by one or two."""

from __future__ import annotations

import numpy as np
import pytest
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS
from VertebraLabelingLib.solver.level_confusion import confused

STEPS = (3.0, 0.5, 1.0)


def sure_of(level: str) -> np.ndarray:
    return np.where(np.arange(len(LEVELS)) == LEVEL_INDEX[level], 0.0, 12.0)[None]


@pytest.mark.parametrize(
    ("seen", "other", "cost"),
    [
        ("C4", "C5", 3.0),
        ("C4", "C2", 6.0),
        ("C7", "T1", 0.5),
        ("T1", "C7", 0.5),
        ("T6", "T8", 1.0),
        ("T12", "L2", 2.0),
        ("T12", "T13", 0.5),
        ("L1", "L2", 1.0),
        ("C6", "T2", 4.0),
        ("C1", "L5", 12.0),
    ],
)
def test_a_level_costs_as_much_as_its_distance_from_the_level_seen(seen: str, other: str, cost: float) -> None:
    assert confused(sure_of(seen), STEPS)[0, LEVEL_INDEX[other]] == pytest.approx(cost)


def test_costs_that_rise_slower_than_the_steps_stay() -> None:
    unary = 0.1 * np.arange(len(LEVELS), dtype=float)[None]
    np.testing.assert_allclose(confused(unary, STEPS), unary, atol=0.06)


def test_the_best_level_stays_the_best_at_its_cost() -> None:
    unary = np.random.default_rng(0).uniform(1, 12, (50, len(LEVELS)))
    result = confused(unary, STEPS)
    assert (result.argmin(axis=1) == unary.argmin(axis=1)).all()
    np.testing.assert_array_equal(result.min(axis=1), unary.min(axis=1))


def test_without_steps_nothing_changes() -> None:
    unary = sure_of("T5")
    assert confused(unary, None) is unary


def test_no_candidates_are_no_trouble() -> None:
    assert confused(np.empty((0, len(LEVELS))), STEPS).shape == (0, len(LEVELS))
