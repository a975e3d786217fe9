"""Scores: tables of hand-made scans, and the VerSe rule against the challenge's own matrix form."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from VertebraLabelingLib.core.anatomy import LEVELS
from VertebraLabelingLib.core.metrics import report, score_case, summarize


def chain(*levels, start=0.0, step=-25.0) -> dict:
    """Vertebrae on a line, 25 mm apart from head to foot."""
    return {level: (0.0, 0.0, start + n * step) for n, level in enumerate(levels)}


def moved(points, by, *levels) -> dict:
    """The same points, those named (or all) moved by (r, a, s) mm."""
    return {k: tuple(np.add(v, by)) if not levels or k in levels else v for k, v in points.items()}


def renamed(points, **names) -> dict:
    return {names.get(level, level): ras for level, ras in points.items()}


def without(points, *levels) -> dict:
    return {level: ras for level, ras in points.items() if level not in levels}


TRUTH = chain("T10", "T11", "T12", "L1", "L2")

# predicted, cut levels -> missed levels, wrong points, shifted
TABLE = {
    "all correct": (TRUTH, (), (), (), 0),
    "all 3 mm off": (moved(TRUTH, (3, 0, 0)), (), (), (), 0),
    "20 mm off to the side is a hit": (moved(TRUTH, (20, 0, 0), "L1"), (), (), (), 0),
    "21 mm off to the side is none": (moved(TRUTH, (21, 0, 0), "L1"), (), ("L1",), ("L1",), 0),
    "nearer to the neighbor": (moved(TRUTH, (0, 0, -13), "T12"), (), ("T12",), ("T12",), 0),
    "one missing": (without(TRUTH, "T11"), (), ("T11",), (), 0),
    "nothing predicted": ({}, (), tuple(TRUTH), (), 0),
    "one extra above": ({**TRUTH, "T9": (0, 0, 25)}, (), (), ("T9",), 0),
    "one extra beyond the field": ({**TRUTH, "C3": (0, 0, 500)}, (), (), ("C3",), 0),
    "one extra between": ({**TRUTH, "T13": (0, 0, -62)}, (), (), ("T13",), 0),
    "two swapped": (renamed(TRUTH, T11="T12", T12="T11"), (), ("T11", "T12"), ("T11", "T12"), 0),
    "a cut one found": (TRUTH, ("T10",), (), (), 0),
    "a cut one not found": (without(TRUTH, "T10"), ("T10",), (), (), 0),
    "a cut one 15 mm off": (moved(TRUTH, (0, 0, 15), "T10"), ("T10",), (), (), 0),
    "a cut one 25 mm off": (moved(TRUTH, (0, 0, 25), "T10"), ("T10",), (), ("T10",), 0),
    "a cut one under another name": (renamed(TRUTH, T10="T9"), ("T10",), (), ("T9",), 0),
    "a cut one competes": (moved(TRUTH, (0, 0, 13), "T11"), ("T10",), ("T11",), ("T11",), 0),
    "one level too high": (chain("T9", "T10", "T11", "T12", "L1"), (), tuple(TRUTH), ("T9", *tuple(TRUTH)[:4]), -1),
    "one level too low": (chain("T11", "T12", "L1", "L2", "L3"), (), tuple(TRUTH), (*tuple(TRUTH)[1:], "L3"), 1),
    "a third shifted": (
        {**without(TRUTH, "T10"), "T9": TRUTH["T10"]},
        (),
        ("T10",),
        ("T9",),
        0,
    ),
    "two levels too low": (chain("T12", "L1", "L2", "L3", "L4"), (), tuple(TRUTH), ("T12", "L1", "L2", "L3", "L4"), 0),
}


@pytest.mark.parametrize("case", TABLE)
def test_a_scan_is_scored_by_hand(case):
    predicted, cut, missed, wrong, shifted = TABLE[case]
    score = score_case(case, predicted, TRUTH, cut)
    assert score.missed == missed
    assert score.false_positives == tuple(sorted(wrong, key=LEVELS.index))
    assert score.shifted == shifted
    summary = summarize([score])
    whole = len(TRUTH) - len(cut)
    assert summary["n_vertebrae"] == whole
    assert summary["strict_id"] == pytest.approx((whole - len(missed)) / whole)
    assert summary["scans_all_correct"] == (not missed and not wrong)
    assert summary["shifted_scans"] == abs(shifted)


def test_a_thirteenth_rib_taken_for_l1_is_a_shift_of_the_lumbar_spine():
    truth = chain("T13", "L1", "L2", "L3", "L4")
    assert score_case("", chain("L1", "L2", "L3", "L4", "L5"), truth).shifted == 1


def test_the_loophole_of_the_verse_rule_is_open_there_and_closed_in_the_strict_one():
    truth = {"C3": (0.0, 0.0, 0.0), "C4": (0.0, 0.0, -16.0)}
    score = score_case("", {"C4": (0.0, 0.0, 0.0)}, truth)  # a lone C4 placed on C3
    assert summarize([score])["verse_id"] == 0.5
    assert summarize([score])["strict_id"] == 0.0
    assert summarize([score])["precision"] == 0.0


def test_hallucinated_vertebrae_cost_precision():
    predicted = {**TRUTH, **chain("C1", "C2", "C3", "C4", "C5", start=400.0)}
    summary = summarize([score_case("", predicted, TRUTH)])
    assert (summary["verse_id"], summary["strict_id"], summary["precision"]) == (1.0, 1.0, 0.5)


def verse_get_hits(predicted: dict, truth: dict) -> int:
    """``get_hits`` of the VerSe repository, written after its text: matrices over the 28 labels, NaN for absent."""
    columns = [level for level in LEVELS if level in predicted and level in truth]
    if not columns:
        return 0
    distances = np.array([[np.linalg.norm(np.subtract(predicted[p], truth[t])) for t in columns] for p in columns])
    kept = np.zeros_like(distances, dtype=bool)
    kept[np.arange(len(columns)), distances.argmin(axis=1)] = True
    diagonal = np.diag(np.where(kept, distances, np.nan))
    return int(sum(not (value > 20) and not np.isnan(value) for value in diagonal))


POSITIONS = st.tuples(*[st.integers(-30, 30).map(float)] * 3)
SPINES = st.dictionaries(st.sampled_from(LEVELS[5:12]), POSITIONS)


@given(SPINES, SPINES)
@settings(max_examples=300, deadline=None)
def test_the_verse_rate_equals_the_challenges_own(predicted, truth):
    score = score_case("", predicted, truth)
    # the two may differ where two true vertebrae lie at exactly the same distance: there argmin takes the first
    ties = any(
        len({round(float(np.linalg.norm(np.subtract(p, t))), 9) for t in truth.values()}) < len(truth)
        for p in predicted.values()
    )
    if not ties:
        assert sum(vertebra.verse for vertebra in score.vertebrae) == verse_get_hits(predicted, truth)


@given(SPINES, SPINES, st.sets(st.sampled_from(LEVELS[5:12])))
@settings(max_examples=200, deadline=None)
def test_scores_stay_in_bounds_whatever_is_compared(predicted, truth, cut):
    score = score_case("", predicted, truth, cut & set(truth))
    summary = summarize([score])
    for key in ("strict_id", "verse_id", "precision"):
        assert summary[key] is None or 0 <= summary[key] <= 1
    assert summary["strict_id"] is None or summary["verse_id"] >= summary["strict_id"]
    json.dumps(report([score]), allow_nan=False)


def test_errors_are_taken_over_hits_and_over_all_pairs():
    predicted = moved(moved(TRUTH, (2, 0, 0), "T10", "T11", "T12", "L1"), (40, 0, 0), "L2")
    summary = summarize([score_case("", predicted, TRUTH)])
    assert (summary["mean_mm"], summary["median_mm"], summary["p95_mm"]) == (2.0, 2.0, 2.0)
    assert summary["mean_all_mm"] == pytest.approx((4 * 2 + 40) / 5)


def test_vertebrae_are_pooled_over_scans_of_different_size():
    cases = [score_case("a", TRUTH, TRUTH), score_case("b", {}, chain("C3"))]
    summary = summarize(cases)
    assert summary["strict_id"] == pytest.approx(5 / 6)
    assert (summary["n_scans"], summary["scans_all_correct"], summary["n_vertebrae"]) == (2, 1, 6)


def test_the_report_holds_the_agreed_keys_per_region_and_per_case():
    cases = [score_case("a", without(TRUTH, "L2"), TRUTH), score_case("b", chain("C1", "C3"), chain("C1", "C2"))]
    result = report(cases)
    keys = {"strict_id", "verse_id", "precision", "mean_mm", "median_mm", "p95_mm", "mean_all_mm"}
    keys |= {"scans_all_correct", "shifted_scans", "n_scans", "n_vertebrae", "false_positives"}
    assert keys <= set(result) and set(result["cases"]) == {"a", "b"}
    assert all(keys <= set(part) for part in (*result["regions"].values(), *result["cases"].values()))
    assert {name: part["n_vertebrae"] for name, part in result["regions"].items()} == {
        "cervical": 2,
        "thoracic": 3,
        "lumbar": 2,
    }
    assert {name: part["scans_all_correct"] for name, part in result["regions"].items()} == {
        "cervical": 0,
        "thoracic": 1,
        "lumbar": 0,
    }
    assert result["cases"]["a"]["missed"] == ["L2"] and result["cases"]["b"]["wrong"] == ["C3"]
    assert result["regions"]["cervical"]["false_positives"] == 1


def test_nothing_to_count_gives_null_not_nan():
    result = report([])
    assert result["strict_id"] is None and result["mean_mm"] is None and result["n_scans"] == 0
    json.dumps(result, allow_nan=False)
