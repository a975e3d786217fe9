"""The training loop: seeded, checkpointed, resumed exactly; the same code on CPU and CUDA.

vertebra-labeling train --config config.json --data DIR --out runs/first
"""

from __future__ import annotations

import copy
import fnmatch
import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from VertebraLabelingLib.networks.detection_network import VertebraNet
from VertebraLabelingLib.networks.layers import window

from ..augmentation.crops import random_crop
from ..augmentation.intensity import augment
from ..data.cases import Case
from ..data.provenance import code_commit
from .config import TrainConfig
from .losses import total_loss
from .targets import make_targets

log = logging.getLogger(__name__)


class StepConfig(Protocol):
    """The settings that every training here has; each as in :class:`config.TrainConfig`."""

    steps: int
    learning_rate: float
    warmup: float
    freeze_norms_from: float
    weight_decay: float
    ema: float


CHECKPOINT = "checkpoint.pt"
HISTORY = "history.jsonl"


class Trainer:
    """Holds what a checkpoint holds: network, averaged network, optimizer, step.

    Every crop depends only on (seed, step, place in the batch), so a run that is stopped and resumed computes the same
    numbers as one that is not.
    """

    def __init__(self, config: TrainConfig, cases: list[Case], out: Path, device: str = "cpu") -> None:
        self.config, self.out, self.device = config, Path(out), torch.device(device)
        self.cases = [case.to(self.device) for case in cases]
        self.probabilities = case_probabilities([case.name for case in cases], config.shares)
        torch.manual_seed(config.seed)
        self.network = VertebraNet(config.widths).to(self.device)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = new_optimizer(self.network, config)
        self.step = 0
        self.commit, self.start, self.seen = code_commit(), {}, []

    def initialize(self, state: dict, start: dict[str, str] | None = None, seen: Iterable[str] = ()) -> None:
        """Start from given weights instead of random ones.

        Args:
            state: tensors of the network.
            start: which weights they are (:func:`provenance.start_of`).
            seen: names of the cases that they were trained on.
        """
        self.network.load_state_dict(state)
        self.average.load_state_dict(state)
        self.start, self.seen = dict(start or {}), sorted(set(seen))

    def resume(self) -> bool:
        """Continue from the checkpoint in the output folder; false where there is none."""
        path = self.out / CHECKPOINT
        if not path.is_file():
            return False
        saved = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(saved["network"])
        self.average.load_state_dict(saved["average"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step = saved["step"]
        self.start, self.seen = saved.get("start", {}), saved.get("seen", [])
        forget_from(self.out / HISTORY, self.step)
        return True

    def run(
        self,
        progress: Callable[[float, str], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        until: int | None = None,
    ) -> None:
        """Train to the last step (or ``until``), with a checkpoint every ``checkpoint_every`` steps and at the end."""
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "config.json").write_text(json.dumps(self.config.to_dict(), indent=1) + "\n")
        last = min(self.config.steps, until or self.config.steps)
        started, first = time.monotonic(), self.step
        with open(self.out / HISTORY, "a", buffering=1) as history:
            while self.step < last and not (cancelled and cancelled()):
                terms = self.train_step()
                seconds = time.monotonic() - started
                history.write(json.dumps({"step": self.step - 1, "seconds": round(seconds, 2), **terms}) + "\n")
                if self.step % self.config.checkpoint_every == 0 or self.step == last:
                    self.save()
                if progress:
                    left = seconds / (self.step - first) * (self.config.steps - self.step)
                    text = f"step {self.step}/{self.config.steps}, loss {terms['loss']:.3f}, {left / 60:.0f} min left"
                    progress(self.step / self.config.steps, text)
        self.save()

    def train_step(self) -> dict[str, float]:
        """One optimizer step; returns the value of every loss term."""
        config = self.config
        begin_step(self.network, self.optimizer, self.step, config)
        images, targets = self.batch(self.step)
        prediction = self.network(window(images)[:, None])
        coordinates = self.step >= config.coordinates_from * config.steps
        loss, terms = total_loss(prediction, targets, config.loss, self.network.temperature, coordinates)
        end_step(self.network, self.average, self.optimizer, loss, self.step, config)
        self.step += 1
        return {"loss": float(loss.detach()), **terms}

    def batch(self, step: int) -> tuple[torch.Tensor, list]:
        """The crops of one step: (B, D, H, W) HU and their targets."""
        shape_rng = np.random.default_rng([self.config.seed, step])
        shape = self.config.shapes[int(shape_rng.integers(len(self.config.shapes)))]
        images, targets = [], []
        for place in range(self.config.batch):
            rng = np.random.default_rng([self.config.seed, step, place])
            case = self.cases[int(rng.choice(len(self.cases), p=self.probabilities))]
            crop = random_crop(case, shape, rng, self.config.crops)
            images.append(augment(crop.image, crop.points, rng))
            targets.append(make_targets(shape, crop.points, crop.levels, crop.margin))
        return torch.stack(images), targets

    def save(self) -> None:
        """Write the checkpoint."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "config": self.config.to_dict(),
            "cases": [case.name for case in self.cases],
            "commit": self.commit,
            "start": self.start,
            "seen": self.seen,
        }
        write_checkpoint(state, self.out)


def new_optimizer(network: torch.nn.Module, config: StepConfig) -> torch.optim.Optimizer:
    """The optimizer of every training here."""
    return torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)


def begin_step(network: torch.nn.Module, optimizer: torch.optim.Optimizer, step: int, config: StepConfig) -> None:
    """Set the learning rate and the mode of the normalisations for a step."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step, config)
    network.train()
    if step >= config.freeze_norms_from * config.steps:
        freeze_norms(network)


def end_step(
    network: torch.nn.Module,
    average: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: torch.Tensor,
    step: int,
    config: StepConfig,
) -> None:
    """Follow the gradient of the loss of a step, clipped, and move the averaged weights along."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimizer.step()
    update_average(average, network, min(config.ema, (step + 1) / (step + 10)))


def write_checkpoint(state: dict, out: Path) -> None:
    """Write a checkpoint to a temporary name and rename it, so that a crash leaves the old one whole."""
    temporary = out / (CHECKPOINT + ".tmp")
    torch.save(state, temporary)
    os.replace(temporary, out / CHECKPOINT)


def forget_from(history: Path, step: int) -> None:
    """Take the lines of a step and later out of a history: they were written after the checkpoint and come again."""
    if history.is_file():
        lines = [line for line in history.read_text().splitlines() if json.loads(line)["step"] < step]
        history.write_text("".join(line + "\n" for line in lines))


def case_probabilities(names: list[str], shares: dict[str, float]) -> np.ndarray:
    """Probability of drawing each case: each pattern's share, spread evenly over the cases that match it first."""
    groups = [next((p for p in shares if fnmatch.fnmatch(name, p)), None) for name in names]
    weights = np.array([shares[g] / groups.count(g) if g is not None else 0.0 for g in groups])
    if weights.sum() <= 0:
        raise ValueError(f"no case matches the shares {sorted(shares)}")
    return weights / weights.sum()


def learning_rate(step: int, config: StepConfig) -> float:
    """One cycle: linear rise, cosine fall to 1 % of the peak."""
    rise = max(1, int(config.warmup * config.steps))
    if step < rise:
        return config.learning_rate * (step + 1) / rise
    phase = (step - rise) / max(1, config.steps - rise)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * phase)))


def freeze_norms(network: torch.nn.Module) -> None:
    """Let the normalisations use their running statistics; their scale and offset still learn."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.eval()


@torch.no_grad()
def update_average(average: torch.nn.Module, network: torch.nn.Module, decay: float) -> None:
    """Exponential moving average of weights and normalisation statistics."""
    current = network.state_dict()
    for name, value in average.state_dict().items():
        if value.dtype.is_floating_point:
            value.lerp_(current[name], 1 - decay)
        else:
            value.copy_(current[name])
