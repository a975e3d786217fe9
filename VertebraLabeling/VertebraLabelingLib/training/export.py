"""Turn a checkpoint into a model that the product loads: the averaged weights in fp16, with their card."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ..weights import write_model


def export(checkpoint: Path, weights: Path, version: str, more: dict | None = None) -> None:
    """Write the averaged weights of a training checkpoint as a model file and its card.

    Args:
        checkpoint: written by :class:`loop.Trainer`.
        weights: the ``.pt`` file to write.
        version: model version shown to users.
        more: further entries of the card's training summary; they replace entries of the same name.
    """
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    cases = sorted({*saved["cases"], *saved.get("seen", ())})  # of all stages
    training = {"steps": saved["step"], "cases": cases, "config": saved["config"]}
    training.update({name: saved[name] for name in ("commit", "start") if saved.get(name)})
    write_model(weights, saved["average"], tuple(saved["config"]["widths"]), version, {**training, **(more or {})})


def main() -> None:
    """``python -m VertebraLabelingLib.training.export CHECKPOINT MODEL.pt VERSION``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("version")
    arguments = parser.parse_args()
    export(arguments.checkpoint, arguments.weights, arguments.version)


if __name__ == "__main__":
    main()
