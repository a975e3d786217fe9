"""The variants of the ablation differ in what they say they differ in."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from training_cases import TINY, ball_case
from VertebraLabelingLib.networks.layers import window
from VertebraLabelingTraining.evaluation.ablation import VARIANTS, configure, line, train_variant


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_trains_and_predicts(tmp_path, variant):
    cases = [ball_case("ct/balls"), ball_case("openkbp/balls"), ball_case("v1/synthetic_balls")]
    network = train_variant(variant, replace(TINY, steps=1), cases, tmp_path)
    with torch.inference_mode():
        prediction = network(window(torch.zeros(1, 1, 32, 32, 32)))
    assert torch.isfinite(prediction.center).all()
    neutral = bool((prediction.presence == 0).all() and (prediction.slices == 0).all())
    assert neutral == (variant == "no Bi-LSTM")


def test_only_the_named_terms_are_switched_off():
    full = configure("full", TINY).loss
    integral = configure("no integral regression", TINY).loss
    sequence = configure("no Bi-LSTM", TINY).loss
    assert (integral.local_mm, integral.global_mm) == (0, 0) and integral.heat == full.heat > 0
    assert (sequence.slices, sequence.presence) == (0, 0) and sequence.local_mm == full.local_mm > 0


def test_real_only_draws_no_synthetic_case_and_the_other_way_round():
    real, synthetic = configure("real only", TINY).shares, configure("synthetic only", TINY).shares
    assert not any(pattern == "*" or "synthetic" in pattern for pattern in real)
    assert list(synthetic) == ["*synthetic*"]


def test_a_network_that_finds_nothing_has_a_line_without_an_error():
    told = line("full", "ct", {"strict_id": 0.0, "mean_mm": None, "n_vertebrae": 12})
    assert told.split() == ["full", "ct", "strict", "id", "0.0%,", "n", "12"]
