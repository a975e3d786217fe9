"""All settings of a training run, read from one JSON file; every field has a default that is used in practice."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from VertebraLabelingLib.errors import InputError

from ..augmentation.crops import CropSettings
from .losses import LossWeights


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run.

    Attributes:
        seed: makes every crop and the initial weights reproducible.
        steps: optimizer steps; one step sees ``batch`` crops.
        batch: crops per step, all of one shape.
        shapes: crop shapes (z, y, x) in voxels of 4 mm, drawn for each step; multiples of 16, so that no scale is odd.
        learning_rate: peak of the one-cycle schedule (linear rise over ``warmup``, cosine fall to 1 %).
        warmup: share of the steps in which the learning rate rises.
        coordinates_from: share of the steps after which the coordinate terms join the loss.
        freeze_norms_from: share of the steps after which the normalisations use their running statistics, as at
            inference: with two crops in a batch the statistics of a batch say little of a whole scan.
        weight_decay: AdamW.
        ema: decay of the averaged weights that are evaluated and shipped.
        shares: shell pattern of case names -> share of the crops; a case counts for the first pattern it matches.
        exclude: shell patterns of cases never read.
        widths: channels of the network at 4, 8, 16, 32, 64 mm.
        crops: geometry of the augmentation.
        loss: weights of the loss terms.
        checkpoint_every: steps between checkpoints.
    """

    seed: int = 0
    steps: int = 2400
    batch: int = 2
    shapes: tuple[tuple[int, int, int], ...] = ((80, 48, 32), (64, 48, 48), (112, 32, 32), (48, 64, 64), (96, 32, 48))
    learning_rate: float = 2.5e-3
    warmup: float = 0.08
    coordinates_from: float = 0.15
    freeze_norms_from: float = 0.6
    weight_decay: float = 0.02
    ema: float = 0.995
    shares: dict[str, float] = field(default_factory=lambda: {"*": 1.0})
    exclude: tuple[str, ...] = ()
    widths: tuple[int, ...] = (12, 32, 64, 96, 128)
    crops: CropSettings = field(default_factory=CropSettings)
    loss: LossWeights = field(default_factory=LossWeights)
    checkpoint_every: int = 200

    @classmethod
    def read(cls, path: Path) -> TrainConfig:
        """Read a JSON file; unknown keys are an error, missing ones take the default.

        Raises:
            InputError: the file is not such a configuration.
        """
        try:
            return cls.from_dict(json.loads(Path(path).read_text()))
        except (OSError, ValueError, TypeError, RecursionError, OverflowError) as error:
            reason = str(error)[:200]
            raise InputError(f"The training configuration {path} cannot be used ({reason}): correct it.") from error

    @classmethod
    def from_dict(cls, data: dict) -> TrainConfig:
        """Build from plain JSON values.

        Raises:
            ValueError, TypeError: they are not such a configuration.
        """
        if not isinstance(data, dict):
            raise TypeError("not a JSON object")
        unknown = set(data) - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(f"unknown settings {sorted(unknown)}")
        data = dict(data)
        if "crops" in data:
            data["crops"] = CropSettings(**data["crops"])
        if "loss" in data:
            data["loss"] = LossWeights(**data["loss"])
        for name in ("exclude", "widths"):
            if name in data:
                data[name] = tuple(data[name])
        if "shapes" in data:
            data["shapes"] = tuple(tuple(shape) for shape in data["shapes"])
        config = cls(**data)
        for name, default in asdict(cls()).items():
            if not _alike(asdict(config)[name], default):
                raise ValueError(f"{name} is of another kind than its default")
        return config

    def to_dict(self) -> dict:
        """Plain values for JSON and checkpoints."""
        return asdict(self)


def _alike(value: object, default: object) -> bool:
    """Whether a value is of the kind of a default: numbers finite, tables like their first entry."""
    if isinstance(default, dict):
        usual = next(iter(default.values()))
        return isinstance(value, dict) and all(_alike(entry, default.get(key, usual)) for key, entry in value.items())
    if isinstance(default, (list, tuple)):
        return isinstance(value, (list, tuple)) and all(_alike(entry, default[0]) for entry in value if default)
    if isinstance(default, float):
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is type(default)


FINE_TUNING = TrainConfig(
    steps=300,
    learning_rate=3e-4,
    warmup=0.1,
    coordinates_from=0.0,
    freeze_norms_from=0.0,
    ema=0.99,
    checkpoint_every=100,
)
"""A few hundred small steps from trained weights, normalisations frozen; the widths are those of the weights."""
