"""The page on how a model was made, from the folders of its training runs."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace

import pytest
import torch
from training_cases import TINY, ball_case
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.networks.weights import load_parts, load_state, read_card, sha256_of
from VertebraLabelingTraining.data.provenance import start_of
from VertebraLabelingTraining.models import further_page, model_page
from VertebraLabelingTraining.models.average import average_runs
from VertebraLabelingTraining.models.export import export, export_further
from VertebraLabelingTraining.models.model_page import same_weights, write_page
from VertebraLabelingTraining.networks.centroid_task import PlacingConfig, PlacingTrainer
from VertebraLabelingTraining.networks.loop import Trainer


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


@pytest.fixture
def further(runs, tmp_path):
    """A model, its page, and its placing network trained a step further."""
    base, older = tmp_path / "base.pt", tmp_path / "pages"
    config, cases = PlacingConfig(steps=1, batch=1), [ball_case("ct/a")]
    PlacingTrainer(config, cases, tmp_path / "early").run()
    parts = {"placing": tmp_path / "early" / "checkpoint.pt"}
    export(runs / "second" / "checkpoint.pt", base, "7", parts=parts)
    write_page([runs / "second"], base, older, parts={"placing": [tmp_path / "early"]})
    late = PlacingTrainer(replace(config, seed=3), [*cases, ball_case("ct/b")], tmp_path / "late")
    late.initialize(base)
    late.run()
    export_further(base, tmp_path / "model.pt", "8", {"placing": tmp_path / "late" / "checkpoint.pt"})
    return tmp_path


def test_a_model_with_a_part_trained_further_keeps_the_rest(further):
    before, after = read_card(further / "base.pt")["training"], read_card(further / "model.pt")["training"]
    assert after["cases"] == sorted({*before["cases"], "ct/a", "ct/b"}) and after["config"] == before["config"]
    assert after["parts"]["placing"]["config"]["seed"] == 3
    assert after["parts"]["placing"]["start"]["sha256"] == sha256_of(further / "base.pt")
    assert same_weights(load_state(further / "model.pt"), load_state(further / "base.pt"))
    old, new = (load_parts(further / name)["placing"] for name in ("base.pt", "model.pt"))
    assert not same_weights(new, old)


def test_its_page_is_the_older_one_and_the_run(further, monkeypatch, capsys):
    page = further / "pages" / "7.md"
    call = ["further_page", "--placing", further / "late", "--base", further / "base.pt", "--page", page]
    call += ["--weights", further / "model.pt", "--out", further / "pages"]
    monkeypatch.setattr(sys, "argv", [str(part) for part in call])
    assert further_page.main() == 0
    text = (further / "pages" / "8.md").read_text()
    assert capsys.readouterr().out.strip() == str(further / "pages" / "8.md")
    assert text.startswith("# model, version 8\n") and sha256_of(further / "model.pt") in text
    assert text.count("\n## ") == page.read_text().count("\n## ") + 1 == 3
    assert "## The placing network, stage 2" in text and "](7-" not in text
    for picture in re.findall(r"\]\((8-[^)]*)\)", text):
        assert (further / "pages" / picture).read_bytes()[:4] == b"\x89PNG"
    assert str(further) not in text


def test_the_page_of_a_part_trained_anew_tells_of_no_older_run(further):
    new = PlacingTrainer(PlacingConfig(steps=1, batch=1, seed=9), [ball_case("ct/a")], further / "new")
    new.run()
    export_further(further / "base.pt", further / "model.pt", "9", {"placing": further / "new" / "checkpoint.pt"})
    page = further_page.write_further_page(
        *(further / "base.pt", further / "pages" / "7.md", further / "model.pt", {"placing": [further / "new"]}),
        further / "pages",
    )
    text = page.read_text()
    assert text.count("## The placing network") == 1 and "| seed | 9 |" in text and "trained anew" in text
    assert "## Stage 1" in text
    assert {picture.name for picture in page.parent.glob("9-*.png")} == set(re.findall(r"\]\((9-[^)]*)\)", text))


def test_a_page_that_would_tell_of_other_weights_is_refused(further, monkeypatch, capsys):
    def refused(run, weights, message):
        call = ["x", "--placing", run, "--base", further / "base.pt", "--page", further / "pages" / "7.md"]
        call += ["--weights", weights, "--out", further / "pages"]
        monkeypatch.setattr(sys, "argv", [str(part) for part in call])
        assert further_page.main() == 1
        assert message in capsys.readouterr().err

    other = PlacingTrainer(PlacingConfig(steps=1, batch=1), [ball_case("ct/a")], further / "other")
    other.initialize(further / "model.pt")
    other.run()
    refused(further / "other", further / "model.pt", "did not start from base.pt")
    refused(further / "early", further / "model.pt", "model.pt does not hold the weights of early")
    refused(further / "late", further / "base.pt", "base.pt does not hold the weights of late")
    assert not (further / "pages" / "8.md").exists()


def test_the_page_of_a_part_trained_twice_more_tells_of_both_runs_in_their_order(further):
    last = PlacingTrainer(PlacingConfig(steps=1, batch=1, seed=11), [ball_case("ct/a")], further / "last")
    last.initialize(further / "late" / "checkpoint.pt")
    last.run()
    export_further(further / "base.pt", further / "model.pt", "8", {"placing": further / "last" / "checkpoint.pt"})
    given = further / "base.pt", further / "pages" / "7.md", further / "model.pt"
    runs = [further / "late", further / "last"]
    with pytest.raises(InputError, match=r"last did not start from base\.pt"):
        further_page.write_further_page(*given, {"placing": [further / "last"]}, further / "pages")
    with pytest.raises(InputError, match=r"differs from base\.pt in other parts"):
        further_page.write_further_page(*given, {}, further / "pages")
    text = further_page.write_further_page(*given, {"placing": runs}, further / "pages").read_text()
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert titles[-2:] == ["The placing network, stage 2", "The placing network, stage 3"]
    assert text.index("| seed | 3 |") < text.index("| seed | 11 |")
    assert {picture.name for picture in (further / "pages").glob("8-*.png")} == set(
        re.findall(r"\]\((8-[^)]*)\)", text)
    )
