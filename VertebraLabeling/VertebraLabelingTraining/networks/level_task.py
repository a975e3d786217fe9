"""The loss and the batches of the level network (:mod:`..level_network`), and the settings of its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from VertebraLabelingLib.core.anatomy import LEVEL_RANK
from VertebraLabelingLib.core.volume import AIR_HU
from VertebraLabelingLib.networks.layers import window
from VertebraLabelingLib.networks.level_network import MULTIPLE, STRIDE, Counted, LevelNetwork

from ..data.cases import Case
from .config import RunConfig
from .level_samples import FEWEST, Sample, SampleSettings, draw_sample
from .level_targets import IGNORE, Targets
from .trainer import Trainer

_PADDING = {"level": IGNORE, "local": IGNORE, "landmark": IGNORE}


@dataclass(frozen=True)
class LevelConfig(RunConfig):
    """Further settings: weights of the loss terms beside that of the level, and how samples vary."""

    steps: int = 3000
    bfloat16: bool = True
    shares: dict[str, float] = field(default_factory=lambda: {"openkbp/*": 0.35, "ct/*": 0.42, "*": 0.23})
    local_weight: float = 0.5
    center_weight: float = 0.5
    landmark_weight: float = 2.0  # one row in ten shows one: its mean is small
    rib_weight: float = 0.5
    samples: SampleSettings = field(default_factory=SampleSettings)


class LevelTrainer(Trainer):
    """Trains a :class:`LevelNetwork`; cases with fewer than three vertebrae are left out."""

    settings, part = LevelConfig, "counting"

    def __init__(self, config: LevelConfig, cases: list[Case], out: Path) -> None:
        super().__init__(LevelNetwork, config, [_head_to_foot(c) for c in cases if len(c.levels) >= FEWEST], out)

    def batch(self, step: int) -> tuple[Tensor, ...]:
        """The samples of one step, stacked."""
        settings = self.config.samples
        return stack([draw_sample(self.cases, self.probabilities, rng, settings) for rng in self.random(step)])

    def loss(self, images: Tensor, *targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """See :func:`level_loss`."""
        return level_loss(self.read(window(images)), Targets(*targets), self.config)


def stack(samples: Sequence[Sample]) -> tuple[Tensor, ...]:
    """One batch: samples padded with air to the longest; (B, 1, S, A, R) HU, and the targets (B, S/2, ...)."""
    longest = max(len(sample.image) for sample in samples)
    longest += -longest % MULTIPLE
    images = [
        functional.pad(sample.image, (0, 0, 0, 0, 0, longest - len(sample.image)), value=AIR_HU) for sample in samples
    ]
    stacked = []
    for item in fields(Targets):
        values = [getattr(sample.targets, item.name) for sample in samples]
        padded = values[0].new_full((len(values), longest // STRIDE, *values[0].shape[1:]), _PADDING.get(item.name, 0))
        for row, value in zip(padded, values):
            row[: len(value)] = value
        stacked.append(padded)
    return torch.stack(images)[:, None], *stacked


def level_loss(counted: Counted, t: Targets, config: LevelConfig) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross-entropy of the level after and before the Bi-LSTM, the body centers, the landmarks and the ribs.

    Args:
        counted: what the network says.
        t: targets (B, S/2, ...).
    """
    centers = functional.binary_cross_entropy_with_logits(counted.center, t.center, reduction="none")
    known = t.landmark != IGNORE
    landmarks = functional.binary_cross_entropy_with_logits(
        counted.landmark, t.landmark.clamp(min=0).float(), reduction="none"
    )
    of_ribs = t.rib.sum(dim=-1) > 0
    possible = torch.where(t.rib > 0, functional.log_softmax(counted.rib, dim=-1), -torch.inf)
    ribs = -torch.logsumexp(torch.where(of_ribs[..., None], possible, 0.0), dim=-1)
    terms = {
        "level": functional.cross_entropy(counted.level.flatten(0, 1), t.level.flatten(), ignore_index=IGNORE),
        "local": functional.cross_entropy(counted.local.flatten(0, 1), t.local.flatten(), ignore_index=IGNORE),
        "center": (centers * t.center_weight).sum() / t.center_weight.sum().clamp(min=1),
        "landmark": (landmarks * known).sum() / known.sum().clamp(min=1),
        "rib": (ribs * of_ribs).sum() / of_ribs.sum().clamp(min=1),
    }
    weights = (1.0, config.local_weight, config.center_weight, config.landmark_weight, config.rib_weight)
    return sum(weight * term for weight, term in zip(weights, terms.values())), terms


def _head_to_foot(case: Case) -> Case:
    order = torch.tensor(np.argsort([LEVEL_RANK[k] for k in case.levels.tolist()], kind="stable"))
    return replace(case, points=case.points[order], levels=case.levels[order], cut=case.cut[order])
