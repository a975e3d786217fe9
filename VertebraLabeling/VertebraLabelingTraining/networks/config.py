"""Settings that the runs of all networks have, read from one JSON file; every default is used in practice."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path

from VertebraLabelingLib.errors import InputError


@dataclass(frozen=True)
class RunConfig:
    """Settings of a run.

    Attributes:
        seed: makes every sample and the initial weights reproducible.
        steps: optimizer steps; one step sees ``batch`` samples.
        batch: samples per step.
        learning_rate: peak of the one-cycle schedule (linear rise over ``warmup``, cosine fall to 1 %).
        warmup: share of the steps in which the learning rate rises.
        freeze_norms_from: share of the steps after which the normalizations use their running statistics, as at
            inference: with two crops in a batch the statistics of a batch say little of a whole scan.
        weight_decay: AdamW.
        ema: decay of the averaged weights that are evaluated and shipped.
        shares: shell pattern of case names -> share of the samples; a case counts for the first pattern it matches.
        exclude: shell patterns of cases never read.
        checkpoint_every: steps between checkpoints.
        bfloat16: whether the network computes in bfloat16 where that is safe, as torch's autocast does; weights and
            losses stay single precision. 1.6 times as fast on processors that multiply bfloat16.
    """

    seed: int = 0
    steps: int = 1000
    batch: int = 6
    learning_rate: float = 2e-3
    warmup: float = 0.05
    freeze_norms_from: float = 0.8
    weight_decay: float = 0.03
    ema: float = 0.995
    shares: dict[str, float] = field(default_factory=lambda: {"*": 1.0})
    exclude: tuple[str, ...] = ()
    checkpoint_every: int = 200
    bfloat16: bool = False

    @classmethod
    def read(cls, path: Path) -> RunConfig:
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
    def from_dict(cls, data: dict) -> RunConfig:
        """Build from plain JSON values.

        Raises:
            ValueError, TypeError: they are not such a configuration.
        """
        if not isinstance(data, dict):
            raise TypeError("not a JSON object")
        unknown = set(data) - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(f"unknown settings {sorted(unknown)}")
        plain = cls()
        config = replace(plain, **{name: _made(value, getattr(plain, name)) for name, value in data.items()})
        for name, default in asdict(plain).items():
            if not _alike(asdict(config)[name], default):
                raise ValueError(f"{name} is of another kind than its default")
        return config

    def to_dict(self) -> dict:
        """Plain values for JSON and checkpoints."""
        return asdict(self)


def _made(value: object, default: object) -> object:
    """A JSON value as the settings hold it: in a class of their own, or a tuple."""
    if is_dataclass(default):
        return replace(default, **value)
    return tuple(tuple(row) if isinstance(row, list) else row for row in value) if isinstance(value, list) else value


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
