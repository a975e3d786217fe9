"""The same data, settings and seed make the same model file; its card says which data that was."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_training import centroid_trainer, level_trainer
from training_cases import TINY, ball_case
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.networks.weights import read_card
from VertebraLabelingTraining.data.provenance import digest_of
from VertebraLabelingTraining.models.export import export
from VertebraLabelingTraining.networks.detection_task import DetectionTrainer
from VertebraLabelingTraining.networks.trainer import CHECKPOINT

STEPS = 2


def _trainers(run, **detection):
    return {
        "": DetectionTrainer(replace(TINY, **detection), [ball_case()], run),
        "counting": level_trainer(run / "counting"),
        "placing": centroid_trainer(run / "placing"),
    }


def _model(run, **detection):
    trainers = _trainers(run, **detection)
    for trainer in trainers.values():
        trainer.run(until=STEPS)
    weights = run / "model.pt"
    export(run / CHECKPOINT, weights, "9", parts={part: run / part / CHECKPOINT for part in trainers if part})
    return weights


def test_a_recipe_run_twice_makes_the_same_file_and_card(tmp_path):
    first = _model(tmp_path / "first")
    torch.manual_seed(5)  # what came before in the process plays no part
    second = _model(tmp_path / "second")
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".json").read_bytes() == second.with_suffix(".json").read_bytes()
    assert _model(tmp_path / "other", seed=1).read_bytes() != first.read_bytes()


def test_the_card_names_the_data_of_each_network(tmp_path):
    training = read_card(_model(tmp_path))["training"]
    trainers = _trainers(tmp_path / "again")
    assert training["data"] == digest_of(trainers[""].cases)
    for part in ("counting", "placing"):
        assert training["parts"][part]["data"] == digest_of(trainers[part].cases)


@pytest.mark.parametrize("change", ["name", "voxel", "point", "level", "cut", "spacing"])
def test_the_digest_tells_every_change_of_the_data(change):
    case, changed = ball_case(), ball_case()
    if change == "name":
        changed.name = "another"
    else:
        tensors = {"voxel": "image", "point": "points", "level": "levels"}
        tensor = getattr(changed, tensors.get(change, change))
        tensor.view(-1)[0] = ~tensor.view(-1)[0] if change == "cut" else tensor.view(-1)[0] + 1
    assert digest_of([case]) == digest_of([ball_case()]) != digest_of([changed])
    assert digest_of([case, changed]) != digest_of([changed, case])


def test_a_run_does_not_go_on_with_changed_data_of_the_same_name(tmp_path):
    trainer = DetectionTrainer(TINY, [ball_case()], tmp_path)
    trainer.run(until=1)
    changed = ball_case()
    changed.points[0, 0] += 3
    with pytest.raises(InputError, match="other cases"):
        DetectionTrainer(TINY, [changed], tmp_path).resume()
