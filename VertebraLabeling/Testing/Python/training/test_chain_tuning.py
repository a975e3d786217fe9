"""Searching the solver's weights and calibrating its confidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from spine_factory import evidence, positions
from VertebraLabelingLib.core.anatomy import LEVELS, USUAL_LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.solver.chain_parameters import ChainParameters
from VertebraLabelingTraining.evaluation.chain_tuning import (
    Sample,
    Scan,
    calibrate,
    objective,
    reliability,
    samples,
    score,
    tune,
)


def noisy_scans(count: int, noise: float) -> list[Sample]:
    pairs = []
    for seed in range(count):
        levels = USUAL_LEVELS[seed % 16 : seed % 16 + 8]
        points = positions(levels, scale=0.9 + 0.02 * (seed % 10))
        given = evidence(levels, points, strength=1.0, noise=noise, seed=seed, presence=False)
        pairs.append((given, dict(zip(levels, map(tuple, points)))))
    return samples(pairs)


def test_the_quick_chain_is_the_solvers_chain():
    from VertebraLabelingLib.solver.chain import solve

    for scan in noisy_scans(8, 1.0):
        labels = solve(scan.evidence, parameters=ChainParameters())
        ready = Scan(scan)
        chain = [(LEVELS[k], tuple(ready.evidence.points[n])) for n, k in ready.best_chain(ChainParameters())]
        assert chain == [(point.level, point.ras) for point in labels.points]


def test_the_quick_count_of_hits_is_the_strict_score():
    for scan in noisy_scans(16, 3.0):
        cut = Sample(scan.evidence, scan.truth, frozenset(list(scan.truth)[:1]))
        for sample in (scan, cut):
            (case,) = score([sample], ChainParameters())
            assert Scan(sample).hits(ChainParameters()) == len(case.vertebrae) - len(case.missed)
            assert Scan(sample).n_vertebrae == len(case.vertebrae)


def test_a_bad_start_is_improved_and_the_same_seed_repeats_it():
    scans = noisy_scans(12, 3.0)
    start = ChainParameters(appearance=20.0, spacing_sd=0.4, false_positive=0.3)
    before = objective(score(scans, start))
    searched = ("appearance", "spacing_sd", "false_positive")
    best, reached = tune(scans, start, searched, rounds=2, seed=3)
    assert reached > before
    assert reached == pytest.approx(objective(score(scans, best)), abs=1e-5)
    assert tune(scans, start, searched, rounds=2, seed=3)[0] == best
    assert replace(best, appearance=20.0, spacing_sd=0.4, false_positive=0.3) == start


def test_a_scan_without_candidates_counts_as_missed():
    nothing = Evidence(np.empty((0, 3)), np.empty((0, 26)), np.empty(0), np.full(26, 0.5), np.zeros((8, 3)))
    assert objective(score([Sample(nothing, {"L1": (0, 0, 0)})], ChainParameters())) == (0.0, 0.0)


def test_calibration_lowers_confidence_that_is_too_high():
    scans = noisy_scans(32, 3.0)
    start = ChainParameters(appearance=4.0, temperature=0.5)
    confidence, right = reliability(scans, start)
    assert confidence.mean() > right.mean() + 0.05, "the start is too sure of itself"
    calibrated = calibrate(scans, start)
    confidence, right = reliability(scans, calibrated)
    assert calibrated.temperature > 1.0
    assert abs(confidence.mean() - right.mean()) < 0.1
    assert calibrated.shift_warning > 0
