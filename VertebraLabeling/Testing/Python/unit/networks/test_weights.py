"""Weights: hash before loading, no code in the file, clear errors."""

from __future__ import annotations

import json
import pickle

import pytest
import torch
from training_cases import TINY, ball_case
from VertebraLabelingLib.errors import WeightsError
from VertebraLabelingLib.networks.centroid_network import CELLS, CentroidNetwork
from VertebraLabelingLib.networks.detection_network import DetectionNetwork
from VertebraLabelingLib.networks.level_network import LevelNetwork
from VertebraLabelingLib.networks.weights import (
    default_weights,
    load_model,
    load_parts,
    load_state,
    read_card,
    sha256_of,
    write_model,
)
from VertebraLabelingTraining.evaluation.crossval import held_out_labeler
from VertebraLabelingTraining.models.export import export, parts_of
from VertebraLabelingTraining.networks.centroid_task import CentroidConfig, CentroidTrainer
from VertebraLabelingTraining.networks.detection_task import DetectionTrainer
from VertebraLabelingTraining.networks.level_task import LevelConfig, LevelTrainer
from VertebraLabelingTraining.networks.trainer import CHECKPOINT

WIDTHS = (4, 8, 8, 8, 8)


@pytest.fixture
def model_file(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "model.pt"
    write_model(path, DetectionNetwork(WIDTHS).state_dict(), WIDTHS, "test", {"steps": 0})
    return path


def test_a_model_survives_the_round_trip_in_half_precision(model_file):
    torch.manual_seed(0)
    original = DetectionNetwork(WIDTHS).state_dict()
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
    [
        ({"format": 3}, "format 3"),
        ({"format": 1}, "format 1"),
        ({"sha256": 5}, "damaged"),
        ({"widths": [8, 8, 8, 8, 8]}, "does not fit"),
    ],
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
    assert not any("lidc_idri_0001" in name for name in card["training"]["cases"])  # the demo patient


def random_parts() -> dict[str, torch.nn.Module]:
    """Both parts at random, their normalizations too."""
    torch.manual_seed(1)
    parts = {"counting": LevelNetwork().eval(), "placing": CentroidNetwork().eval()}
    for part in parts.values():
        for module in part.modules():
            if isinstance(module, torch.nn.BatchNorm3d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
    torch.nn.init.normal_(parts["placing"].phase.weight, std=0.1)
    return parts


def write_with(folder, parts):
    """A model file whose parts have the given tensors."""
    torch.manual_seed(0)
    path = folder / "parts.pt"
    write_model(path, DetectionNetwork(WIDTHS).state_dict(), WIDTHS, "test", {"steps": 0}, parts)
    return path


class TestParts:
    def test_parts_survive_the_round_trip_in_half_precision(self, tmp_path, model_file):
        parts = {name: part.state_dict() for name, part in random_parts().items()}
        path = write_with(tmp_path, parts)
        loaded = load_parts(path)
        assert set(loaded) == {"counting", "placing"}
        for name, tensors in parts.items():
            assert set(loaded[name]) == set(tensors)
            for key, value in tensors.items():
                torch.testing.assert_close(loaded[name][key].float(), value.float(), atol=1e-3, rtol=1e-3)
        alone, first = load_state(model_file), load_state(path)  # the detection network is the same as without parts
        assert set(alone) == set(first) and all(torch.equal(alone[key], first[key]) for key in alone)

    @torch.inference_mode()
    def test_loaded_parts_say_what_the_written_ones_said(self, tmp_path):
        """Their normalizations are folded when they are loaded."""
        parts = random_parts()
        model = load_model(write_with(tmp_path, {name: part.state_dict() for name, part in parts.items()}))
        cubes, spine = torch.randn(2, 1, CELLS, CELLS, CELLS), torch.randn(1, 1, 16, 22, 32)
        phase = torch.randn(2, 9, CELLS)
        for inputs in ((cubes,), (cubes, phase)):
            after, before = (network(*inputs).offset for network in (model.centroid_network, parts["placing"]))
            torch.testing.assert_close(after, before, atol=0.05, rtol=0.02)
        for name in ("level", "local", "center"):
            after, before = (getattr(network(spine), name) for network in (model.level_network, parts["counting"]))
            torch.testing.assert_close(after, before, atol=0.02, rtol=0.02)
        modules = (*model.centroid_network.modules(), *model.level_network.modules())
        assert not any(isinstance(module, torch.nn.BatchNorm3d) or module.training for module in modules)

    def test_a_model_without_parts_loads(self, model_file):
        assert load_parts(model_file) == {}
        model = load_model(model_file)
        assert model.level_network is None and model.centroid_network is None

    @pytest.mark.parametrize("name", ["counting", "placing"])
    def test_a_model_may_have_one_part_alone(self, tmp_path, name):
        model = load_model(write_with(tmp_path, {name: random_parts()[name].state_dict()}))
        loaded = {"counting": model.level_network, "placing": model.centroid_network}
        assert [part for part, network in loaded.items() if network is not None] == [name]

    @pytest.mark.parametrize(
        "parts",
        [
            lambda: {"placing": CentroidNetwork((8, 16)).state_dict()},
            lambda: {"counting": LevelNetwork(hidden=32).state_dict()},
            lambda: {"counting": CentroidNetwork().state_dict()},
            lambda: {"placing": {**CentroidNetwork().state_dict(), "more.weight": torch.zeros(3)}},
            lambda: {"placing": dict(list(CentroidNetwork().state_dict().items())[1:])},
            lambda: {"sizing": CentroidNetwork().state_dict()},
        ],
        ids=["other widths", "other LSTM", "another part's", "one tensor too many", "one missing", "unknown part"],
    )
    def test_parts_that_do_not_fit_are_refused(self, tmp_path, parts):
        with pytest.raises(WeightsError, match="does not fit"):
            load_model(write_with(tmp_path, parts()))


@pytest.fixture
def run(tmp_path):
    """An untrained run folder with both parts; the case ``a`` is known to all, ``b`` and ``c`` to one part each."""
    folder = tmp_path / "run"
    trainers = {
        ".": DetectionTrainer(TINY, [ball_case("a")], folder),
        "counting": LevelTrainer(LevelConfig(), [ball_case("a"), ball_case("b")], folder / "counting"),
        "placing": CentroidTrainer(CentroidConfig(), [ball_case("a"), ball_case("c")], folder / "placing"),
    }
    for trainer in trainers.values():
        trainer.out.mkdir(parents=True)
        trainer.save()
    return folder


def test_a_model_of_a_run_holds_its_parts_and_names_all_their_cases(run, tmp_path):
    parts = parts_of(run)
    assert parts == {name: run / name / CHECKPOINT for name in ("counting", "placing")}
    export(run / CHECKPOINT, tmp_path / "model.pt", "1.2", parts=parts)
    card = read_card(tmp_path / "model.pt")
    assert card["training"]["cases"] == ["a", "b", "c"]
    about = card["training"]["parts"]
    assert set(about) == {"counting", "placing"} and all(part["step"] == 0 for part in about.values())
    assert about["placing"]["config"]["rotation"] == CentroidConfig().rotation
    average = torch.load(parts["placing"], weights_only=True)["average"]
    loaded = load_parts(tmp_path / "model.pt")["placing"]
    assert all(torch.equal(loaded[key], value.half().float()) for key, value in average.items() if value.ndim > 1)


def test_a_run_without_parts_makes_a_model_without_parts(run, tmp_path):
    (run / "counting" / CHECKPOINT).unlink()
    (run / "placing" / CHECKPOINT).unlink()
    assert parts_of(run) == {}
    export(run / CHECKPOINT, tmp_path / "model.pt", "1.2", parts=parts_of(run))
    card = read_card(tmp_path / "model.pt")
    assert load_parts(tmp_path / "model.pt") == {}
    assert card["training"]["cases"] == ["a"] and "parts" not in card["training"]


def test_parts_are_kept_from_another_model_unless_new_ones_are_given(run, tmp_path):
    """As when the detection network is fine-tuned."""
    parent = write_with(tmp_path, {name: part.state_dict() for name, part in random_parts().items()})
    kept = tmp_path / "kept.pt"
    export(run / CHECKPOINT, kept, "1.2", parts={"placing": run / "placing" / CHECKPOINT}, kept_from=parent)
    before, after = load_parts(parent), load_parts(kept)
    assert all(torch.equal(before["counting"][key], value) for key, value in after["counting"].items())
    assert not torch.equal(before["placing"]["stem.0.weight"], after["placing"]["stem.0.weight"])


@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_a_scan_that_any_part_has_seen_is_not_labeled_as_held_out(run, case):
    with pytest.raises(ValueError, match=f"trained on {case}"):
        held_out_labeler(run, ["new", case], 0)


def test_scans_that_no_part_has_seen_are_labeled_with_all_parts(run):
    model = held_out_labeler(run, ["new"], 2).model
    assert (
        model.version == "cross-validation fold 2"
        and model.level_network is not None
        and model.centroid_network is not None
    )
