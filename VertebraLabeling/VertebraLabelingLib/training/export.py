"""Turn a checkpoint into a model that the product loads: the averaged weights in fp16, with their card."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ..weights import write_model


def export(checkpoint: Path, weights: Path, version: str) -> None:
    """Write the averaged weights of a training checkpoint as a model file and its card."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    training = {"steps": saved["step"], "cases": saved["cases"], "config": saved["config"]}
    write_model(weights, saved["average"], tuple(saved["config"]["widths"]), version, training)


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
