"""Turn checkpoints into a model that the product loads: the averaged weights in fp16, with their card."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch
from VertebraLabelingLib.core.parameters import SHIPPED, PipelineParameters
from VertebraLabelingLib.networks.weights import PARTS, load_parts, load_state, parameters_in, read_card, write_model

from ..networks.trainer import CHECKPOINT

_ORIGIN = ("data", "commit", "start")  # what a card says of where weights come from


def export(
    checkpoint: Path,
    weights: Path,
    version: str,
    more: dict | None = None,
    parts: Mapping[str, Path] | None = None,
    kept_from: Path | None = None,
) -> None:
    """Write the averaged weights of a training checkpoint as a model file and its card.

    Args:
        checkpoint: written by :class:`trainer.Trainer`.
        weights: the ``.pt`` file to write.
        version: model version shown to users.
        more: further entries of the card's training summary; they replace entries of the same name.
        parts: name of a part (:data:`weights.PARTS`) -> its training checkpoint.
        kept_from: a model file whose chosen numbers and parts are taken over, the parts that ``parts`` does not name.
    """
    saved = _read(checkpoint)
    trained = {name: _read(path) for name, path in (parts or {}).items()}
    cases = _cases_of(saved, *trained.values())
    training = {"steps": saved["step"], "cases": sorted(cases), "config": saved["config"]}
    training.update({name: saved[name] for name in _ORIGIN if saved.get(name)})
    about = dict(read_card(kept_from)["training"].get("parts", {})) if kept_from else {}
    about.update({name: _told(part) for name, part in trained.items()})
    if about:
        training["parts"] = about
    tensors = load_parts(kept_from) if kept_from else {}
    tensors.update({name: part["average"] for name, part in trained.items()})
    card = {**training, **(more or {})}
    numbers = parameters_in(read_card(kept_from)) if kept_from else SHIPPED
    write_model(weights, saved["average"], tuple(saved["config"]["widths"]), version, card, tensors, numbers)


def export_further(
    model: Path, weights: Path, version: str, parts: Mapping[str, Path], parameters: PipelineParameters | None = None
) -> None:
    """Write a model with some parts trained further; everything else stays as it is.

    Args:
        model: the ``.pt`` file of the model to start from.
        weights: the ``.pt`` file to write.
        version: model version shown to users.
        parts: name of a part -> its training checkpoint.
        parameters: the chosen numbers; those of ``model`` by default.
    """
    card, trained = read_card(model), {name: _read(path) for name, path in parts.items()}
    training = dict(card["training"])
    training["cases"] = sorted({*training["cases"], *_cases_of(*trained.values())})
    training["parts"] = {**training.get("parts", {}), **{name: _told(part) for name, part in trained.items()}}
    tensors = {**load_parts(model), **{name: part["average"] for name, part in trained.items()}}
    numbers = parameters or parameters_in(card)
    write_model(weights, load_state(model), tuple(card["widths"]), version, training, tensors, numbers)


def _read(checkpoint: Path) -> dict:
    """What a training has saved."""
    return torch.load(checkpoint, map_location="cpu", weights_only=True)


def _cases_of(*trainings: dict) -> set[str]:
    """Names of the cases that the trainings have seen in any stage."""
    return {case for saved in trainings for case in (*saved["cases"], *saved.get("seen", ()))}


def _told(part: dict) -> dict:
    """What the card says of a part's training."""
    return {"step": part["step"], **{key: part[key] for key in ("config", *_ORIGIN) if part.get(key)}}


def parts_of(run: Path) -> dict[str, Path]:
    """Part's name -> checkpoint, for the parts that were trained in the folders of their names below a run."""
    found = {part: Path(run) / part / CHECKPOINT for part in PARTS}
    return {part: path for part, path in found.items() if path.is_file()}


def main() -> None:
    """``python -m VertebraLabelingTraining.models.export CHECKPOINT MODEL.pt VERSION --counting C --placing P``.

    With a model in the place of the checkpoint everything is kept but the parts that are given.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("version")
    for part in PARTS:
        parser.add_argument(f"--{part}", type=Path, metavar="CHECKPOINT", help=f"of the {part} network")
    arguments = parser.parse_args()
    given = {part: getattr(arguments, part) for part in PARTS if getattr(arguments, part)}
    write = export_further if arguments.checkpoint.with_suffix(".json").is_file() else export
    write(arguments.checkpoint, arguments.weights, arguments.version, parts=given)


if __name__ == "__main__":
    main()
