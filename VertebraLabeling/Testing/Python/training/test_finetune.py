"""Fine-tuning on one's own scans: the split, the scores before and after, what is kept and what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_cases import TINY, ball_case, write_case
from VertebraLabelingLib.commands.cli import main
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.networks.centroid_network import CentroidNetwork
from VertebraLabelingLib.networks.detection_network import DetectionNetwork
from VertebraLabelingLib.networks.level_network import LevelNetwork
from VertebraLabelingLib.networks.model_card import read_licenses
from VertebraLabelingLib.networks.weights import (
    default_weights,
    load_model,
    load_tensors,
    read_card,
    sha256_of,
    write_model,
)
from VertebraLabelingLib.pipeline import stages
from VertebraLabelingLib.preprocessing.pose import PatientPose
from VertebraLabelingTraining.data.cases import find_cases
from VertebraLabelingTraining.evaluation.validation import is_worse, table
from VertebraLabelingTraining.finetuning import finetune
from VertebraLabelingTraining.finetuning.finetune import HeldOut, split_cases
from VertebraLabelingTraining.networks import detection_task

CARD = (
    "| license of the weights | CC BY-SA 4.0 |\n\n| source | scans | license |\n|---|---|---|\n| A | 3 | CC BY 3.0 |\n"
)


@pytest.fixture
def scans(tmp_path):
    """Three corrected scans in a folder."""
    for name in ("one", "two", "three"):
        write_case(tmp_path / "scans", ball_case(name, count=4))
    return tmp_path / "scans"


@pytest.fixture
def parent(tmp_path):
    """A tiny model that has seen the case ``one``; it knows nothing."""
    torch.manual_seed(0)
    path = tmp_path / "models" / "tiny.pt"
    write_model(path, DetectionNetwork(TINY.widths).state_dict(), TINY.widths, "1.0", {"cases": ["one", "elsewhere"]})
    path.with_suffix(".md").write_text(CARD)
    return path


@pytest.fixture
def quick(monkeypatch):
    """Fine-tuning with crops and steps for a test; a network that knows nothing is sure in no pose: none is sought."""
    monkeypatch.setattr(stages, "find_pose", lambda *given: PatientPose())
    monkeypatch.setattr(detection_task, "FINE_TUNING", replace(TINY, freeze_norms_from=0.0))
    one_each = {name: replace(settings, batch=1) for name, settings in finetune.tuning_settings().items()}
    monkeypatch.setattr(finetune, "tuning_settings", lambda: one_each)
    monkeypatch.setattr(finetune, "plot_curves", lambda history, png: None)  # test_training.py looks at them


def tune(parent, scans, out, *more) -> int:
    call = ["train", "--init", parent, "--data", scans, "--out", out, "--device", "cpu", "--steps", 2, *more]
    return main([str(part) for part in call])


@pytest.fixture
def whole_parent(parent):
    """The tiny model with a level and a centroid network beside."""
    parts = {"counting": LevelNetwork().state_dict(), "placing": CentroidNetwork().state_dict()}
    write_model(parent, DetectionNetwork(TINY.widths).state_dict(), TINY.widths, "1.0", {"cases": ["one"]}, parts)
    return parent


def score(strict=0.9, mean=2.0, right=3, wrong=0, n=10):
    case = {"strict_id": strict, "n_vertebrae": n, "mean_mm": mean}
    pooled = {"strict_id": strict, "mean_mm": mean, "scans_all_correct": right, "n_scans": 4, "false_positives": wrong}
    return {**pooled, "cases": {"a": case}}


@pytest.mark.parametrize(
    ("after", "worse"),
    [
        (score(), False),
        (score(strict=0.95), False),
        (score(strict=0.95, mean=2.9), False),
        (score(mean=2.4), False),
        (score(mean=2.6), True),
        (score(strict=0.89, mean=1.0), True),
        (score(strict=0.95, right=2), True),
        (score(wrong=1), True),
        (score(strict=0.0, mean=None), True),
    ],
)
def test_a_score_has_fallen_when_naming_scans_or_distance_got_worse(after, worse):
    assert is_worse(score(), after) is worse


def test_the_table_shows_both_scores_and_every_case():
    text = table(score(strict=0.8), score(strict=1.0, mean=1.55, right=4))
    assert [line.split() for line in text.splitlines()[:4]] == [
        ["before", "after"],
        ["strict", "id", "80.0", "%", "100.0", "%"],
        ["mean", "error", "2.00", "mm", "1.55", "mm"],
        ["scans", "correct", "3", "of", "4", "4", "of", "4"],
    ]
    assert "a: 8 of 10 named correctly, 2.00 mm -> 10 of 10 named correctly, 1.55 mm" in text
    table(score(strict=None, mean=None, n=0), score(strict=None, mean=None, n=0))  # nothing to count


def test_the_split_is_by_case_seeded_and_nearly_stable_when_cases_are_added():
    found = {f"s{n}": Path(f"s{n}.nii.gz") for n in range(20)}
    training, validation = split_cases(found, [], HeldOut(0.25), seed=3)
    assert len(validation) == 5 and not set(training) & set(validation) and {*training, *validation} == set(found)
    assert split_cases(found, [], HeldOut(0.25), seed=3) == (training, validation)
    assert set(split_cases(found, [], HeldOut(0.25), seed=4)[1]) != set(validation)
    more = {**found, "new": Path("new.nii.gz")}
    assert len(set(split_cases(more, [], HeldOut(0.25), seed=3)[1]) & set(validation)) >= 4


def test_a_case_that_the_parent_has_seen_is_never_held_out():
    found = {name: Path(name) for name in ("a", "b", "c", "d")}
    for seed in range(8):
        assert list(split_cases(found, ["a", "b", "c"], HeldOut(0.5), seed)[1]) == ["d"]
    with pytest.raises(InputError, match="trained on b"):
        split_cases(found, ["b"], HeldOut(patterns=("b*",)), 0)
    with pytest.raises(InputError, match="0 of them new"):
        split_cases(found, list(found), HeldOut(), 0)


def test_patterns_keep_the_scans_of_a_patient_together():
    found = {name: Path(name) for name in ("p1/a", "p1/b", "p2/a")}
    training, validation = split_cases(found, [], HeldOut(patterns=("p1/*",)), 0)
    assert (list(training), list(validation)) == (["p2/a"], ["p1/a", "p1/b"])


def test_one_scan_is_too_few():
    with pytest.raises(InputError, match="at least one"):
        split_cases({"a": Path("a")}, [], HeldOut(), 0)


def test_a_model_that_is_no_worse_is_written_with_card_and_parent_and_can_label(parent, scans, tmp_path, quick, capsys):
    assert tune(parent, scans, tmp_path / "mine") == 0
    out = capsys.readouterr().out
    assert "validation: 1 of 3 cases, seed 0: " in out and "strict id" in out and "min left" in out
    model = tmp_path / "mine" / "tiny-mine.pt"
    card = read_card(model)
    assert card["version"] == "1.0+mine" and card["sha256"] == sha256_of(model)
    training = card["training"]
    assert training["parent"] == {"name": "tiny", "version": "1.0", "sha256": sha256_of(parent)}
    (held_out,) = training["validation"]["cases"]
    assert held_out in ("two", "three")  # "one" was seen by the parent
    assert set(training["cases"]) == {"one", "two", "three", "elsewhere"} - {held_out}
    assert load_model(model).version == "1.0+mine"
    text = model.with_suffix(".md").read_text()
    assert sha256_of(parent) in text and held_out in text and "Before and after" in text
    licenses = read_licenses(model)
    assert (
        licenses.weights == "CC BY-SA 4.0" and licenses.sources[0] == ("A", "CC BY 3.0") and len(licenses.sources) == 2
    )
    assert not list((tmp_path / "mine").glob("tmp*"))

    assert tune(parent, scans, tmp_path / "mine") == 1  # would overwrite the run
    assert tune(parent, scans, tmp_path / "mine", "--resume") == 0
    write_case(scans, ball_case("four", count=4))
    assert tune(parent, scans, tmp_path / "mine", "--resume") == 1
    assert "of other cases or seed: give another --out" in capsys.readouterr().err


def test_every_network_that_decides_is_trained(whole_parent, scans, tmp_path, quick, capsys):
    assert tune(whole_parent, scans, tmp_path / "mine") == 0
    before, after = (load_tensors(path) for path in (whole_parent, tmp_path / "mine" / "tiny-mine.pt"))
    for name in ("stem.0.weight", "counting.level.weight", "placing.heat.weight"):
        assert not torch.equal(before[name], after[name]), name
    told = read_card(tmp_path / "mine" / "tiny-mine.pt")["training"]["parts"]
    assert {name: part["step"] for name, part in told.items()} == {"counting": 2, "placing": 2}
    assert all(part["start"]["sha256"] == sha256_of(whole_parent) for part in told.values())
    assert tune(whole_parent, scans, tmp_path / "mine", "--resume") == 0


def test_a_network_that_these_cases_teach_nothing_stays_as_it_is(whole_parent, tmp_path, quick, capsys):
    for name in ("one", "two", "three"):
        write_case(tmp_path / "few", ball_case(name, count=2))
    assert tune(whole_parent, tmp_path / "few", tmp_path / "mine") == 0
    assert "the level network stays as it is: No case holds" in capsys.readouterr().out
    before, after = (load_tensors(path) for path in (whole_parent, tmp_path / "mine" / "tiny-mine.pt"))
    assert torch.equal(before["counting.level.weight"], after["counting.level.weight"])
    assert not torch.equal(before["placing.heat.weight"], after["placing.heat.weight"])


def test_a_worse_model_is_refused_with_one_sentence_and_leaves_no_model(
    parent, scans, tmp_path, quick, monkeypatch, capsys
):
    answers = iter([score(), score(strict=0.8)])
    monkeypatch.setattr(finetune, "score_model", lambda *arguments: next(answers))
    assert tune(parent, scans, tmp_path / "mine") == 1
    told = capsys.readouterr()
    assert told.err.startswith("error: The score on the 1 validation cases fell") and told.err.count("\n") == 1
    assert "90.0 %" in told.out and "80.0 %" in told.out
    left = {path.name for path in (tmp_path / "mine").iterdir()}
    assert left == {"checkpoint.pt", "config.json", "history.jsonl"}


def test_a_training_that_diverges_gets_a_sentence_and_leaves_no_model(parent, scans, tmp_path, quick, capsys):
    assert tune(parent, scans, tmp_path / "mine", "--learning-rate", "1e30") == 1
    assert capsys.readouterr().err == (
        "error: The training diverged, so no model was written: give a lower --learning-rate.\n"
    )
    assert [path.name for path in (tmp_path / "mine").glob("*.pt")] == ["checkpoint.pt"]


def test_a_checkpoint_may_be_the_start_and_other_files_get_a_sentence(parent, scans, tmp_path, quick, capsys):
    assert tune(parent, scans, tmp_path / "first") == 0
    assert tune(tmp_path / "first" / "checkpoint.pt", scans, tmp_path / "second") == 0
    assert "start: first, version step 2" in capsys.readouterr().out
    card = read_card(tmp_path / "second" / "first-second.pt")  # the cases of all ancestors are known to it
    assert {"one", "elsewhere"} <= set(card["training"]["cases"])
    (tmp_path / "note.pt").write_text("no weights")
    for start in (tmp_path / "note.pt", tmp_path / "none.pt"):
        assert tune(start, scans, tmp_path / "third") == 1
        assert capsys.readouterr().err.startswith("error: ")


def test_truth_that_cannot_be_read_is_named_and_left_out_before_the_split(scans, capsys):
    (scans / "two.mrk.json").write_text("{}")
    usable = finetune.usable_cases(find_cases([scans]))
    assert list(usable) == ["one", "three"]
    assert "left out: two: two.mrk.json is not a Slicer markups file" in capsys.readouterr().out


def test_files_that_nobody_corrected_are_counted(tmp_path):
    write_case(tmp_path, ball_case("confirmed"))
    write_case(tmp_path, ball_case("moved"), status="moved")
    write_case(tmp_path, ball_case("plain"), status="predicted")
    assert finetune._uncorrected(find_cases([tmp_path])).startswith("; 1 of them")
    (tmp_path / "plain.mrk.json").unlink()
    assert finetune._uncorrected(find_cases([tmp_path])) == ""


@pytest.mark.parametrize(("rate", "code"), [("1e-6", 0), pytest.param("0.1", 1, marks=pytest.mark.long)])
def test_the_real_network_is_kept_after_a_tiny_step_and_refused_after_a_wild_one(
    shared_data, tmp_path, quick, capsys, rate, code
):
    """Real scans, the shipped weights, the real solver: nothing is made up here but the learning rate."""
    for source, name in (("ct/ts_example_ct", "lumbar"), ("openkbp/pt_5", "neck")):
        for suffix in (".nii.gz", ".mrk.json"):
            (tmp_path / "scans").mkdir(exist_ok=True)
            shutil.copy(shared_data / f"{source}{suffix}", tmp_path / "scans" / f"{name}{suffix}")
    options = ("--hold-out", "lumbar", "--learning-rate", rate)
    assert tune("shipped", tmp_path / "scans", tmp_path / "run", *options) == code
    told = capsys.readouterr()
    models = [path.name for path in (tmp_path / "run").glob("*.pt") if path.name != "checkpoint.pt"]
    if code:
        assert "fell" in told.err and models == []
    else:
        assert models == [f"{default_weights().stem}-run.pt"]
        scores = read_card(tmp_path / "run" / models[0])["training"]["validation"]
        assert scores["before"]["strict_id"] > 0.5
        assert abs(scores["after"]["mean_mm"] - scores["before"]["mean_mm"]) < 0.1


def test_the_shipped_card_states_its_licences():
    licenses = read_licenses(default_weights())
    assert licenses.weights.startswith("CC BY-SA 4.0")
    assert len(licenses.sources) >= 3 and all(name and terms for name, terms in licenses.sources)


@pytest.mark.parametrize("text", [None, "# a card without tables\n", "| source | license |\n|---|---|\n| A | MIT |\n"])
def test_a_card_without_a_licence_says_nothing(tmp_path, text):
    if text is not None:
        (tmp_path / "m.md").write_text(text)
    assert read_licenses(tmp_path / "m.pt") is None
