"""From the posterior to a confidence that holds, and flags for wrong scans."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from spine_factory import evidence, positions
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.label_warning import SHIFT
from VertebraLabelingLib.core.labels import LOW_CONFIDENCE
from VertebraLabelingLib.core.metrics import CaseScore, score_case
from VertebraLabelingLib.core.parameters import ChainParameters
from VertebraLabelingLib.formats.truth import write_truth
from VertebraLabelingLib.solver.chain import relabel, solve
from VertebraLabelingLib.solver.confidence import calibrated, log_odds, strongest_sign, terms
from VertebraLabelingTraining.data.evidence_folder import Sample, evidence_path, truth_path
from VertebraLabelingTraining.evaluation import calibration
from VertebraLabelingTraining.evaluation.calibration import Judged, bins_of, calibration_error, judge
from VertebraLabelingTraining.evaluation.calibration_fit import Measured, _warning_sign, fit, measure

PLAIN = ChainParameters(
    1.0, None, spacing_sd=0.066, temperature=1.0, calibration=None, shift_sign=0.0, landmark_sign=0.0
)
WEIGHTS = (-1.0, 0.5, 1.0, 0.5, 0.5, 0.5)


def confidence(posterior, detection, margin, sign, against) -> np.ndarray:
    posterior = np.array(posterior)
    return calibrated(posterior, terms(posterior, np.array(detection), margin, sign, against), WEIGHTS)


def test_without_weights_the_confidence_is_the_posterior():
    posterior = np.array([0.2, 1.0])
    rows = terms(posterior, np.array([0.5, 0.5]), 3.0, 2.0)
    assert calibrated(posterior, rows, None).tolist() == posterior.tolist()


@pytest.mark.parametrize(
    "better",
    [
        {"posterior": [0.9, 0.9]},
        {"detection": [0.7, 0.7]},
        {"margin": 9.0},
        {"sign": 5.0},
        {"against": 1.0},
    ],
    ids=["likelier level", "clearer bodies", "wider margin", "clearer landmark", "no contradiction"],
)
def test_confidence_rises_with_each_sign_of_a_sure_chain(better):
    usual = {"posterior": [0.8, 0.8], "detection": [0.5, 0.5], "margin": 3.0, "sign": 2.0, "against": 4.0}
    low, high = confidence(**usual), confidence(**{**usual, **better})
    assert (high > low).all()
    assert (low > 0).all() and (high < 1).all()


def test_one_vertebra_that_cannot_be_mistaken_is_a_strong_sign():
    levels = np.arange(10, 15)
    alike = np.abs(np.arange(26) - levels[:, None]) * 0.3
    with_landmark = alike.copy()
    with_landmark[4] *= 20
    assert strongest_sign(alike, levels) == pytest.approx(0.3)
    assert strongest_sign(with_landmark, levels) == pytest.approx(6.0)


def test_a_chain_that_a_shift_would_suit_better_has_no_sign_against_it():
    levels = np.arange(10, 15)
    assert strongest_sign(np.abs(np.arange(26) - levels[:, None] - 1) * 2.0, levels) == 0.0


def test_certain_posteriors_give_finite_log_odds():
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()
    assert terms(np.zeros(0), np.zeros(0), 0.0, 0.0).shape == (0, 6)


def test_the_solver_gives_the_calibrated_confidence_and_1_where_a_level_is_fixed():
    levels = USUAL_LEVELS[8:14]
    points = positions(levels)
    given = evidence(levels, points, strength=0.3, noise=0.3)
    parameters = replace(PLAIN, calibration=WEIGHTS)
    plain, labels = solve(given, parameters=PLAIN), solve(given, parameters=parameters)
    expected = confidence(
        [point.confidence for point in plain.points],
        np.full(len(levels), 0.95),
        plain.provenance["shift_margin"],
        plain.provenance["strongest_sign"],
        0.0,
    )
    assert [point.confidence for point in labels.points] == pytest.approx(expected.tolist(), abs=1e-3)
    fixed = relabel(labels, {labels.points[2].level: labels.points[2].ras}, parameters=parameters)
    assert fixed.points[2].confidence == 1.0
    assert min(point.confidence for point in fixed.points) > min(point.confidence for point in labels.points)


def made_up(number: int, wrong: bool, posterior: float, detection: float, sign: float, points: int = 5) -> Measured:
    case = CaseScore(f"ct/{number}__0", (), ("T5",) if wrong else (), 0)
    correct = np.full(points, not wrong)
    p = np.full(points, posterior)
    return Measured(
        *(case.name, f"p{number}", number % 3, (), case, {heat: p for heat in (1.0, 2.0, 4.0)}),
        *(np.full(points, detection), 5.0, sign, 0.0, correct, np.ones(points, bool)),
    )


def unseen(count: int, seed: int = 0) -> list[Measured]:
    """Scans with overly sure posteriors whose detections and strongest signs tell correct from wrong, as a rule."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(count) < 0.4
    return [
        made_up(
            n, bad, 0.98, np.clip(rng.normal(0.4 if bad else 0.65, 0.1), 0.1, 0.9), rng.exponential(1 if bad else 5)
        )
        for n, bad in enumerate(wrong)
    ]


def test_a_confidence_that_is_too_high_is_lowered_on_scans_that_were_not_fitted():
    scans = unseen(240)
    before = [Judged(item, PLAIN) for item in scans]
    after = judge(scans, PLAIN)
    assert calibration_error(before) > 0.3
    assert calibration_error(after) < 0.08
    assert sum(count for count, _, _ in bins_of(after)) == 240 * 5


def test_the_flags_find_wrong_scans_and_spare_right_ones():
    scans = unseen(240)
    judged = judge(scans, PLAIN)
    flagged, correct = (np.array([getattr(item, key) for item in judged]) for key in ("flagged", "correct"))
    assert flagged[~correct].mean() > 0.75
    assert flagged[correct].mean() < 0.3


def test_the_shift_warning_reaches_all_wrong_scans_and_then_keeps_its_distance_to_both_limits():
    """The wrong ones have signs of 1 and 2, the correct ones 0.5 and 4, 5, ... 22: three of 20 may be flagged."""
    wrong = [made_up(number, True, 0.98, 0.9, sign) for number, sign in enumerate((1.0, 2.0))]
    correct = [made_up(number + 2, False, 0.98, 0.9, sign) for number, sign in enumerate((0.5, *range(4, 23)))]
    sure = replace(PLAIN, calibration=(9.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    chosen = _warning_sign([*wrong, *correct], sure)
    assert 2.0 < chosen < 6.0
    assert chosen == pytest.approx((4.0 + 6.0) / 2)


def test_each_fold_is_judged_by_parameters_that_were_chosen_without_it():
    scans = unseen(60)
    judged = {item.measured.name: item.parameters for item in judge(scans, PLAIN)}
    assert len({str(parameters) for parameters in judged.values()}) == 3
    changed = [replace(item, sign=11.0) if item.fold == 1 else item for item in scans]
    again = {item.measured.name: item.parameters for item in judge(changed, PLAIN)}
    assert all((judged[item.name] == again[item.name]) == (item.fold == 1) for item in scans)


def test_a_sample_is_measured_as_the_product_labels_it():
    levels = USUAL_LEVELS[8:15]
    points = positions(levels)
    given = evidence(levels, points, strength=0.4, noise=0.4, seed=1)
    sample = Sample(given, dict(zip(levels, map(tuple, points))), frozenset((levels[0],)), "ct/x__1")
    parameters = replace(PLAIN, temperature=2.0, calibration=WEIGHTS, shift_sign=1.5)
    item = measure(sample, "p", 0, parameters)
    labels = solve(given, parameters=parameters)
    assert item.confidence(parameters).tolist() == pytest.approx([p.confidence for p in labels.points], abs=1e-6)
    warned = any(warning.kind == SHIFT for warning in labels.warnings)
    low = min(p.confidence for p in labels.points) < LOW_CONFIDENCE
    assert item.flagged(parameters) == (warned or low)
    assert item.counts.tolist() == [False] + [True] * 6 if item.all_correct else item.counts.sum() >= 6


@pytest.mark.parametrize("seed", range(8))
def test_the_measured_chain_is_the_solvers(seed):
    levels = USUAL_LEVELS[seed : seed + 8]
    points = positions(levels, scale=0.9 + 0.02 * seed)
    given = evidence(levels, points, strength=1.0, noise=2.0, seed=seed, presence=False)
    truth = dict(zip(levels, map(tuple, points)))
    named = {point.level: point.ras for point in solve(given, parameters=PLAIN).points}
    case = measure(Sample(given, truth, name="x"), "p", 0, PLAIN).case
    assert repr(case) == repr(score_case("x", named, truth, frozenset())), "repr: missed ones lie NaN mm away"


@pytest.mark.parametrize(("first", "with_landmark"), [(10, False), (7, False), (6, True), (1, True), (16, True)])
def test_an_anchor_among_the_names_adds_to_the_sign(first, with_landmark):
    """T4-T9 and T1-T6 show none; C7-T5 the first rib, C2-T1 the dens, T10-L3 the last rib."""
    levels = USUAL_LEVELS[first : first + 6]
    points = positions(levels)
    given = evidence(levels, points, strength=3.0, noise=0.0, seed=1)
    plain, more = (solve(given, parameters=replace(PLAIN, landmark_sign=value)) for value in (0.0, 2.0))
    assert [point.level for point in plain.points] == list(levels)
    added = more.provenance["strongest_sign"] - plain.provenance["strongest_sign"]
    assert added == pytest.approx(2.0 * with_landmark, abs=0.02)
    sample = Sample(given, dict(zip(levels, map(tuple, points))), frozenset(), "ct/x__1")
    item = measure(sample, "p", 0, replace(PLAIN, landmark_sign=2.0))
    assert item.sign == pytest.approx(more.provenance["strongest_sign"], abs=0.02)


@pytest.mark.parametrize("skipped", [False, True])
def test_a_chain_that_passes_over_a_vertebra_is_flagged_as_the_user_is_told(skipped):
    levels = [level for level in USUAL_LEVELS[2:9] if not (skipped and level == "C6")]
    points = positions(USUAL_LEVELS[2:9])[[level in levels for level in USUAL_LEVELS[2:9]]]
    given = evidence(levels, points, strength=6.0, noise=0.0, seed=1)
    sample = Sample(given, dict(zip(levels, map(tuple, points))), frozenset(), "openkbp/x__1")
    parameters = PLAIN
    told = any("C6 not found" in str(warning) for warning in solve(given, parameters=parameters).warnings)
    assert told == skipped
    assert measure(sample, "p", 0, parameters).flagged(parameters) == skipped


def test_the_fit_says_the_same_twice():
    scans = unseen(90)
    assert fit(scans, PLAIN) == fit(scans, PLAIN)


def test_the_command_prints_flags_and_parameters_and_draws_the_plot(tmp_path, capsys):
    folds = [{"ct": [f"ct/{letter}{n}" for n in range(4)]} for letter in "abc"]
    (tmp_path / "splits.json").write_text(json.dumps({"folds": folds, "same_patient": {}}))
    for row, name in enumerate(name for fold in folds for name in fold["ct"]):
        levels = USUAL_LEVELS[4 + row : 10 + row]
        points = positions(levels)
        wrong = row % 3 == 0
        truth = dict(zip(USUAL_LEVELS[5 + row : 11 + row] if wrong else levels, map(tuple, points)))
        changed = (tmp_path / "counts", f"{name}+six-lumbar+L3"), (tmp_path / "counts", f"{name}+usual")
        for folder, case in ((tmp_path / "cv", name), (tmp_path / "crops", f"{name}__0"), *changed):
            for path in (evidence_path(folder, case), truth_path(folder, case)):
                path.parent.mkdir(parents=True, exist_ok=True)
            given = evidence(levels, points, strength=0.2 if wrong else 2.0, noise=0.2, seed=row)
            evidence_path(folder, case).write_text(given.to_json())
            write_truth(truth_path(folder, case), truth, frozenset())
    picture = tmp_path / "reliability.png"
    folders = ["--evidence", str(tmp_path / "cv"), "--crops", str(tmp_path / "crops")]
    folders += ["--counts", str(tmp_path / "counts")]
    assert calibration.main(["--data", str(tmp_path), *folders, "--plot", str(picture)]) == 0
    printed = capsys.readouterr().out
    assert (
        "| crops with a landmark | calibrated |" in printed
        and "| crops without a landmark | calibrated |" in printed
        and "| changed counts | calibrated |" in printed
    )
    assert {"temperature", "calibration", "shift_sign"} == set(json.loads(printed.split("all folds: ")[1]))
    assert picture.read_bytes().startswith(b"\x89PNG")
