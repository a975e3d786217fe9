"""A small network that places one vertebral-body center in a cube around its estimate, by integral regression.

The cube is sampled around the estimate itself, not on a grid of the scan, so the place no longer depends on where the
voxels of the working grid fall (Sun et al. 2018, "Integral Human Pose Regression", arXiv 1711.08229, for the
soft-argmax). Of very large voxels the network is also told where they begin and end: between their middles it sees only
what splines interpolate. See docs/decisions/0003-centroid-network.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..preprocessing.upsampling import ROUNDING_MM
from .layers import ConvNorm, Residual, channels_last

CELL_MM = 2.0
CELLS = 24  # 48 mm: the body, its neighbors' end plates, the canal and the pedicles
CELL_PLACES_MM = (np.arange(CELLS) - (CELLS - 1) / 2) * CELL_MM  # from the middle of the cube, along each axis
_HEAT_MM = 2 * CELL_MM
PHASE_MM = 5.5  # smaller voxels have no phase for the network
_SIZE_UNIT_MM = 8.0


@dataclass
class Placed:
    """What the network says of a batch.

    Attributes:
        offset: (B, 3) mm (z, y, x) from the middle of the cube to the body center: the mean of the heat map.
        spread: (B,) mm, standard deviation of the heat map along its widest axis. A heat map that hesitates between
            two bodies, or sees none, is wide.
    """

    offset: Tensor
    spread: Tensor


def has_phase(size_mm: np.ndarray) -> np.ndarray:
    """Whether voxels of these sizes have a phase for the network."""
    return np.asarray(size_mm) >= PHASE_MM - ROUNDING_MM


def voxel_phase(places: np.ndarray, size_mm: np.ndarray) -> Tensor:
    """(B, 9, CELLS) how voxels lie in cubes: for each axis (z, y, x) the cosine and sine of the phase, and the size.

    Args:
        places: (B, 3, CELLS) where the cells of each cube lie along each axis, in voxels: whole numbers in the middles.
        size_mm: (3,) of the voxels along the axes. Where it is less than :data:`PHASE_MM` all three are 0.
    """
    angle, size = 2 * np.pi * places, np.reshape(size_mm, (3, 1))
    phase = np.stack(np.broadcast_arrays(np.cos(angle), np.sin(angle), size / _SIZE_UNIT_MM), axis=2)
    phase *= has_phase(size)[:, None]
    return torch.from_numpy(phase.astype(np.float32)).flatten(1, 2)


class CentroidNetwork(nn.Module):
    """Inputs: windowed HU (B, 1, CELLS, CELLS, CELLS) and, where it is known, :func:`voxel_phase` (B, 9, CELLS)."""

    def __init__(self, widths: tuple[int, ...] = (24, 48)) -> None:
        super().__init__()
        self.widths = tuple(widths)
        fine, coarse = self.widths
        self.stem = ConvNorm(1, fine, 3, 2)
        self.fine = Residual(fine, fine)
        self.down = ConvNorm(fine, coarse, 3, 2)
        self.coarse = nn.Sequential(Residual(coarse, coarse), Residual(coarse, coarse))
        self.up = ConvNorm(coarse, fine, 1)
        self.fuse = Residual(fine, fine)
        self.heat = nn.Conv3d(fine, 1, 1)
        axis = (torch.arange(CELLS // 2) - (CELLS // 2 - 1) / 2) * _HEAT_MM
        self.register_buffer("axis", axis, persistent=False)
        self.phase = nn.Conv1d(9, 3 * fine, 3, 2, padding=1, groups=3, bias=False)  # along each axis by itself
        nn.init.zeros_(self.phase.weight)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """As in the base; a missing ``phase.weight`` (up to vertebra-labeling-7) is zero: no phase is known."""
        state_dict.setdefault(f"{prefix}phase.weight", torch.zeros_like(self.phase.weight))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, x: Tensor, phase: Tensor | None = None) -> Placed:
        x = self.stem(x)
        if phase is not None:
            along_z, along_y, along_x = self.phase(phase).unflatten(1, (3, -1)).unbind(1)
            x = x + along_z[..., :, None, None] + along_y[..., None, :, None] + along_x[..., None, None, :]
        x = self.fine(channels_last(functional.relu_(x)))
        deep = self.up(self.coarse(functional.relu_(self.down(x))))
        x = self.fuse(x + functional.interpolate(deep, scale_factor=2, mode="trilinear"))
        heat = torch.softmax(self.heat(x).float().flatten(1), dim=1).view(len(x), *x.shape[2:])
        # the stem's strided cells are centered half a voxel before the middle of their pairs: the offset is learned
        along = torch.stack([heat.sum(dim=others) for others in ((2, 3), (1, 3), (1, 2))], dim=1)
        mean = (along * self.axis).sum(2)
        variance = (along * (self.axis - mean[:, :, None]) ** 2).sum(2)
        return Placed(mean, variance.amax(1).sqrt())
