"""Training: targets, augmentation that moves the truth along, exact resume, learning."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_cases import TINY, ball_case, write_case
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.networks.detection_network import BACKGROUND
from VertebraLabelingTraining.augmentation.crops import CropSettings, random_crop
from VertebraLabelingTraining.data.cases import demo_names, find_cases, fold_names
from VertebraLabelingTraining.data.provenance import code_commit, start_of
from VertebraLabelingTraining.networks.detection_task import DetectionConfig, DetectionTrainer
from VertebraLabelingTraining.networks.targets import IGNORE, make_targets
from VertebraLabelingTraining.networks.trainer import case_probabilities, learning_rate


@pytest.mark.parametrize("seed", range(6))
def test_the_truth_moves_with_the_image_through_every_deformation(seed):
    settings = CropSettings(thick_slices=0, narrow_field=0, cut_field=0.5, anywhere=0, elastic=5)
    crop = random_crop(ball_case(), (64, 40, 40), np.random.default_rng(seed), settings)
    inside = crop.points[crop.margin > 12]
    assert len(inside) >= 1
    for point in inside:
        low = (point - 3).round().long().clamp(min=0)
        part = crop.image[low[0] : low[0] + 7, low[1] : low[1] + 7, low[2] : low[2] + 7]
        weight = (part - 400).clamp(min=0)
        axes = [torch.arange(n, dtype=torch.float32) for n in part.shape]
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
        mass = (weight[..., None] * grid).sum((0, 1, 2)) / weight.sum() + low
        assert (mass - point).norm() * 4 < 3.0  # mm


@pytest.mark.parametrize("seed", [1, 6, 7, 10])
def test_vertebrae_outside_the_field_of_view_have_a_negative_margin(seed):
    settings = replace(CropSettings(), cut_field=1.0, anywhere=0.0)
    crop = random_crop(ball_case(), (80, 40, 40), np.random.default_rng(seed), settings)
    index, size = crop.points.round().long(), torch.tensor(crop.image.shape)
    held = ((index >= 0) & (index < size)).all(1)
    blanked, seen = index[held & (crop.margin < -6)], index[held & (crop.margin > 8)]
    assert len(blanked) >= 1 and len(seen) >= 2
    assert all(crop.image[tuple(point)] == -1000 for point in blanked)
    assert all(crop.image[tuple(point)] > 600 for point in seen)


def test_targets_say_level_presence_and_background():
    shape = (32, 16, 16)
    points = torch.tensor([[8.0, 8.0, 8.0], [16.0, 8.0, 8.0], [31.4, 8.0, 8.0], [60.0, 8.0, 8.0]])
    levels = torch.tensor([LEVEL_INDEX[name] for name in ("L2", "L1", "T12", "T11")])
    margin = torch.tensor([28.0, 28.0, 0.4, -100.0])
    targets = make_targets(shape, points, levels, margin)
    assert targets.center.shape == shape and targets.center[8, 8, 8] == 1
    assert targets.level[4, 4, 4] == LEVEL_INDEX["L2"] and targets.level[0, 0, 0] == BACKGROUND
    assert (targets.level == IGNORE).any()
    assert targets.slices[4] == LEVEL_INDEX["L2"]
    expected = {"L2": 1.0, "L1": 1.0, "T12": float(IGNORE), "T11": 0.0, "C3": 0.0}
    assert {name: float(targets.presence[LEVEL_INDEX[name]]) for name in expected} == expected
    assert [LEVELS[k] for k in targets.levels] == ["L2", "L1"]
    assert targets.center_weight[31, 8, 8] == 0  # a body cut by the edge is neither center nor background


def test_a_crop_without_vertebrae_trains_as_background():
    targets = make_targets((16, 16, 16), torch.zeros((0, 3)), torch.zeros(0, dtype=torch.long), torch.zeros(0))
    assert (targets.level == BACKGROUND).all() and targets.center.sum() == 0 and (targets.presence == 0).all()


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    cases = [ball_case("a"), ball_case("b", "L1", 5)]
    whole = DetectionTrainer(TINY, cases, tmp_path / "whole")
    whole.run()
    DetectionTrainer(TINY, cases, tmp_path / "parts").run(until=3)
    second = DetectionTrainer(TINY, cases, tmp_path / "parts")
    assert second.resume() and second.step == 3
    second.run()
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name
    rows = [json.loads(line) for line in (tmp_path / "parts" / "history.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(6))


def test_the_loss_falls(tmp_path):
    config = replace(TINY, steps=30, learning_rate=5e-3)
    trainer = DetectionTrainer(config, [ball_case()], tmp_path)
    losses = [trainer.train_step() for _ in range(30)]
    for term in ("center", "level"):
        assert np.mean([row[term] for row in losses[-5:]]) < 0.8 * np.mean([row[term] for row in losses[:5]]), term


def test_shares_are_spread_over_the_cases_that_match_first():
    names = ["ct/a", "ct/b", "openkbp/1", "other/x"]
    assert case_probabilities(names, {"openkbp/*": 0.5, "ct/*": 0.5}).tolist() == [0.25, 0.25, 0.5, 0.0]
    with pytest.raises(ValueError, match="no case matches"):
        case_probabilities(names, {"nothing/*": 1.0})


def test_the_learning_rate_rises_and_falls():
    config = replace(TINY, steps=100)
    rates = [learning_rate(step, config) for step in range(100)]
    assert max(rates) == pytest.approx(config.learning_rate, rel=0.01)
    assert rates[0] < rates[5] < rates[8] and rates[-1] < 0.05 * config.learning_rate


def test_an_unknown_setting_is_named(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"stepz": 5}')
    with pytest.raises(InputError, match="stepz"):
        DetectionConfig.read(path)


def test_a_configuration_survives_json():
    assert DetectionConfig.from_dict(json.loads(json.dumps(TINY.to_dict()))) == TINY


def test_the_held_out_fold_and_the_demo_patient_are_never_found(shared_data):
    splits = shared_data / "splits.json"
    everything = set(find_cases([shared_data]))
    held_out = fold_names(splits, 1)
    assert "ct/acrin_flt_A_headneck" in held_out and set(held_out) & everything
    left = set(find_cases([shared_data], exclude=held_out + demo_names(splits)))
    assert not left & set(held_out) and not any("lidc_idri" in name for name in left)
    assert len(left) > 40


def test_the_command_trains_resumes_and_draws_the_curves(tmp_path, capsys):
    """From files to a checkpoint, through the command line, on a small CT written here."""
    from VertebraLabelingLib.commands.cli import main

    write_case(tmp_path, ball_case())
    config = tmp_path / "config.json"
    config.write_text(json.dumps(TINY.to_dict()))
    call = [
        "train",
        "--config",
        str(config),
        "--data",
        str(tmp_path),
        "--out",
        str(tmp_path / "run"),
        "--device",
        "cpu",
    ]
    assert main([*call, "--steps", "2"]) == 0
    assert main([*call, "--steps", "4"]) != 0  # would overwrite the run
    assert main([*call, "--steps", "4", "--resume"]) == 0
    assert "resumed at step 2" in capsys.readouterr().out
    assert (tmp_path / "run" / "curves.png").read_bytes()[:4] == b"\x89PNG"
    again = [*call[:-4], "--out", str(tmp_path / "tuned"), "--device", "cpu", "--steps", "1"]
    assert main([*again, "--init", str(tmp_path / "run" / "checkpoint.pt")]) == 0
    saved = torch.load(tmp_path / "tuned" / "checkpoint.pt", weights_only=True)
    assert saved["start"] == start_of(tmp_path / "run" / "checkpoint.pt")
    assert saved["commit"] == code_commit()


def test_the_commit_is_that_of_this_repository_and_nothing_outside_one():
    folder = Path(__file__).parent
    done = subprocess.run(["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True)
    now = code_commit.__wrapped__()  # not the answer from earlier in this process: a commit may have been made since
    assert now.rstrip("+") == (done.stdout.strip() if done.returncode == 0 else "")


def test_a_checkpoint_of_an_earlier_version_without_commit_is_resumed(tmp_path):
    trainer = DetectionTrainer(TINY, [ball_case()], tmp_path)
    tmp_path.mkdir(exist_ok=True)
    trainer.save()
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del saved["commit"], saved["start"], saved["kind"], saved["data"]
    torch.save(saved, tmp_path / "checkpoint.pt")
    assert DetectionTrainer(TINY, [ball_case()], tmp_path).resume()
