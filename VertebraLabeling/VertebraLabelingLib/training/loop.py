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

import numpy as np
import torch

from ..network import VertebraNet, window
from .cases import Case
from .config import TrainConfig
from .crops import random_crop
from .intensity import augment
from .losses import total_loss
from .provenance import code_commit
from .targets import make_targets

log = logging.getLogger(__name__)

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
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
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
        history = self.out / HISTORY
        if history.is_file():  # lines written after the checkpoint are computed again
            lines = [line for line in history.read_text().splitlines() if json.loads(line)["step"] < self.step]
            history.write_text("".join(line + "\n" for line in lines))
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
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, config)
        self.network.train()
        if self.step >= config.freeze_norms_from * config.steps:
            freeze_norms(self.network)
        images, targets = self.batch(self.step)
        prediction = self.network(window(images)[:, None])
        coordinates = self.step >= config.coordinates_from * config.steps
        loss, terms = total_loss(prediction, targets, config.loss, self.network.temperature, coordinates)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.step += 1
        update_average(self.average, self.network, min(config.ema, self.step / (self.step + 9)))
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
        """Write the checkpoint to a temporary name and rename it, so that a crash leaves the old one whole."""
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
        temporary = self.out / (CHECKPOINT + ".tmp")
        torch.save(state, temporary)
        os.replace(temporary, self.out / CHECKPOINT)


def case_probabilities(names: list[str], shares: dict[str, float]) -> np.ndarray:
    """Probability of drawing each case: each pattern's share, spread evenly over the cases that match it first."""
    groups = [next((p for p in shares if fnmatch.fnmatch(name, p)), None) for name in names]
    weights = np.array([shares[g] / groups.count(g) if g is not None else 0.0 for g in groups])
    if weights.sum() <= 0:
        raise ValueError(f"no case matches the shares {sorted(shares)}")
    return weights / weights.sum()


def learning_rate(step: int, config: TrainConfig) -> float:
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
