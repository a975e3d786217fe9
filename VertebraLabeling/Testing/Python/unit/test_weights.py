"""Weights: hash before loading, no code in the file, clear errors."""

from __future__ import annotations

import json
import pickle

import pytest
import torch
from VertebraLabelingLib.errors import WeightsError
from VertebraLabelingLib.network import VertebraNet
from VertebraLabelingLib.weights import default_weights, load_model, load_state, read_card, sha256_of, write_model

WIDTHS = (4, 8, 8, 8, 8)


@pytest.fixture
def model_file(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "model.pt"
    write_model(path, VertebraNet(WIDTHS).state_dict(), WIDTHS, "test", {"steps": 0})
    return path


def test_a_model_survives_the_round_trip_in_half_precision(model_file):
    torch.manual_seed(0)
    original = VertebraNet(WIDTHS).state_dict()
    for name, value in load_state(model_file).items():
        assert torch.allclose(value.float(), original[name].float(), atol=1e-3, rtol=1e-3), name
    assert load_model(model_file).sha256 == sha256_of(model_file)


def test_one_changed_byte_is_noticed_before_the_file_is_opened(model_file):
    data = bytearray(model_file.read_bytes())
    data[len(data) // 2] ^= 1
    model_file.write_bytes(data)
    with pytest.raises(WeightsError, match="SHA-256"):
        load_state(model_file)


def test_a_file_that_would_run_code_is_refused_even_with_a_right_hash(model_file):
    class Payload:
        def __reduce__(self):
            return print, ("code ran",)

    model_file.write_bytes(pickle.dumps(Payload()))
    card = json.loads(model_file.with_suffix(".json").read_text())
    model_file.with_suffix(".json").write_text(json.dumps({**card, "sha256": sha256_of(model_file)}))
    with pytest.raises(WeightsError, match="cannot be read"):
        load_state(model_file)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"format": 99}, "format 99"), ({"sha256": 5}, "damaged"), ({"widths": [8, 8, 8, 8, 8]}, "does not fit")],
)
def test_a_wrong_card_is_a_clear_error(model_file, change, message):
    card = json.loads(model_file.with_suffix(".json").read_text())
    model_file.with_suffix(".json").write_text(json.dumps({**card, **change}))
    with pytest.raises(WeightsError, match=message):
        load_model(model_file)


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(WeightsError, match="missing"):
        load_model(tmp_path / "none.pt")


def test_the_shipped_weights_match_their_card_and_are_small():
    weights = default_weights()
    card = read_card(weights)
    assert sha256_of(weights) == card["sha256"]
    assert weights.stat().st_size < 12 * 2**20
    assert not any("lidc" in name for name in card["training"]["cases"])  # the demo patient
