"""Average the weights of successive stages of one training: steadier than the last stage alone.

    python -m VertebraLabelingTraining.models.average RUN RUN ... --out runs/averaged

The stages must have started from one another, so that their weights lie in one basin (Izmailov et al. 2018, "Averaging
Weights Leads to Wider Optima", arXiv 1803.05407; Wortsman et al. 2022, "Model soups", arXiv 2203.05482). The result is
a run folder like any other: ``crossval`` scores it, ``export`` makes a model of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from VertebraLabelingLib.errors import InputError

from ..networks.loop import CHECKPOINT


def average_runs(runs: Sequence[Path], out: Path) -> None:
    """Write the mean of the runs' averaged weights as the checkpoint of ``out``.

    Settings and step are those of the last run; the cases are those of all runs, so that no score can be taken on a
    case that one of them was trained on.

    Raises:
        InputError: fewer than two runs, or networks of different shape.
    """
    if len(runs) < 2:
        raise InputError("Averaging needs at least two runs: name them in the order of the training.")
    saved = [torch.load(run / CHECKPOINT, map_location="cpu", weights_only=True) for run in runs]
    states = [one["average"] for one in saved]
    cases = sorted({case for one in saved for case in (*one["cases"], *one.get("seen", ()))})
    result = {**saved[-1], "average": mean_of(states), "cases": cases, "averaged": [run.name for run in runs]}
    out.mkdir(parents=True, exist_ok=True)
    torch.save(result, out / CHECKPOINT)


def mean_of(states: Sequence[dict]) -> dict:
    """The mean of every tensor; counters are those of the last state.

    Raises:
        InputError: networks of different shape.
    """
    shapes = [{name: value.shape for name, value in state.items()} for state in states]
    if any(other != shapes[0] for other in shapes):
        raise InputError("The runs hold networks of different shape: average stages of one training only.")
    return {
        name: torch.stack([state[name] for state in states]).mean(0) if value.is_floating_point() else value
        for name, value in states[-1].items()
    }


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="run folders, in the order of the training")
    parser.add_argument("--out", type=Path, required=True, help="run folder to write")
    arguments = parser.parse_args()
    average_runs(arguments.runs, arguments.out)


if __name__ == "__main__":
    main()
