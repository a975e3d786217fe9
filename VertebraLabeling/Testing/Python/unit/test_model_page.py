"""The page on how a model was made, from the folders of its training runs."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest
import torch
from training_cases import TINY, ball_case
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.training import model_page
from VertebraLabelingLib.training.average import average_runs
from VertebraLabelingLib.training.export import export
from VertebraLabelingLib.training.loop import Trainer
from VertebraLabelingLib.training.placing_loop import PlacingConfig, PlacingTrainer
from VertebraLabelingLib.training.provenance import start_of
from VertebraLabelingLib.weights import sha256_of


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two stages of two steps, the second started from the first, and the exported model."""
    folder = tmp_path_factory.mktemp("runs")
    first = Trainer(replace(TINY, steps=2), [ball_case("ct/a"), ball_case("synthetic_b")], folder / "first")
    first.run()
    second = Trainer(replace(TINY, steps=2, seed=7, learning_rate=1e-3), [ball_case("ct/a")], folder / "second")
    second.initialize(first.average.state_dict(), start_of(folder / "first" / "checkpoint.pt"))
    second.run()
    export(folder / "second" / "checkpoint.pt", folder / "model.pt", "3.2.1")
    return folder


def test_the_page_holds_settings_seed_commit_cases_curves_and_hash(runs, tmp_path, monkeypatch, capsys):
    call = ["model_page", runs / "first", runs / "second", "--weights", runs / "model.pt", "--out", tmp_path]
    monkeypatch.setattr(sys, "argv", [str(part) for part in call])
    assert model_page.main() == 0
    page = tmp_path / "3.2.1.md"
    assert capsys.readouterr().out.strip() == str(page)
    text = page.read_text()
    assert sha256_of(runs / "model.pt") in text
    assert text.count("## Stage") == 2 and "| seed | 7 |" in text and "| steps | 2 of 2 |" in text
    assert "| cases | 2: ct 1, synthetic 1 |" in text
    assert f"`first/checkpoint.pt`, SHA-256 `{sha256_of(runs / 'first' / 'checkpoint.pt')}`" in text
    assert str(runs) not in text  # no private paths
    changed = json.loads(text.split("```json\n")[3].split("```")[0])
    assert changed["learning_rate"] == 1e-3 and "weight_decay" not in changed
    for number in (1, 2):
        picture = f"3.2.1-stage-{number}.png"
        assert f"]({picture})" in text and (tmp_path / picture).read_bytes()[:4] == b"\x89PNG"
    commit = torch.load(runs / "second" / "checkpoint.pt", weights_only=True)["commit"]
    assert (f"`{commit}`" if commit else "not recorded") in text


def test_the_stages_of_a_small_network_are_told_and_the_last_must_be_that_of_the_file(runs, tmp_path):
    config, stages = PlacingConfig(steps=1, batch=2), [tmp_path / "early", tmp_path / "late"]
    PlacingTrainer(config, [ball_case("ct/a")], stages[0]).run()
    late = PlacingTrainer(config, [ball_case("ct/a"), ball_case("ct/b")], stages[1])
    late.initialize(stages[0] / "checkpoint.pt")
    late.run()
    parts = {"placing": stages[1] / "checkpoint.pt"}
    export(runs / "second" / "checkpoint.pt", tmp_path / "model.pt", "6", parts=parts)
    firsts = [runs / "first", runs / "second"]
    call = ["model_page", *firsts, "--weights", tmp_path / "model.pt", "--out", tmp_path / "pages"]
    sys_argv = [str(part) for part in (*call, "--placing", *stages)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", sys_argv)
        assert model_page.main() == 0
    text = (tmp_path / "pages" / "6.md").read_text()
    assert "## The placing network, stage 1" in text and "## The placing network, stage 2" in text
    assert f"`early/checkpoint.pt`, SHA-256 `{sha256_of(stages[0] / 'checkpoint.pt')}`" in text
    assert (tmp_path / "pages" / "6-placing-2.png").read_bytes()[:4] == b"\x89PNG"
    card = json.loads((tmp_path / "model.json").read_text())["training"]
    assert card["cases"] == ["ct/a", "ct/b"] and card["parts"]["placing"]["start"]["file"] == "early/checkpoint.pt"
    with pytest.raises(InputError, match="the placing run do not agree"):
        model_page.write_page(firsts, tmp_path / "model.pt", tmp_path / "pages", parts={"placing": stages[::-1]})


def test_the_mean_of_stages_is_checked_as_such(runs, tmp_path):
    average_runs([runs / "first", runs / "second"], tmp_path / "mean")
    export(tmp_path / "mean" / "checkpoint.pt", tmp_path / "mean.pt", "4")
    stages = [runs / "first", runs / "second"]
    text = model_page.write_page(stages, tmp_path / "mean.pt", tmp_path / "pages", averaged=2).read_text()
    assert "mean of the last 2 stages' weights" in text
    with pytest.raises(InputError, match="does not hold the weights"):
        model_page.write_page(stages, tmp_path / "mean.pt", tmp_path / "pages")


def test_weights_of_another_run_are_refused(runs, tmp_path, monkeypatch, capsys):
    call = ["model_page", runs / "second", runs / "first", "--weights", runs / "model.pt", "--out", tmp_path / "pages"]
    monkeypatch.setattr(sys, "argv", [str(part) for part in call])
    assert model_page.main() == 1
    assert "does not hold the weights of first" in capsys.readouterr().err
    assert not (tmp_path / "pages").exists()


def test_a_folder_that_is_no_run_gets_a_sentence(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["model_page", str(tmp_path), "--weights", str(runs / "model.pt")])
    assert model_page.main() == 1
    assert "name the --out folder of a training" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("clock", "seconds"), [([], 0), ([1, 2, 5], 5), ([1, 2, 5, 1, 3], 8), ([4], 4), ([2, 4, 1, 2, 1], 7)]
)
def test_the_times_of_a_resumed_run_are_added(clock, seconds):
    assert model_page.computing_seconds(clock) == seconds
