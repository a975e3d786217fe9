"""``vertebra-labeling train``: train a network from scratch, in stages, resume, or fine-tune on own corrected scans."""

from __future__ import annotations

import argparse
from pathlib import Path

from VertebraLabelingLib.commands.options import device_name

NETWORKS = ("detection", "level", "centroid")

_EXAMPLES = """\
examples:
  vertebra-labeling train --config config.json --data cases/ --out runs/first      from scratch
  vertebra-labeling train --network level --data cases/ --out runs/first/counting  the level network of the same run
  vertebra-labeling train --init shipped --data corrected/ --out runs/mine         fine-tune the shipped weights
  vertebra-labeling label new.nii.gz -o out --weights runs/mine/<name>.pt          use the result

Fine-tuning (--init without --config and --network) trains all networks of the model, keeps some cases for validation,
prints the scores before and after, and writes a model only if the score has not fallen.

In the folders counting (level network) and placing (centroid network) of a run of the detection network the other two
are found by the evaluation and the export.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser(
        "train",
        help="train or fine-tune the networks on CT with .mrk.json truth",
        description="Train a network on CT files with .mrk.json truth of the same name beside them, or fine-tune "
        "weights on your own corrected scans.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--network", choices=NETWORKS, help="which to train (default: detection; all to fine-tune)")
    parser.add_argument(
        "--config", type=Path, help="JSON file with the settings of the run (default: the built-in ones)"
    )
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, help="folders of CT files with <name>.mrk.json truth"
    )
    parser.add_argument(
        "--truth",
        type=Path,
        metavar="DIR",
        help="folder of .mrk.json files for CTs that have none beside them, at the same path as below --data "
        "(default: the truth reviewed for this project; none for the centroid network)",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint, history and curves")
    parser.add_argument("--splits", type=Path, help="splits.json: leaves out the demo patient and the fold of --fold")
    parser.add_argument("--fold", type=int, help="with --splits: the fold to leave out, for cross-validation")
    parser.add_argument(
        "--init",
        help="start from a model file, a checkpoint, or 'shipped'; without --config and --network this is fine-tuning",
    )
    parser.add_argument("--resume", action="store_true", help="continue exactly from the checkpoint in --out")
    parser.add_argument("--device", default="auto", type=device_name, help="auto, cpu, cuda or cuda:N (default: auto)")
    parser.add_argument("--steps", type=int, help="overrides the number of steps of the configuration")
    parser.add_argument("--learning-rate", type=float, help="overrides the learning rate of the configuration")
    parser.add_argument("--seed", type=int, help="overrides the seed of the configuration")
    tuning = parser.add_argument_group("fine-tuning")
    tuning.add_argument(
        "--validation", type=_share, default=0.25, metavar="SHARE", help="share of the cases held out (default: 0.25)"
    )
    tuning.add_argument(
        "--hold-out",
        nargs="+",
        default=[],
        metavar="PATTERN",
        help="names of the cases held out, * and ? allowed, instead of a share; keep a patient's scans together",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit code."""
    import torch
    from VertebraLabelingLib.errors import InputError

    from ..data.cases import left_out
    from ..networks.trainer import CHECKPOINT

    tuning = bool(arguments.init) and not arguments.config and not arguments.network
    arguments.network = arguments.network or "detection"
    kind = _trainers()[arguments.network]
    config = kind.settings.read(arguments.config) if arguments.config else kind.settings()
    config = _overridden(config, arguments)
    exclude = [*config.exclude, *left_out(arguments.splits, arguments.fold)]
    device = arguments.device
    if arguments.network != "detection":
        if device not in ("auto", "cpu"):
            raise InputError(f"The {arguments.network} network trains on the CPU alone: leave out --device.")
        device = "cpu"
    elif device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if (arguments.out / CHECKPOINT).exists() and not arguments.resume:
        raise InputError(f"{arguments.out} already holds a run: give --resume to continue it, or another --out.")
    if arguments.resume and tuning and not (arguments.out / CHECKPOINT).exists():
        raise InputError(f"{arguments.out} holds no run to continue: leave out --resume.")
    if tuning and arguments.truth:
        raise InputError("Fine-tuning takes the points beside each CT: leave out --truth, or give a --config.")
    if tuning:
        return _fine_tune(arguments, exclude, device)
    return _train(arguments, kind, config, exclude, device)


def _trainers() -> dict:
    """Network -> what trains it."""
    from ..networks.centroid_task import CentroidTrainer
    from ..networks.detection_task import DetectionTrainer
    from ..networks.level_task import LevelTrainer

    return dict(zip(NETWORKS, (DetectionTrainer, LevelTrainer, CentroidTrainer)))


def _overridden(config, arguments: argparse.Namespace):
    """The configuration with what the command line says otherwise."""
    from dataclasses import replace

    said = {name: getattr(arguments, name) for name in ("steps", "learning_rate", "seed")}
    return replace(config, **{name: value for name, value in said.items() if value is not None})


def _train(arguments: argparse.Namespace, kind, config, exclude: list[str], device: str) -> int:
    from VertebraLabelingLib.errors import InputError

    from ..data.cases import GROWN_TRUTH, find_cases, read_cases
    from ..models.curves import plot_curves
    from ..networks.trainer import CHECKPOINT, HISTORY

    if arguments.truth and not arguments.truth.is_dir():
        raise InputError(f"The truth folder {arguments.truth} does not exist: give a folder of .mrk.json files.")
    truth = arguments.truth or (GROWN_TRUTH if kind.reviewed_truth else None)
    cases = read_cases(find_cases(arguments.data, exclude, truth=truth), truth)
    trainer = kind(config, cases, arguments.out, *([device] if arguments.network == "detection" else []))
    print(f"{len(trainer.cases)} cases, {sum(len(case.levels) for case in trainer.cases)} vertebrae, device {device}")
    if arguments.init:
        trainer.initialize(_start_path(arguments.init))
        known = sorted(set(trainer.seen).intersection(exclude))
        if known:  # a score on it would not be honest
            raise InputError(f"{arguments.init} was trained on {known[0]}, which this run leaves out: give another.")
    if arguments.resume and trainer.resume():
        print(f"resumed at step {trainer.step}")
    trainer.run(progress=_print_progress)
    plot_curves(arguments.out / HISTORY, arguments.out / "curves.png")
    trainer.check()
    print(f"\ndone: {arguments.out / CHECKPOINT}")
    return 0


def _fine_tune(arguments: argparse.Namespace, exclude: list[str], device: str) -> int:
    from ..finetuning.finetune import HeldOut, fine_tune, tuning_settings

    settings = {name: _overridden(config, arguments) for name, config in tuning_settings().items()}
    model = fine_tune(
        arguments.init,
        arguments.data,
        arguments.out,
        settings,
        HeldOut(arguments.validation, tuple(arguments.hold_out)),
        device,
        exclude,
        arguments.resume,
        _print_progress,
    )
    print(f"done: {model}, with its .json and .md beside it; use it with: vertebra-labeling label --weights {model}")
    return 0


def _start_path(text: str) -> Path:
    from VertebraLabelingLib.networks.weights import default_weights

    from ..finetuning.finetune import SHIPPED

    return default_weights() if text == SHIPPED else Path(text)


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError("must lie between 0 and 1")
    return value


def _print_progress(fraction: float, message: str) -> None:
    print(f"\r{fraction:5.1%} {message:<60}", end="", flush=True)
