"""Intervals by patient, and the table of the benchmarks."""

from __future__ import annotations

import numpy as np
import pytest
from VertebraLabelingLib.core.metrics import score_case
from VertebraLabelingTraining.evaluation.score_table import exact_interval, interval, table

TRUTH = {"T5": (0.0, 0, 90), "T6": (0.0, 0, 60), "L1": (0.0, 0, 30)}


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [(9, 9, 0.664, 1.0), (67, 68, 0.921, 0.9996), (5, 10, 0.187, 0.813), (0, 10, 0.0, 0.308), (35, 36, 0.855, 0.9993)],
)
def test_exact_intervals_are_those_of_the_tables(hits, count, low, high):
    """Values of Clopper and Pearson as statistics programs print them."""
    assert exact_interval(hits, count) == pytest.approx((low, high), abs=1e-3)


def test_nothing_is_known_of_nothing():
    assert exact_interval(0, 0) == (0.0, 1.0)


def test_scans_of_one_patient_do_not_narrow_an_interval():
    rng = np.random.default_rng(3)
    values = rng.normal(5, 1, 12)
    once = interval([[value] for value in values], lambda items: np.array([np.mean(items)]))
    tenfold = interval([[value] * 10 for value in values], lambda items: np.array([np.mean(items)]))
    np.testing.assert_allclose(once, tenfold)
    assert (once[1] - once[0])[0] == pytest.approx(2 * 1.96 * values.std() / np.sqrt(12), rel=0.1)


def test_the_table_has_a_line_for_each_set_and_region():
    right = {level: (x + 1.0, y, z) for level, (x, y, z) in TRUTH.items()}
    scores = {
        "ct/a": score_case("ct/a", right, TRUTH),
        "ct/b": score_case("ct/b", {**right, "T6": (0, 0, 200.0)}, TRUTH),
        "openkbp/c": score_case("openkbp/c", right, TRUTH),
    }
    lines = table(scores, {"ct/a": "one", "ct/b": "two", "openkbp/c": "three"}).splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == [
        "ct", "ct, thoracic", "ct, lumbar", "openkbp", "openkbp, thoracic", "openkbp, lumbar",
    ]  # fmt: skip
    ct = lines[2].split(" | ")
    assert ct[1:4] == ["2 (2), 6", "1 of 2 (1%-99%)", "83.3% (66.7%-100.0%)"]
    assert ct[5] == "1.0 (1.0-1.0)"
