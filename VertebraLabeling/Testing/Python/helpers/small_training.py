"""Spines to train the level and the centroid network on, and trainers of a few steps."""

from __future__ import annotations

import numpy as np
import torch
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX
from VertebraLabelingTraining.data.cases import Case
from VertebraLabelingTraining.networks.centroid_task import CentroidConfig, CentroidTrainer
from VertebraLabelingTraining.networks.level_task import LevelConfig, LevelTrainer


def spine_case(levels, hu=100, gap=30.0, name="spine", cut=(), ball_hu=None) -> Case:
    """A vertical spine from head to foot in tissue of one value, without air; balls of 8 mm radius where wanted."""
    spacing = torch.tensor([3.0, 2.0, 2.0])
    z = 45.0 + gap * np.arange(len(levels))[::-1]
    points = torch.tensor(np.stack([z, np.full(len(z), 80.0), np.full(len(z), 80.0)], 1), dtype=torch.float32)
    image = torch.full((int(z[0] + 45) // 3 + 1, 80, 80), hu, dtype=torch.int16)
    if ball_hu is not None:
        axes = [torch.arange(n) * s for n, s in zip(image.shape, spacing)]
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
        for point in points:
            image[(grid - point).norm(dim=-1) < 8] = ball_hu
    index = torch.tensor([LEVEL_INDEX[level] for level in levels])
    return Case(name, image, spacing, index, points, torch.tensor([level in cut for level in levels]))


def level_trainer(out, **settings) -> LevelTrainer:
    config = LevelConfig(**{"steps": 4, "batch": 1, "freeze_norms_from": 0.75, "checkpoint_every": 100, **settings})
    cases = [spine_case(("T11", "T12", "L1", "L2"), name="a"), spine_case(("T12", "L1", "L2"), 300, name="b")]
    return LevelTrainer(config, cases, out)


def centroid_trainer(out, **settings) -> CentroidTrainer:
    config = CentroidConfig(**{"steps": 4, "batch": 2, "freeze_norms_from": 0.75, "checkpoint_every": 100, **settings})
    return CentroidTrainer(config, [spine_case(("T12", "L1", "L2"), 40, 45.0, "balls", ball_hu=900)], out)
