"""Comparing level networks: each has all of the say, and none is scored on a scan that it has seen."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from scored_crops import scored
from training_cases import ball_case, write_case
from VertebraLabelingLib.core.parameters import SHIPPED
from VertebraLabelingLib.networks.weights import default_weights, load_parts
from VertebraLabelingLib.pipeline import stages
from VertebraLabelingLib.preprocessing.pose import PatientPose
from VertebraLabelingTraining.evaluation import level_network_scores
from VertebraLabelingTraining.networks.level_task import LevelConfig, LevelTrainer


@pytest.fixture
def run(tmp_path):
    """An untrained run of the level network that has the case ``a``."""
    trainer = LevelTrainer(LevelConfig(), [ball_case("a")], tmp_path / "run")
    trainer.out.mkdir()
    trainer.save()
    return trainer.out


def test_the_level_network_is_that_of_the_run_and_the_others_are_the_model_s(run):
    labeler = level_network_scores.level_labeler(default_weights(), run, ["b"], 0)
    own, shipped = load_parts(labeler.weights), load_parts(default_weights())
    assert not torch.equal(own["counting"]["local.weight"], shipped["counting"]["local.weight"])
    assert all(torch.equal(own["placing"][name], tensor) for name, tensor in shipped["placing"].items())


def test_the_level_network_has_all_of_the_say_and_nothing_else_differs_from_the_product(run):
    numbers = level_network_scores.level_labeler(default_weights(), run, ["b"], 0).model.parameters
    assert numbers.levels.weight == 1.0 and numbers != SHIPPED
    assert replace(numbers, levels=SHIPPED.levels) == SHIPPED
    assert replace(numbers.levels, weight=SHIPPED.levels.weight) == SHIPPED.levels


def test_a_level_network_is_not_scored_on_what_it_has_seen(run):
    with pytest.raises(ValueError, match="trained on a"):
        level_network_scores.level_labeler(default_weights(), run, ["a", "b"], 0)


def test_the_table_says_how_many_are_right_and_names_the_wrong_ones():
    items = [
        scored("ct/a", landmarks=("dens",), count=4),
        scored("ct/b", correct=False, count=4),
        scored("openkbp/c", correct=False, warned=True, count=4),
    ]
    text = "\n".join(level_network_scores.table("crops", items))
    assert "| crops | 1 of 3 |" in text and "| crops, with a landmark | 1 of 1 | 100.0 % |" in text
    assert "| crops, ct | 1 of 2 |" in text
    assert text.endswith("wrong: ct/b (not flagged), openkbp/c")


def test_the_command_labels_the_scans_and_crops_of_the_folds_that_have_a_run(run, tmp_path, monkeypatch, capsys):
    """Balls are no vertebrae, so each is missed; what counts is that fold 1, and no other, is labeled and scored."""
    monkeypatch.setattr(stages, "find_pose", lambda *given: PatientPose())  # balls are sure in no pose
    data, out = tmp_path / "data", tmp_path / "out"
    for name in ("a", "b"):
        write_case(data, ball_case(name, count=6))
    folds = {"folds": [{"ct": ["a"]}, {"ct": ["b"]}], "same_patient": {}, "demo": []}
    (data / "splits.json").write_text(json.dumps(folds))
    common = ["--data", str(data), "--model", str(default_weights()), "--count", "4", "--out", str(out)]
    assert level_network_scores.main([*common, "--runs", "-", str(run)]) == 0
    assert {crop["patient"] for crop in json.loads((out / "crops" / "crops.json").read_text()).values()} == {"b"}
    told = capsys.readouterr().out
    assert told.endswith("| scans | 0 of 1 | 0.0 % |\nwrong: b\n")
    assert (out / "levels.md").read_text() == told[told.index("| set |") :]
    assert level_network_scores.main([*common, "--runs", str(run)]) == 1
    assert "was trained on a" in capsys.readouterr().err
