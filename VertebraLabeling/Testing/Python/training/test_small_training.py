"""Training of the level and the centroid network: what a sample depends on, exact resume, the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_training import centroid_trainer, level_trainer, spine_case
from training_cases import ball_case, write_case
from VertebraLabelingLib.commands.cli import main
from VertebraLabelingLib.core.anatomy import LEVELS
from VertebraLabelingLib.networks.centroid_network import CentroidNetwork
from VertebraLabelingLib.networks.detection_network import DetectionNetwork
from VertebraLabelingLib.networks.weights import write_model
from VertebraLabelingTraining.networks.detection_task import DetectionConfig
from VertebraLabelingTraining.networks.level_task import LevelConfig, LevelTrainer

TRAINERS = pytest.mark.parametrize("make", [level_trainer, centroid_trainer])


@TRAINERS
def test_a_sample_depends_on_seed_step_and_place_alone(make, tmp_path):
    trainer = make(tmp_path, batch=2)
    first = trainer.batch(3)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002 - it must not matter
    trainer.batch(0)
    for one, other in zip(first, make(tmp_path, batch=2).batch(3)):
        assert torch.equal(one, other)
    single = make(tmp_path, batch=1).batch(3)[0][0]
    size = min(single.shape[1], first[0].shape[2])  # of two samples the shorter is padded
    assert torch.equal(single[:, :size], first[0][0][:, :size])
    for other in (trainer.batch(2), make(tmp_path, batch=2, seed=1).batch(3)):
        assert other[0].shape != first[0].shape or not torch.equal(other[0], first[0])
    assert not torch.equal(first[0][0], first[0][1])


@TRAINERS
def test_a_resumed_run_equals_an_uninterrupted_one(make, tmp_path):
    whole = make(tmp_path / "whole")
    whole.run()
    make(tmp_path / "parts").run(until=2)
    second = make(tmp_path / "parts")
    assert second.resume() and second.step == 2
    second.run()
    for name in ("network", "average"):
        other = getattr(second, name).state_dict()
        for key, value in getattr(whole, name).state_dict().items():
            assert torch.equal(value, other[key]), (name, key)
    rows = [json.loads(line) for line in (tmp_path / "parts" / "history.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2, 3] and all(np.isfinite(row["loss"]) for row in rows)


def test_a_second_run_starts_from_the_averaged_weights_and_remembers_what_they_have_seen(tmp_path):
    first = centroid_trainer(tmp_path / "first")
    first.run(until=2)
    second = centroid_trainer(tmp_path / "second")
    second.cases = second.cases[:1]
    second.initialize(tmp_path / "first" / "checkpoint.pt")
    for name in ("network", "average"):
        for key, value in getattr(second, name).state_dict().items():
            assert torch.equal(value, first.average.state_dict()[key]), (name, key)
    second.run(until=1)
    saved = torch.load(tmp_path / "second" / "checkpoint.pt", weights_only=True)
    assert saved["step"] == 1
    assert saved["seen"] == sorted({case.name for case in first.cases})
    assert saved["start"]["file"] == "first/checkpoint.pt"
    third = centroid_trainer(tmp_path / "second")
    third.cases = third.cases[:1]
    assert third.resume() and third.start == saved["start"] and third.seen == saved["seen"]


def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path):
    assert not centroid_trainer(tmp_path).resume()


def test_cases_are_sorted_from_head_to_foot_and_small_ones_left_out(tmp_path):
    cases = [ball_case("balls"), spine_case(("L1", "L2"), name="two")]
    trainer = LevelTrainer(LevelConfig(), cases, tmp_path)
    (case,) = trainer.cases
    assert [LEVELS[k] for k in case.levels] == [f"T{n}" for n in range(4, 12)]
    assert (case.points[:-1, 0] > case.points[1:, 0]).all()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for name in ("one", "two", "one+two", "demo"):
        write_case(folder, ball_case(name, count=4))
    splits = {"folds": [{"ct": ["one"]}, {"ct": ["two"]}], "same_patient": {"one": ["one+two"]}, "demo": ["demo"]}
    (folder / "splits.json").write_text(json.dumps(splits))
    return folder


class TestCommand:
    @pytest.fixture(autouse=True)
    def config(self, tmp_path_factory):
        self.batch_of_one = tmp_path_factory.mktemp("config") / "config.json"
        self.batch_of_one.write_text('{"batch": 1}')

    def call(self, network, data, out, *more) -> int:
        words = ("train", "--network", network, "--config", self.batch_of_one, "--data", data, "--out", out, *more)
        return main([str(word) for word in words])

    @pytest.mark.parametrize(
        ("network", "fold", "cases"),
        [
            ("level", ("--fold", 1), ["one", "one+two"]),
            ("level", ("--fold", 0), ["two"]),
            ("centroid", ("--fold", 1), ["one"]),
            ("centroid", (), ["one", "two"]),
        ],
    )
    def test_it_trains_on_the_cases_that_it_may_see(self, data, tmp_path, network, fold, cases):
        splits = ("--splits", data / "splits.json", *fold)
        assert self.call(network, data, tmp_path, "--steps", 1, "--seed", 7, *splits) == 0
        saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
        assert (saved["cases"], saved["step"], saved["config"]["seed"]) == (cases, 1, 7)
        assert saved["kind"] == {"level": "LevelConfig", "centroid": "CentroidConfig"}[network]

    def test_a_run_is_continued_only_when_told_to(self, data, tmp_path, capsys):
        assert self.call("centroid", data, tmp_path, "--steps", 1) == 0
        before = (tmp_path / "checkpoint.pt").read_bytes()
        assert self.call("centroid", data, tmp_path, "--steps", 2) == 1
        assert "already holds a run" in capsys.readouterr().err
        assert (tmp_path / "checkpoint.pt").read_bytes() == before
        assert self.call("centroid", data, tmp_path, "--steps", 2, "--resume") == 0
        assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 2

    def test_it_starts_from_an_earlier_run_of_the_same_network(self, data, tmp_path, capsys):
        assert self.call("centroid", data, tmp_path / "first", "--steps", 1) == 0
        init = ("--init", tmp_path / "first" / "checkpoint.pt")
        assert self.call("centroid", data, tmp_path / "next", "--steps", 1, "--learning-rate", 1e-4, *init) == 0
        saved = torch.load(tmp_path / "next" / "checkpoint.pt", weights_only=True)
        assert saved["config"]["learning_rate"] == 1e-4 and "one+two" not in saved["seen"] and "demo" in saved["seen"]
        capsys.readouterr()
        held_out = ("--splits", data / "splits.json", "--fold", 0)
        assert self.call("centroid", data, tmp_path / "fold", "--steps", 1, *init, *held_out) == 1
        assert "which this run leaves out" in capsys.readouterr().err
        assert self.call("level", data, tmp_path / "other", "--steps", 1, *init) == 1
        assert "holds another network" in capsys.readouterr().err
        (tmp_path / "damaged.pt").write_bytes(b"no checkpoint")
        assert self.call("centroid", data, tmp_path / "other", "--steps", 1, "--init", tmp_path / "damaged.pt") == 1
        assert "is no checkpoint" in capsys.readouterr().err
        assert not (tmp_path / "fold").exists() and not (tmp_path / "other").exists()

    def test_it_starts_from_a_models_part(self, data, tmp_path, capsys):
        torch.manual_seed(3)
        first, part = DetectionNetwork((4, 4, 4, 4, 4)), CentroidNetwork()
        card = {"cases": ["one", "older/case"], "steps": 1}
        write_model(tmp_path / "m.pt", first.state_dict(), (4, 4, 4, 4, 4), "0", card, {"placing": part.state_dict()})
        init = ("--init", tmp_path / "m.pt", "--steps", 1, "--learning-rate", 1e-9)
        assert self.call("centroid", data, tmp_path / "out", *init) == 0
        saved = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)
        assert saved["seen"] == ["older/case", "one"] and saved["start"]["file"].endswith("/m.pt")
        for key, value in part.state_dict().items():
            if "running" not in key and "num_batches" not in key:
                np.testing.assert_allclose(saved["average"][key], value, atol=2e-3)
        capsys.readouterr()
        assert self.call("level", data, tmp_path / "other", *init) == 1
        assert "lacks the network to train" in capsys.readouterr().err
        other = {"placing": CentroidNetwork((8, 16)).state_dict()}
        write_model(tmp_path / "m.pt", first.state_dict(), (4, 4, 4, 4, 4), "0", card, other)
        assert self.call("centroid", data, tmp_path / "other", *init) == 1
        assert "does not fit the network of this run" in capsys.readouterr().err
        (tmp_path / "m.pt").write_bytes(b"swapped")
        assert self.call("centroid", data, tmp_path / "other", *init) == 1
        assert "SHA-256" in capsys.readouterr().err

    def test_the_other_networks_are_trained_on_the_cpu_alone(self, data, tmp_path, capsys):
        assert self.call("level", data, tmp_path / "run", "--device", "cuda") == 1
        assert "trains on the CPU alone" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("more", "message"),
        [(("--fold", 0), "--fold needs --splits"), (("--fold", 5, "--splits", "splits.json"), "Fold 5 is not in")],
    )
    def test_a_fold_that_cannot_be_left_out_is_refused(self, data, tmp_path, capsys, monkeypatch, more, message):
        monkeypatch.chdir(data)
        assert self.call("level", data, tmp_path / "run", "--steps", 1, *more) == 1
        assert message in capsys.readouterr().err
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("name", "kind"), [("detection", DetectionConfig), ("level", LevelConfig)])
def test_the_settings_of_the_recipe_can_be_read(name, kind):
    config = kind.read(Path(__file__).resolve().parents[4] / "configs" / f"{name}.json")
    assert config.bfloat16 and config != kind()


def test_bfloat16_changes_what_is_learned_by_little(tmp_path):
    """The loss of the first step, of the same weights and the same samples."""
    exact, fast = (level_trainer(tmp_path / str(on), bfloat16=on).train_step()["loss"] for on in (False, True))
    assert exact == pytest.approx(fast, rel=0.02) and exact != fast
