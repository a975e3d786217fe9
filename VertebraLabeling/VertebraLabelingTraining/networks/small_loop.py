"""What the trainings of the two small networks share: seeded, checkpointed, resumed exactly.

A trainer says how a batch is drawn and what the loss is; every sample depends on (seed, step, place in the batch)
alone.
"""

from __future__ import annotations

import copy
import json
import pickle
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.networks.weights import load_parts, read_card

from ..data.cases import Case
from ..data.provenance import code_commit, start_of
from .loop import (
    CHECKPOINT,
    HISTORY,
    begin_step,
    case_probabilities,
    end_step,
    forget_from,
    new_optimizer,
    write_checkpoint,
)


@dataclass(frozen=True)
class SmallConfig:
    """Settings of a run; each as in :class:`config.TrainConfig`."""

    seed: int = 0
    steps: int = 1000
    batch: int = 6
    learning_rate: float = 2e-3
    warmup: float = 0.05
    freeze_norms_from: float = 0.8
    weight_decay: float = 0.03
    ema: float = 0.995
    shares: dict[str, float] = field(default_factory=lambda: {"*": 1.0})
    checkpoint_every: int = 200


class SmallTrainer(ABC):
    """Network, averaged network, optimizer and step, as they are in a checkpoint.

    Attributes:
        part: name of the network in a model (:data:`weights.PARTS`).
    """

    part: ClassVar[str]

    def __init__(self, network: Callable[[], nn.Module], config: SmallConfig, cases: list[Case], out: Path) -> None:
        if not cases:
            raise InputError("No case holds what this network learns from: give scans with three whole vertebrae.")
        self.config, self.cases, self.out = config, cases, Path(out)
        self.probabilities = case_probabilities([case.name for case in cases], config.shares)
        torch.manual_seed(config.seed)
        self.network = network()
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = new_optimizer(self.network, config)
        self.step = 0
        self.start: dict[str, str] = {}
        self.seen: list[str] = []

    def initialize(self, path: Path) -> None:
        """Start from the averaged weights of an earlier run of the same network, or from those of a model.

        Args:
            path: its checkpoint, or a model file with its card beside it.

        Raises:
            InputError: it is that of another network, or neither.
            WeightsError: the model is damaged.
        """
        path = Path(path)
        if path.with_suffix(".json").is_file():
            weights, self.seen = self._of_model(path), sorted(read_card(path)["training"]["cases"])
        else:
            weights, self.seen = self._of_run(path)
        try:
            for network in (self.network, self.average):
                network.load_state_dict(weights)
        except RuntimeError as error:
            raise InputError(f"{path} does not fit this version's network: give another.") from error
        self.start = start_of(path)

    def _of_run(self, path: Path) -> tuple[dict, list[str]]:
        """Weights and all cases that they have seen."""
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
            own = saved["kind"] == type(self.config).__name__
        except (OSError, KeyError, TypeError, RuntimeError, pickle.UnpicklingError) as error:
            raise InputError(f"{path} is no checkpoint of such a run: give one that this command wrote.") from error
        if not own:
            raise InputError(f"{path} holds the other small network: give a checkpoint of the one to train.")
        return saved["average"], sorted({*saved["cases"], *saved.get("seen", ())})

    def _of_model(self, path: Path) -> dict:
        """Weights of the part of a model that this run trains."""
        parts = load_parts(path)
        if self.part not in parts:
            raise InputError(f"{path} lacks the network to train: give a model that has it.")
        return parts[self.part]

    @abstractmethod
    def batch(self, step: int) -> tuple[Tensor, ...]:
        """Images, HU, and what else the loss needs of one step: further inputs, then targets."""

    @abstractmethod
    def loss(self, images: Tensor, *targets: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The loss of a :meth:`batch`, and its terms by name."""

    def random(self, step: int) -> list[np.random.Generator]:
        """One source of randomness for each place in a batch."""
        return [np.random.default_rng([self.config.seed, step, place]) for place in range(self.config.batch)]

    def train_step(self) -> dict[str, float]:
        """One optimizer step; returns the loss and its terms."""
        config = self.config
        begin_step(self.network, self.optimizer, self.step, config)
        batch = self.batch(self.step)
        torch.manual_seed(config.seed * 1_000_003 + self.step)  # dropout
        loss, terms = self.loss(*batch)
        end_step(self.network, self.average, self.optimizer, loss, self.step, config)
        self.step += 1
        return {"loss": round(float(loss.detach()), 5), **terms}

    def run(self, progress: Callable[[int, dict[str, float]], None] | None = None, until: int | None = None) -> None:
        """Train to the last step (or ``until``), with a checkpoint every ``checkpoint_every`` steps and at the end."""
        self.out.mkdir(parents=True, exist_ok=True)
        last = min(self.config.steps, until or self.config.steps)
        started = time.monotonic()
        with open(self.out / HISTORY, "a", buffering=1) as history:
            while self.step < last:
                terms = self.train_step()
                seconds = round(time.monotonic() - started, 2)
                history.write(json.dumps({"step": self.step - 1, "seconds": seconds, **terms}) + "\n")
                if self.step % self.config.checkpoint_every == 0 or self.step == last:
                    self.save()
                if progress:
                    progress(self.step, terms)

    def resume(self) -> bool:
        """Continue from the checkpoint in the output folder; false where there is none.

        Raises:
            InputError: it is that of another network, or of other cases or another seed.
        """
        path = self.out / CHECKPOINT
        if not path.is_file():
            return False
        saved = torch.load(path, map_location="cpu", weights_only=True)
        kind, names = type(self.config).__name__, [case.name for case in self.cases]
        if saved["cases"] != names or saved["config"]["seed"] != self.config.seed or saved.get("kind", kind) != kind:
            raise InputError(f"{self.out} holds a run of another kind, or of other cases or seed: give another --out.")
        self.restore(saved)
        forget_from(self.out / HISTORY, self.step)
        return True

    def restore(self, saved: dict) -> None:
        """Be as :meth:`state` says."""
        for name in ("network", "average", "optimizer"):
            getattr(self, name).load_state_dict(saved[name])
        self.step = saved["step"]
        self.start, self.seen = saved.get("start", {}), saved.get("seen", [])

    def state(self) -> dict:
        """What a checkpoint holds."""
        return {
            **{name: getattr(self, name).state_dict() for name in ("network", "average", "optimizer")},
            "step": self.step,
            "config": asdict(self.config),
            "cases": [case.name for case in self.cases],
            "commit": code_commit(),
            "kind": type(self.config).__name__,
            "start": self.start,
            "seen": self.seen,
        }

    def save(self) -> None:
        """Write the checkpoint."""
        write_checkpoint(self.state(), self.out)
