"""The batches and the loss of the placing network (:mod:`..placing_network`); run by :mod:`.small`.

Cubes lie around true body centres, moved, turned and zoomed at random. Each is in the batch twice, as it is and seen
through larger voxels: the place must not depend on how large these are, so the second must say what the first says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..finer_voxels import finer
from ..network import window
from ..placing_network import CELL_MM, CELLS, PlacingNet
from ..sampling import sample_part
from ..volume import AIR_HU, Volume
from .cases import Case
from .coarse_voxels import coarsen
from .intensity import vary_look
from .small_loop import SmallConfig, SmallTrainer


@dataclass(frozen=True)
class PlacingConfig(SmallConfig):
    """Further settings: how cubes vary, standard deviations in mm and degrees; ``zoom`` is that of a logarithm."""

    steps: int = 2500
    batch: int = 12  # pairs of cubes
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    ema: float = 0.99
    shift: float = 4.5  # of the cube from the centre, and at most ``reach`` of the way to the nearest other centre
    reach: float = 0.45
    rotation: float = 10.0
    zoom: float = 0.1
    coarse_mm: tuple[float, float] = (2.5, 8.5)  # sizes of the larger voxels; in half of the cubes along some axes only
    alike: float = 1.0  # weight of what both cubes of a pair say otherwise, in a training that starts from another


def draw_pair(case: Case, rng: np.random.Generator, config: PlacingConfig) -> tuple[Tensor, Tensor, Tensor]:
    """A cube near a whole vertebra of a case.

    Returns:
        the cube (CELLS,)*3 HU, the same through larger voxels, and the way (3,) mm from its middle to the centre.
    """
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
    coarse = coarsen(cube, CELL_MM, _large_voxel(rng, config), rng)
    if rng.random() < 0.2:  # the field of view ends in the cube
        edge = int(rng.integers(1, CELLS // 3))
        outside = slice(None, edge) if rng.random() < 0.5 else slice(-edge, None)
        cube, coarse = cube.clone(), coarse.clone()
        cube[outside] = coarse[outside] = AIR_HU
    return cube, coarse, torch.from_numpy(away.astype(np.float32))


def _large_voxel(rng: np.random.Generator, config: PlacingConfig) -> np.ndarray:
    """(3,) mm; 0 along the axes that stay as they are."""
    size = np.exp(rng.uniform(*np.log(config.coarse_mm), 3))
    if rng.random() < 0.5:
        kept = rng.random(3) < 0.5
        kept[int(rng.integers(3))] = True
        size = np.where(kept, size, 0.0)
    return size


def finer_case(case: Case) -> Case:
    """A case with its large voxels divided, as :func:`..placing.place` sees a scan."""
    volume = Volume(case.image.numpy(), np.diag([*case.spacing.numpy()[::-1].astype(float), 1.0]))
    fine = finer(volume)
    if fine is volume:
        return case
    image = torch.from_numpy(np.clip(np.rint(fine.array), -1500, 8000).astype(np.int16))
    spacing, first = fine.spacing[::-1].copy(), fine.ijk_to_ras[2::-1, 3].copy()
    as_tensor = partial(torch.tensor, dtype=torch.float32)
    return replace(case, image=image, spacing=as_tensor(spacing), points=case.points - as_tensor(first))


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
        whole = [finer_case(case) for case in cases if not bool(case.cut.all())]
        super().__init__(PlacingNet, config, whole, out)

    def batch(self, step: int) -> tuple[Tensor, ...]:
        """(2B, 1, CELLS, CELLS, CELLS) HU and (2B, 3) mm from the middle to the centre; the second half is coarse."""
        drawn = [
            draw_pair(self.cases[int(rng.choice(len(self.cases), p=self.probabilities))], rng, self.config)
            for rng in self.random(step)
        ]
        cubes, coarse, away = (torch.stack(each) for each in zip(*drawn))
        return torch.cat([cubes, coarse])[:, None], torch.cat([away, away])

    def loss(self, images: Tensor, *targets: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Mean absolute error of each axis, mm, and what the coarse cubes say otherwise than the others.

        A network that starts from scratch is not charged for the latter: it might learn to say the same of every cube.
        """
        offset = self.network(window(images)).offset
        fine, coarse = offset.chunk(2)
        error, unlike = (offset - targets[0]).abs().mean(), (coarse - fine.detach()).abs().mean()
        alike = self.config.alike if self.start else 0.0
        terms = {"error_mm": error, "unlike_mm": unlike}
        return error + alike * unlike, {name: round(float(t.detach()), 4) for name, t in terms.items()}
