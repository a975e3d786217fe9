"""The batches and the loss of the centroid network (:mod:`..centroid_network`), and the settings of its runs.

Cubes lie around true body centers, moved, turned and zoomed at random. Each is in the batch twice, as it is and seen
through larger voxels: the place must not depend on how large these are. In a training that starts from an earlier
network, that network stays beside it as it was, and says of the first cube what the new one must say of both.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from VertebraLabelingLib.core.parameters import SHIPPED
from VertebraLabelingLib.core.volume import AIR_HU, Volume
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.networks.centroid_network import CELL_MM, CELL_PLACES_MM, CELLS, CentroidNetwork, voxel_phase
from VertebraLabelingLib.networks.layers import window
from VertebraLabelingLib.preprocessing.interpolation import sample_part
from VertebraLabelingLib.preprocessing.upsampling import finer

from ..augmentation.coarse_voxels import coarsen, places_in_voxels
from ..augmentation.intensity import vary_look
from ..data.cases import Case
from .config import RunConfig
from .trainer import Trainer

JUDGED_FROM, JUDGED_BATCHES = 500, 8  # steps before which no training is judged; batches that it is judged by
HOPELESS_MM = 2.0  # differences beyond it are charged less than by their squares


@dataclass(frozen=True)
class CentroidConfig(RunConfig):
    """Further settings: how cubes vary, standard deviations in mm and degrees; ``zoom`` is that of a logarithm.

    Never read are spines spliced of two patients and bone-only CT, whose centers were placed by eye on bone alone.
    """

    steps: int = 2500
    batch: int = 12  # pairs of cubes
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    ema: float = 0.99
    shares: dict[str, float] = field(default_factory=lambda: {"openkbp/*": 0.45, "ct/*": 0.45, "*": 0.1})
    exclude: tuple[str, ...] = ("*+*", "*synthetic_bone_*")
    shift: float = 4.5  # of the cube from the center, and at most ``reach`` of the way to the nearest other center
    reach: float = 0.45
    rotation: float = 10.0
    zoom: float = 0.1
    coarse_mm: tuple[float, float] = (2.5, 9.0)  # sizes of the larger voxels; in half of the cubes along some axes only
    unknown_phase: float = 0.1  # share of the coarse cubes whose voxels' phase is not told, as in turned scans
    near: float = 0.5  # with an earlier network: share of cubes that lie as those of the last round do,
    near_shift: float = 1.5  # by so much off
    alike: float = 2.0  # weights of what the coarse cubes say otherwise than the earlier network does of the others,
    keep: float = 1.0  # and of what these say otherwise


class Pair(NamedTuple):
    """A cube near a vertebra, as it is and through larger voxels.

    Attributes:
        cube: (CELLS,)*3 HU.
        coarse: the same through larger voxels.
        phase: (9, CELLS) how these voxels lie in it.
        away: (3,) mm from the middle of the cube to the center.
    """

    cube: Tensor
    coarse: Tensor
    phase: Tensor
    away: Tensor


def draw_pair(case: Case, rng: np.random.Generator, config: CentroidConfig) -> Pair:
    """A cube near a whole vertebra of a case."""
    whole = (~case.cut).nonzero()[:, 0]
    chosen = whole[int(rng.integers(len(whole)))]
    point = case.points[chosen].numpy()
    matrix = _matrix(rng, config)
    away = rng.normal(0, config.shift, 3)  # in the cube
    away *= min(1.0, config.reach * _nearest_mm(case, int(chosen)) / max(float(np.linalg.norm(away)), 1e-6))
    offsets = np.stack(np.meshgrid(*[CELL_PLACES_MM] * 3, indexing="ij"), axis=-1) - away
    mm = point + offsets @ matrix.T
    index = mm / case.spacing.numpy()
    cube = vary_look(sample_part(case.image, torch.from_numpy(index.astype(np.float32))), rng)
    size, phases = _large_voxel(rng, config), rng.uniform(0, 1, 3)
    coarse = coarsen(cube, CELL_MM, size, phases)
    if rng.random() < 0.2:  # the field of view ends in the cube
        edge = int(rng.integers(1, CELLS // 3))
        outside = slice(None, edge) if rng.random() < 0.5 else slice(-edge, None)
        cube, coarse = cube.clone(), coarse.clone()
        cube[outside] = coarse[outside] = AIR_HU
    phase = _phase(size, phases) * float(rng.random() >= config.unknown_phase)
    return Pair(cube, coarse, phase, torch.from_numpy(away.astype(np.float32)))


def _large_voxel(rng: np.random.Generator, config: CentroidConfig) -> np.ndarray:
    """(3,) mm; 0 along the axes that stay as they are."""
    size = rng.uniform(*config.coarse_mm, 3)
    if rng.random() < 0.5:
        kept = rng.random(3) < 0.5
        kept[int(rng.integers(3))] = True
        size = np.where(kept, size, 0.0)
    return size


def _phase(size: np.ndarray, phases: np.ndarray) -> Tensor:
    """(9, CELLS) how voxels of these sizes, mm, lie in a cube."""
    cells = np.maximum(size, CELL_MM) / CELL_MM
    places = np.stack([places_in_voxels(CELLS, *each) for each in zip(cells, phases)])
    return voxel_phase(places[None], size)[0]


def finer_case(case: Case) -> Case:
    """A case with its large voxels divided, as :func:`..centroid_refinement.place` sees a scan."""
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


def _matrix(rng: np.random.Generator, config: CentroidConfig) -> np.ndarray:
    """(3, 3) from cube mm to scan mm: turn, zoom, left-right flip."""
    z, y, x = np.radians(rng.normal(0, config.rotation, 3))
    skew = np.array([[0, -x, y], [x, 0, -z], [-y, z, 0]])
    turn = np.linalg.inv(np.eye(3) - skew / 2) @ (np.eye(3) + skew / 2)  # Cayley: a rotation
    zoom = np.exp(np.clip(rng.normal(0, config.zoom), -0.25, 0.25) + rng.normal(0, config.zoom / 3, 3))
    return turn @ np.diag(zoom * (1, 1, -1 if rng.random() < 0.5 else 1))


class CentroidTrainer(Trainer):
    """Trains a :class:`CentroidNetwork`; cases without a whole vertebra are left out."""

    settings, part, reviewed_truth = CentroidConfig, "placing", False

    def __init__(self, config: CentroidConfig, cases: list[Case], out: Path) -> None:
        whole = [finer_case(case) for case in cases if not bool(case.cut.all())]
        super().__init__(CentroidNetwork, config, whole, out)
        self.earlier: CentroidNetwork | None = None

    def batch(self, step: int) -> tuple[Tensor, ...]:
        """The cubes of one step; the second half is coarse.

        Returns:
            HU (2B, 1, CELLS, CELLS, CELLS), phase of their voxels (2B, 9, CELLS), and mm from the middle to the center
            (2B, 3).
        """
        drawn = [self._draw(rng) for rng in self.random(step)]
        cubes, coarse, phase, away = (torch.stack(each) for each in zip(*drawn))
        phases = torch.cat([torch.zeros_like(phase), phase])
        return torch.cat([cubes, coarse])[:, None], phases, torch.cat([away, away])

    def _draw(self, rng: np.random.Generator) -> Pair:
        config = self.config
        if self.earlier and rng.random() < config.near:
            config = replace(config, shift=config.near_shift)
        return draw_pair(self.draw_case(rng), rng, config)

    def initialize(self, path: Path) -> None:
        """As :meth:`Trainer.initialize`; the network as it is now is kept beside the one that learns."""
        super().initialize(path)
        self.earlier = self._fixed(self.average.state_dict())

    def restore(self, saved: dict) -> None:
        """As :meth:`Trainer.restore`.

        Raises:
            InputError: the run was begun by a version that kept no earlier network, or knew no phases of voxels.
        """
        earlier = saved.get("earlier")
        if (saved.get("start") and not earlier) or "phase.weight" not in saved["network"]:
            raise InputError(f"{self.out} was begun by an older version of this program: begin it anew.")
        super().restore(saved)
        self.earlier = self._fixed(earlier) if earlier else None

    def state(self) -> dict:
        """As :meth:`Trainer.state`, with the earlier network."""
        return {**super().state(), "earlier": self.earlier.state_dict() if self.earlier else None}

    def loss(self, images: Tensor, *targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean absolute error of each axis, mm, and what both cubes say otherwise than the earlier network does of one.

        Without an earlier network the latter is not charged: what learns from scratch might learn to say the same of
        every cube.
        """
        cubes, (phase, away) = window(images), targets
        offset = self.network(cubes, phase).offset
        error = (offset - away).abs().mean()
        terms = {"error_mm": error}
        if self.earlier:
            with torch.no_grad():
                aim = self.earlier(cubes.chunk(2)[0]).offset
            fine, coarse = (said - aim for said in offset.chunk(2))
            terms |= {"unlike_mm": coarse.abs().mean(), "moved_mm": fine.abs().mean()}
            error = error + self.config.alike * charge(coarse) + self.config.keep * terms["moved_mm"]
        return error, terms

    def check(self) -> None:
        """Say where the heat maps stay so wide that the centroid refinement could not tell a body from none.

        The loss sees only their means, so now and then a training from scratch ends with flat ones.

        Raises:
            InputError: half of the training cubes have heat maps wider than ``spread_mm`` of
                :class:`.parameters.CentroidParameters`.
        """
        if self.step < JUDGED_FROM:
            return
        with torch.inference_mode():
            fine = [window(self.batch(self.step + n)[0]).chunk(2)[0] for n in range(JUDGED_BATCHES)]
            wide = float(self.average.eval()(torch.cat(fine)).spread.median())
        if not wide <= SHIPPED.centroids.spread_mm:  # true for NaN, too
            raise InputError(
                f"The heat maps of {self.out} are {wide:.1f} mm wide on its own cases, a settled candidate has at most "
                f"{SHIPPED.centroids.spread_mm:.0f} mm: train anew with another --seed."
            )

    @staticmethod
    def _fixed(weights: dict[str, Tensor]) -> CentroidNetwork:
        network = CentroidNetwork().requires_grad_(False).eval()
        network.load_state_dict(weights)
        return network


def charge(unlike: Tensor) -> Tensor:
    """Mean of differences in mm and of their squares: what counts is how seldom a point moves by a millimeter.

    Above :data:`HOPELESS_MM` the square goes on as a straight line, or cubes that hardly show anything would be nearly
    all of it.
    """
    size = unlike.abs()
    bounded = size.clamp(max=HOPELESS_MM)
    return (size + bounded * (2 * size - bounded)).mean()
