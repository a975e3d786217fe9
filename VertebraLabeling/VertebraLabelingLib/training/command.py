"""``vertebra-labeling train``: train from scratch, resume, or fine-tune."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser("train", help="train or fine-tune the network on CT with .mrk.json truth")
    parser.add_argument(
        "--config", type=Path, help="JSON file with the settings of the run (default: the built-in ones)"
    )
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, help="folders of CT files with <name>.mrk.json truth"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint, history and curves")
    parser.add_argument("--splits", type=Path, help="splits.json: leaves out the demo patient and the fold of --fold")
    parser.add_argument("--fold", type=int, help="with --splits: the fold to leave out, for cross-validation")
    parser.add_argument("--init", type=Path, help="weights or checkpoint file to start from")
    parser.add_argument("--resume", action="store_true", help="continue exactly from the checkpoint in --out")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--steps", type=int, help="overrides the number of steps of the configuration")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit code."""
    from dataclasses import replace

    import torch

    from ..errors import InputError
    from .cases import demo_names, find_cases, fold_names, read_cases
    from .config import TrainConfig
    from .curves import plot_curves
    from .loop import CHECKPOINT, HISTORY, Trainer

    config = TrainConfig.read(arguments.config) if arguments.config else TrainConfig()
    if arguments.steps:
        config = replace(config, steps=arguments.steps)
    exclude = list(config.exclude)
    if arguments.splits:
        exclude += demo_names(arguments.splits)
        exclude += fold_names(arguments.splits, arguments.fold) if arguments.fold is not None else []
    elif arguments.fold is not None:
        raise InputError("--fold needs --splits: name the file that holds the folds.")
    device = arguments.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if (arguments.out / CHECKPOINT).exists() and not arguments.resume:
        raise InputError(f"{arguments.out} already holds a run: give --resume to continue it, or another --out.")

    cases = read_cases(find_cases(arguments.data, exclude))
    print(f"{len(cases)} cases, {sum(len(case.levels) for case in cases)} vertebrae, device {device}")
    trainer = Trainer(config, cases, arguments.out, device)
    if arguments.init:
        trainer.initialize(_initial_state(arguments.init, exclude))
    if arguments.resume and trainer.resume():
        print(f"resumed at step {trainer.step}")
    trainer.run(progress=_print_progress)
    plot_curves(arguments.out / HISTORY, arguments.out / "curves.png")
    print(f"\ndone: {arguments.out / CHECKPOINT}")
    return 0


def _initial_state(path: Path, exclude: list[str]) -> dict:
    """Tensors of a model file (checked against its card) or of a training checkpoint (its averaged weights).

    Raises:
        InputError: the start has seen a case that this run leaves out: a score on it would not be honest.
    """
    import torch

    from ..errors import InputError
    from ..weights import load_state, read_card

    if path.with_suffix(".json").is_file():
        state, seen = load_state(path), read_card(path).get("training", {}).get("cases", [])
    else:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        state, seen = saved["average"], saved["cases"]
    known = sorted(set(seen) & set(exclude))
    if known:
        raise InputError(f"{path.name} was trained on {known[0]}, which this run leaves out: start from other weights.")
    return state


def _print_progress(fraction: float, message: str) -> None:
    print(f"\r{fraction:5.1%} {message}    ", end="", flush=True)
