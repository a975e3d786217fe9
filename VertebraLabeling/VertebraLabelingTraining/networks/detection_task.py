"""The batches and the loss of the detection network (:mod:`..detection_network`), and the settings of its runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from VertebraLabelingLib.networks.detection_network import DetectionNetwork
from VertebraLabelingLib.networks.layers import window
from VertebraLabelingLib.networks.weights import load_state

from ..augmentation.crops import CropSettings, random_crop
from ..augmentation.intensity import augment
from ..data.cases import Case
from .config import RunConfig
from .losses import LossWeights, total_loss
from .targets import Targets, make_targets
from .trainer import Trainer


@dataclass(frozen=True)
class DetectionConfig(RunConfig):
    """Further settings.

    Attributes:
        shapes: crop shapes (z, y, x) in voxels of 4 mm, drawn for each step; multiples of 16, so that no scale is odd.
        coordinates_from: share of the steps after which the coordinate terms join the loss.
        widths: channels of the network at 4, 8, 16, 32, 64 mm.
        crops: geometry of the augmentation.
        loss: weights of the loss terms.
    """

    steps: int = 2400
    batch: int = 2
    learning_rate: float = 2.5e-3
    warmup: float = 0.08
    freeze_norms_from: float = 0.6
    weight_decay: float = 0.02
    shapes: tuple[tuple[int, int, int], ...] = ((80, 48, 32), (64, 48, 48), (112, 32, 32), (48, 64, 64), (96, 32, 48))
    coordinates_from: float = 0.15
    widths: tuple[int, ...] = (12, 32, 64, 96, 128)
    crops: CropSettings = field(default_factory=CropSettings)
    loss: LossWeights = field(default_factory=LossWeights)


FINE_TUNING = DetectionConfig(
    steps=300,
    learning_rate=3e-4,
    warmup=0.1,
    coordinates_from=0.0,
    freeze_norms_from=0.0,
    ema=0.99,
    checkpoint_every=100,
)
"""A few hundred small steps from trained weights, normalizations frozen; the widths are those of the weights."""


class DetectionTrainer(Trainer):
    """Trains a :class:`DetectionNetwork`."""

    settings = DetectionConfig

    def __init__(self, config: DetectionConfig, cases: list[Case], out: Path, device: str = "cpu") -> None:
        on_device = [case.to(torch.device(device)) for case in cases]
        super().__init__(lambda: DetectionNetwork(config.widths), config, on_device, out, device)

    def of_model(self, path: Path) -> dict:
        """The first weights of a model."""
        return load_state(path)

    def batch(self, step: int) -> tuple[Tensor, list[Targets]]:
        """The crops of one step: (B, D, H, W) HU and their targets."""
        shape_rng = np.random.default_rng([self.config.seed, step])
        shape = self.config.shapes[int(shape_rng.integers(len(self.config.shapes)))]
        images, targets = [], []
        for rng in self.random(step):
            crop = random_crop(self.draw_case(rng), shape, rng, self.config.crops)
            images.append(augment(crop.image, crop.points, rng))
            targets.append(make_targets(shape, crop.points, crop.levels, crop.margin))
        return torch.stack(images), targets

    def loss(self, images: Tensor, targets: list[Targets]) -> tuple[Tensor, dict[str, Tensor]]:
        """See :func:`total_loss`."""
        prediction = self.read(window(images)[:, None])
        coordinates = self.step >= self.config.coordinates_from * self.config.steps
        return total_loss(prediction, targets, self.config.loss, self.network.temperature, coordinates)
