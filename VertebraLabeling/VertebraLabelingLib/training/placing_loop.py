"""The batches and the loss of the placing network (:mod:`..placing_network`); run by :mod:`.small`.

Cubes lie around true body centres, moved, turned and zoomed at random, half of them seen through larger voxels: the
place must not depend on how thick the slices are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..network import window
from ..placing_network import CELL_MM, CELLS, PlacingNet
from ..sampling import sample_part
from ..volume import AIR_HU
from .cases import Case
from .coarse_voxels import coarsen
from .intensity import vary_look
from .small_loop import SmallConfig, SmallTrainer


@dataclass(frozen=True)
class PlacingConfig(SmallConfig):
    """Further settings: how cubes vary, standard deviations in mm and degrees; ``zoom`` is that of a logarithm."""

    steps: int = 2500
    batch: int = 24
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    ema: float = 0.99
    shift: float = 4.5  # of the cube from the centre, and at most ``reach`` of the way to the nearest other centre
    reach: float = 0.45
    rotation: float = 10.0
    zoom: float = 0.1
    coarse: float = 0.5  # share with larger voxels, half of these along one axis only (slices)
    coarsest_mm: float = 8.0


def draw_cube(case: Case, rng: np.random.Generator, config: PlacingConfig) -> tuple[Tensor, Tensor]:
    """A cube (CELLS,)*3 HU near a whole vertebra of a case, and the way (3,) mm from its middle to the centre."""
    whole = (~case.cut).nonzero()[:, 0]
    chosen = whole[int(rng.integers(len(whole)))]
    point = case.points[chosen].numpy()
    matrix = _matrix(rng, config)
    away = rng.normal(0, config.shift, 3)  # in the cube
    away *= min(1.0, config.reach * _nearest_mm(case, int(chosen)) / max(float(np.linalg.norm(away)), 1e-6))
    axis = (np.arange(CELLS) - (CELLS - 1) / 2) * CELL_MM
    offsets = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1) - away
    mm = point + offsets @ matrix.T
    index = mm / case.spacing.numpy()
    cube = vary_look(sample_part(case.image, torch.from_numpy(index.astype(np.float32))), rng)
    if rng.random() < config.coarse:
        size = np.exp(rng.uniform(np.log(CELL_MM), np.log(config.coarsest_mm), 3))
        cube = coarsen(cube, CELL_MM, size if rng.random() < 0.5 else (size[0], 0, 0), rng)
    if rng.random() < 0.2:  # the field of view ends in the cube
        edge = int(rng.integers(1, CELLS // 3))
        cube = cube.clone()
        if rng.random() < 0.5:
            cube[:edge] = AIR_HU
        else:
            cube[-edge:] = AIR_HU
    return cube, torch.from_numpy(away.astype(np.float32))


def _nearest_mm(case: Case, number: int) -> float:
    """Distance of a vertebra to the nearest other one; no more than 25 mm."""
    apart = (case.points - case.points[number]).norm(dim=1)
    apart[number] = 25.0
    return float(apart.min().clamp(max=25.0))


def _matrix(rng: np.random.Generator, config: PlacingConfig) -> np.ndarray:
    """(3, 3) from cube mm to scan mm: turn, zoom, left-right flip."""
    z, y, x = np.radians(rng.normal(0, config.rotation, 3))
    skew = np.array([[0, -x, y], [x, 0, -z], [-y, z, 0]])
    turn = np.linalg.inv(np.eye(3) - skew / 2) @ (np.eye(3) + skew / 2)  # Cayley: a rotation
    zoom = np.exp(np.clip(rng.normal(0, config.zoom), -0.25, 0.25) + rng.normal(0, config.zoom / 3, 3))
    return turn @ np.diag(zoom * (1, 1, -1 if rng.random() < 0.5 else 1))


class PlacingTrainer(SmallTrainer):
    """Trains a :class:`PlacingNet`; cases without a whole vertebra are left out."""

    def __init__(self, config: PlacingConfig, cases: list[Case], out: Path) -> None:
        super().__init__(PlacingNet, config, [case for case in cases if not bool(case.cut.all())], out)

    def batch(self, step: int) -> tuple[Tensor, ...]:
        """(B, 1, CELLS, CELLS, CELLS) HU and (B, 3) mm from the middle to the centre."""
        drawn = [
            draw_cube(self.cases[int(rng.choice(len(self.cases), p=self.probabilities))], rng, self.config)
            for rng in self.random(step)
        ]
        return torch.stack([cube for cube, _ in drawn])[:, None], torch.stack([away for _, away in drawn])

    def loss(self, images: Tensor, *targets: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Mean absolute error of each axis, mm."""
        return (self.network(window(images)).offset - targets[0]).abs().mean(), {}
