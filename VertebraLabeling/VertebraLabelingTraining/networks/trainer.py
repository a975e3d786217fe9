"""The training loop of all three networks: seeded, checkpointed, resumed exactly; the same code on CPU and CUDA.

A trainer says how a batch is drawn and what the loss is. Every sample depends on (seed, step, place in the batch)
alone, so a run that is stopped and resumed computes the same numbers as one that is not.
"""

from __future__ import annotations

import copy
import fnmatch
import json
import math
import os
import pickle
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.networks.weights import load_parts, read_card

from ..data.cases import Case
from ..data.provenance import code_commit, digest_of, start_of
from .config import RunConfig

CHECKPOINT = "checkpoint.pt"
HISTORY = "history.jsonl"


class Trainer(ABC):
    """Network, averaged network, optimizer and step, as they are in a checkpoint.

    Attributes:
        settings: the kind of its configuration; its name tells the checkpoints of the networks apart.
        part: name of the network in a model (:data:`weights.PARTS`).
        reviewed_truth: learns from predictions that were reviewed, too (:data:`cases.GROWN_TRUTH`).
    """

    settings: ClassVar[type[RunConfig]]
    part: ClassVar[str] = ""
    reviewed_truth: ClassVar[bool] = True

    def __init__(
        self, network: Callable[[], nn.Module], config: RunConfig, cases: list[Case], out: Path, device: str = "cpu"
    ) -> None:
        if not cases:
            raise InputError("No case holds what this network learns from: give scans with three whole vertebrae.")
        self.config, self.cases, self.out, self.device = config, cases, Path(out), torch.device(device)
        self.probabilities = case_probabilities([case.name for case in cases], config.shares)
        torch.manual_seed(config.seed)
        self.network = network().to(self.device)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.step = 0
        self.start: dict[str, str] = {}
        self.seen: list[str] = []
        self.data = digest_of(cases)

    @abstractmethod
    def batch(self, step: int) -> tuple:
        """What :meth:`loss` takes of one step: images, HU, further inputs, targets."""

    @abstractmethod
    def loss(self, images: Tensor, *targets) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a :meth:`batch`, and its terms by name."""

    def read(self, images: Tensor):
        """What the network says of a batch, in single precision however it computes."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16):
            said = self.network(images)
        return type(said)(*(getattr(said, item.name).float() for item in fields(said)))

    def check(self) -> None:  # noqa: B027 - most networks have nothing to check
        """Raise an InputError where what was learned cannot be used."""

    def random(self, step: int) -> list[np.random.Generator]:
        """One source of randomness for each place in a batch."""
        return [np.random.default_rng([self.config.seed, step, place]) for place in range(self.config.batch)]

    def draw_case(self, rng: np.random.Generator) -> Case:
        """One of the cases, by their shares."""
        return self.cases[int(rng.choice(len(self.cases), p=self.probabilities))]

    def run(self, progress: Callable[[float, str], None] | None = None, until: int | None = None) -> None:
        """Train to the last step (or ``until``), with a checkpoint every ``checkpoint_every`` steps and at the end."""
        config = self.config
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "config.json").write_text(json.dumps(config.to_dict(), indent=1) + "\n")
        last = min(config.steps, until or config.steps)
        started, first = time.monotonic(), self.step
        with open(self.out / HISTORY, "a", buffering=1) as history:
            while self.step < last:
                terms = self.train_step()
                seconds = time.monotonic() - started
                history.write(json.dumps({"step": self.step - 1, "seconds": round(seconds, 2), **terms}) + "\n")
                if self.step % config.checkpoint_every == 0 or self.step == last:
                    self.save()
                if progress:
                    left = seconds / (self.step - first) * (config.steps - self.step)
                    text = f"step {self.step}/{config.steps}, loss {terms['loss']:.3f}, {left / 60:.0f} min left"
                    progress(self.step / config.steps, text)

    def train_step(self) -> dict[str, float]:
        """One optimizer step; returns the loss and its terms."""
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, config)
        self.network.train()
        if self.step >= config.freeze_norms_from * config.steps:
            freeze_norms(self.network)
        batch = self.batch(self.step)
        torch.manual_seed(config.seed * 1_000_003 + self.step)  # dropout
        loss, terms = self.loss(*batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        update_average(self.average, self.network, min(config.ema, (self.step + 1) / (self.step + 10)))
        self.step += 1
        return {name: round(float(value.detach()), 5) for name, value in {"loss": loss, **terms}.items()}

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
            weights, seen = self.of_model(path), read_card(path).get("training", {}).get("cases", ())
        else:
            weights, seen = self._of_run(path)
        try:
            for network in (self.network, self.average):
                network.load_state_dict(weights)
        except RuntimeError as error:
            raise InputError(f"{path} does not fit the network of this run: give another.") from error
        self.start, self.seen = start_of(path), sorted(set(seen))

    def of_model(self, path: Path) -> dict:
        """Weights of what this run trains, from a model."""
        parts = load_parts(path)
        if self.part not in parts:
            raise InputError(f"{path} lacks the network to train: give a model that has it.")
        return parts[self.part]

    def _of_run(self, path: Path) -> tuple[dict, list[str]]:
        """Weights and all cases that they have seen."""
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
            weights, seen = saved["average"], [*saved["cases"], *saved.get("seen", ())]
        except (OSError, KeyError, TypeError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise InputError(f"{path} is no checkpoint of a training: give one that this command wrote.") from error
        if not self._is_own(saved):
            raise InputError(f"{path} holds another network: give a checkpoint of the one to train.")
        return weights, seen

    def _is_own(self, saved: dict) -> bool:
        """Whether a checkpoint says that it is of this network, or says nothing."""
        return saved.get("kind", self.settings.__name__) == self.settings.__name__

    def resume(self) -> bool:
        """Continue from the checkpoint in the output folder; false where there is none.

        Raises:
            InputError: it is that of another network, or of other cases or another seed.
        """
        path = self.out / CHECKPOINT
        if not path.is_file():
            return False
        saved = torch.load(path, map_location=self.device, weights_only=True)
        names = [case.name for case in self.cases]
        same = saved["cases"] == names and saved.get("data", self.data) == self.data
        if not same or saved["config"]["seed"] != self.config.seed or not self._is_own(saved):
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
            "config": self.config.to_dict(),
            "cases": [case.name for case in self.cases],
            "data": self.data,
            "commit": code_commit(),
            "kind": self.settings.__name__,
            "start": self.start,
            "seen": self.seen,
        }

    def save(self) -> None:
        """Write the checkpoint to a temporary name and rename it, so that a crash leaves the old one whole."""
        temporary = self.out / (CHECKPOINT + ".tmp")
        torch.save(self.state(), temporary)
        os.replace(temporary, self.out / CHECKPOINT)


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


def learning_rate(step: int, config: RunConfig) -> float:
    """One cycle: linear rise, cosine fall to 1 % of the peak (torch's OneCycleLR has one shape for both)."""
    rise = max(1, int(config.warmup * config.steps))
    if step < rise:
        return config.learning_rate * (step + 1) / rise
    phase = (step - rise) / max(1, config.steps - rise)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * phase)))


def freeze_norms(network: nn.Module) -> None:
    """Let the normalizations use their running statistics; their scale and offset still learn."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.eval()


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Exponential moving average of weights and normalization statistics.

    torch's AveragedModel starts with a copy instead of this rise of the decay, and names the weights otherwise.
    """
    current = network.state_dict()
    for name, value in average.state_dict().items():
        if value.dtype.is_floating_point:
            value.lerp_(current[name], 1 - decay)
        else:
            value.copy_(current[name])
