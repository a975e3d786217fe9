"""The loss and the batches of the level network (:mod:`..level_network`), and the settings of its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
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
from .level_samples import FEWEST, IGNORE, Sample, SampleSettings, draw_sample
from .trainer import Trainer


@dataclass(frozen=True)
class LevelConfig(RunConfig):
    """Further settings: weights of the loss terms beside that of the level, and how samples vary."""

    steps: int = 3000
    shares: dict[str, float] = field(default_factory=lambda: {"openkbp/*": 0.35, "ct/*": 0.42, "*": 0.23})
    local_weight: float = 0.5
    center_weight: float = 0.5
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
        return level_loss(self.network(window(images)), *targets, self.config)


def stack(samples: Sequence[Sample]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One batch: samples padded with air to the longest; (B, 1, S, A, R) HU, and the targets (B, S/2)."""
    longest = max(len(sample.image) for sample in samples)
    longest += -longest % MULTIPLE
    images, levels, centers, weights = [], [], [], []
    for sample in samples:
        rows = longest // STRIDE - len(sample.level)
        images.append(functional.pad(sample.image, (0, 0, 0, 0, 0, longest - len(sample.image)), value=AIR_HU))
        levels.append(functional.pad(sample.level, (0, rows), value=IGNORE))
        centers.append(functional.pad(sample.center, (0, rows)))
        weights.append(functional.pad(sample.center_weight, (0, rows)))
    return torch.stack(images)[:, None], torch.stack(levels), torch.stack(centers), torch.stack(weights)


def level_loss(
    counted: Counted, level: Tensor, center: Tensor, weight: Tensor, config: LevelConfig
) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross-entropy of the level after and before the Bi-LSTM, and of the body centers; (B, S/2) targets."""
    centers = functional.binary_cross_entropy_with_logits(counted.center, center, reduction="none")
    terms = {
        "level": functional.cross_entropy(counted.level.flatten(0, 1), level.flatten(), ignore_index=IGNORE),
        "local": functional.cross_entropy(counted.local.flatten(0, 1), level.flatten(), ignore_index=IGNORE),
        "center": (centers * weight).sum() / weight.sum().clamp(min=1),
    }
    return terms["level"] + config.local_weight * terms["local"] + config.center_weight * terms["center"], terms


def _head_to_foot(case: Case) -> Case:
    order = torch.tensor(np.argsort([LEVEL_RANK[k] for k in case.levels.tolist()], kind="stable"))
    return replace(case, points=case.points[order], levels=case.levels[order], cut=case.cut[order])
