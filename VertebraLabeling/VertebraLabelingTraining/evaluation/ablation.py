"""What each part of the method is worth: short trainings that differ in one thing, scored on the same held-out fold.

    python -m VertebraLabelingTraining.evaluation.ablation --data DATA SYNTHETIC --splits DATA/splits.json --fold 2 \\
        --steps 450 --out runs/ablation [--variants "full" "no Bi-LSTM"]

All variants share seed, steps, crops and solver. A variant that is there already is not trained again. Writes
``ablation.json`` and prints a table. The trainings are short: they rank the parts, they do not give the method's score.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from VertebraLabelingLib.core.anatomy import LEVELS
from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.core.metrics import CaseScore, summarize
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.networks.detection_network import GRID_MM, VertebraNet
from VertebraLabelingLib.networks.layers import fold_norms
from VertebraLabelingLib.pipeline.detection import run_network
from VertebraLabelingLib.pipeline.labeler import crop_to_body
from VertebraLabelingLib.preprocessing.resampling import to_working_grid
from VertebraLabelingLib.solver.chain import solve
from VertebraLabelingLib.system.atomic import write_text

from ..data.cases import Case, demo_names, find_cases, fold_names, read_cases
from ..networks.config import TrainConfig
from ..networks.loop import Trainer, new_optimizer
from .validation import score_cases

REAL, SYNTHETIC = {"openkbp/*": 0.5, "ct/*": 0.5}, {"*synthetic*": 1.0}
BOTH = {"openkbp/*": 0.38, "ct/*": 0.38, "*": 0.24}
VARIANTS = ("full", "no integral regression", "no Bi-LSTM", "real only", "synthetic only")


class NoSequence(nn.Module):
    """In the place of the Bi-LSTM: says nothing of slices and presence; one learned null logit per level."""

    def __init__(self) -> None:
        super().__init__()
        self.null = nn.Parameter(torch.zeros(len(LEVELS)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x: (B, S, features) -> zeros (B, S, 27), zeros (B, 26), null (B, 26); see :class:`detection_network.SequenceHead`."""
        batch, slices, _ = x.shape
        return (
            x.new_zeros(batch, slices, len(LEVELS) + 1),
            x.new_zeros(batch, len(LEVELS)),
            self.null.expand(batch, -1),
        )


def configure(variant: str, base: TrainConfig) -> TrainConfig:
    """The settings of a variant."""
    shares = {"real only": REAL, "synthetic only": SYNTHETIC}.get(variant, BOTH)
    loss = base.loss
    if variant == "no integral regression":
        loss = replace(loss, local_mm=0.0, global_mm=0.0)
    if variant == "no Bi-LSTM":
        loss = replace(loss, slices=0.0, presence=0.0)
    return replace(base, shares=shares, loss=loss)


def train_variant(variant: str, config: TrainConfig, cases: list[Case], out: Path) -> VertebraNet:
    """Train, or go on with, one variant; returns its averaged network, ready for inference."""
    trainer = Trainer(configure(variant, config), cases, out)
    if variant == "no Bi-LSTM":
        trainer.network.sequence = NoSequence()
        trainer.average.sequence = copy.deepcopy(trainer.network.sequence).requires_grad_(False)
        trainer.optimizer = new_optimizer(trainer.network, config)
    trainer.resume()
    trainer.run(progress=lambda _, text: print(f"\r{variant}: {text:<60}", end="", flush=True))
    print()
    return fold_norms(trainer.average.eval())


def score(network: VertebraNet, found: Mapping[str, Path]) -> list[CaseScore]:
    """Label the held-out scans and score them."""

    def label(volume: Volume) -> SpineLabels:
        grid = crop_to_body(to_working_grid(volume, GRID_MM))
        return solve(run_network(network, grid, volume, "cpu", lambda *_: None))

    return score_cases(label, found)


def line(variant: str, group: str, summary: Mapping) -> str:
    """One line of the table; a score that no vertebra allows is left out."""
    mean = "" if summary["mean_mm"] is None else f", mean {summary['mean_mm']:.2f} mm"
    share, n = summary["strict_id"] or 0.0, summary["n_vertebrae"]
    return f"{variant:24} {group:8} strict id {share:.1%}{mean}, n {n}"


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="the data folder, then synthetic cases")
    parser.add_argument("--splits", type=Path, required=True)
    parser.add_argument("--fold", type=int, default=2)
    parser.add_argument("--steps", type=int, default=450)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    held_out = fold_names(arguments.splits, arguments.fold)
    exclude = demo_names(arguments.splits) + held_out
    config = TrainConfig(steps=arguments.steps)
    found = {name: path for name, path in find_cases(arguments.data[:1]).items() if name in set(held_out)}
    cases = read_cases(find_cases(arguments.data, exclude))
    report = arguments.out / "ablation.json"
    results = json.loads(report.read_text()) if report.is_file() else {}
    for variant in arguments.variants:
        network = train_variant(variant, config, cases, arguments.out / variant.replace(" ", "-"))
        scores = score(network, found)
        results[variant] = {
            group: summarize([one for one in scores if one.name.startswith(group)]) for group in ("ct", "openkbp")
        }
        write_text(report, json.dumps(results, indent=1) + "\n")
        for group, summary in results[variant].items():
            print(line(variant, group, summary), flush=True)


if __name__ == "__main__":
    main()
