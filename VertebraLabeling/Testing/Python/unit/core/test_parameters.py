"""One home for every chosen number: what each is, and that a model's card holds them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from VertebraLabelingLib.core.parameters import SHIPPED, ChainParameters, PipelineParameters, chosen_numbers
from VertebraLabelingLib.networks.weights import default_weights, read_card

MOST = 80


def test_every_number_has_a_unit_and_says_what_it_was_chosen_on():
    rows = list(chosen_numbers())
    assert all(unit and chosen_on for *_, unit, chosen_on in rows)
    assert sum(len(value) if isinstance(value, tuple) else 1 for _, _, value, _, _ in rows) <= MOST


def test_the_card_of_the_shipped_model_holds_the_numbers():
    card = read_card(default_weights())
    assert card["parameters"] == SHIPPED.to_json()


def test_numbers_survive_json():
    other = replace(SHIPPED, chain=replace(SHIPPED.chain, confusion=None, missed=5.0))
    assert PipelineParameters.from_json(json.loads(json.dumps(other.to_json()))) == other
    assert PipelineParameters.from_json({"chain": {"missed": 5}}).chain == ChainParameters(missed=5)
    assert PipelineParameters.from_json({}) == SHIPPED


@pytest.mark.parametrize(
    "damaged",
    [
        None,
        [],
        {"chains": {}},
        {"chain": []},
        {"chain": {"unknown": 1.0}},
        {"chain": {"missed": "6"}},
        {"chain": {"missed": None}},
        {"chain": {"missed": True}},
        {"chain": {"missed": [6.0]}},
        {"chain": {"missed": float("nan")}},
        {"chain": {"missed": 10**400}},
        {"chain": {"temperature": 0}},
        {"chain": {"spacing_sd": 1e-200}},
        {"chain": {"spacing_sd": 1e200}},
        {"chain": {"appearance": -2.0}},
        {"chain": {"confusion": [0, 0, 0]}},
        {"chain": {"calibration": [1e300, 0, 0, 0, 0]}},
        {"levels": {"weight": 5.0}},
        {"levels": {"temperature": -1.0}},
        {"detection": {"threshold": 1.5}},
        {"centroids": {"lowest_hu": 300.0}},
        {"chain": {"confusion": [1.0, 2.0]}},
        {"chain": {"confusion": 1.0}},
        {"chain": {"calibration": [1.0, 2.0, 3.0, 4.0, "5"]}},
    ],
)
def test_a_damaged_card_is_refused(damaged):
    with pytest.raises(ValueError):
        PipelineParameters.from_json(damaged)
