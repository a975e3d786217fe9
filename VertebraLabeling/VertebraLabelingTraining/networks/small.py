"""Train one of the two small networks on the same cases as the first one.

    python -m VertebraLabelingTraining.networks.small counting --data DATA SYNTHETIC \\
        --splits DATA/splits.json --fold 0 \\
                                                           --out runs/fold-0/counting
    python -m VertebraLabelingTraining.networks.small placing  --data DATA SYNTHETIC \\
        --splits DATA/splits.json --fold 0 \\
                                                           --out runs/fold-0/placing

In the folders ``counting`` and ``placing`` of a run they are found by :mod:`.crossval`, :mod:`.field_of_view_crops` and
:mod:`.export`. The counting network learns from all cases; the placing network not from truth that a network has
proposed (``training/truth``), not from spines spliced of two patients, and not from bone-only CT, whose centres were
placed by eye on bone alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from VertebraLabelingLib.errors import InputError, WeightsError

from ..data.cases import GROWN_TRUTH, find_cases, left_out, read_cases
from .centroid_task import PlacingConfig, PlacingTrainer
from .level_task import CountingConfig, CountingTrainer
from .loop import CHECKPOINT

KINDS = {
    "counting": (CountingTrainer, CountingConfig(shares={"openkbp/*": 0.35, "ct/*": 0.42, "*": 0.23}), ()),
    "placing": (
        PlacingTrainer,
        PlacingConfig(shares={"openkbp/*": 0.45, "ct/*": 0.45, "*": 0.1}),
        ("*+*", "*synthetic_bone_*"),
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of CT with .mrk.json truth")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint and history")
    parser.add_argument("--splits", type=Path, help="splits.json: leaves out the demo patient and the fold of --fold")
    parser.add_argument("--fold", type=int, help="with --splits: the fold to leave out")
    parser.add_argument("--init", type=Path, metavar="FILE", help="start from an earlier run's checkpoint, or a model")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--resume", action="store_true", help="continue exactly from the checkpoint in --out")
    options = parser.parse_args(arguments)
    try:
        return train(options)
    except (InputError, WeightsError) as error:
        print(error, file=sys.stderr)
        return 1


def train(options: argparse.Namespace) -> int:
    """Read the cases and train."""
    if (options.out / CHECKPOINT).exists() and not options.resume:
        raise InputError(f"{options.out} already holds a run: give --resume to continue it, or another --out.")
    kind, config, unfit = KINDS[options.kind]
    names = ("steps", "learning_rate", "seed")
    said = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    exclude = [*unfit, *left_out(options.splits, options.fold)]
    truth = GROWN_TRUTH if options.kind == "counting" else None
    cases = read_cases(find_cases(options.data, exclude, truth=truth), truth)
    trainer = kind(replace(config, **said), cases, options.out)
    if options.init:
        trainer.initialize(options.init)
        known = sorted(set(trainer.seen).intersection(exclude))
        if known:
            raise InputError(f"{options.init} was trained on {known[0]}, which this run leaves out: give another.")
    if options.resume:
        trainer.resume()
    print(f"{len(trainer.cases)} cases, step {trainer.step} of {trainer.config.steps}")
    trainer.run(lambda step, terms: print(f"\rstep {step}: {terms}", end="", flush=True))
    print()
    if isinstance(trainer, PlacingTrainer):
        trainer.check()
    return 0


if __name__ == "__main__":
    sys.exit(main())
