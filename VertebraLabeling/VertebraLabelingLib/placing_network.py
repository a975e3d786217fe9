"""A small network that places one vertebral-body centre in a cube around its estimate, by integral regression.

The cube is sampled around the estimate itself, not on a grid of the scan, so the place no longer depends on where the
voxels of the working grid fall (Sun et al. 2018, "Integral Human Pose Regression", arXiv 1711.08229, for the
soft-argmax). Where the voxels of the scan are larger than the cells of the cube, the network is told where they begin
and end: what it sees between two of them is interpolated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .network import ConvNorm, Residual, channels_last

CELL_MM = 2.0
CELLS = 24  # 48 mm: the body, its neighbors' end plates, the canal and the pedicles
_HEAT_MM = 2 * CELL_MM
_LARGE_MM = 8.0  # size of a voxel that the network is told as 1


@dataclass
class Placed:
    """What the network says of a batch.

    Attributes:
        offset: (B, 3) mm (z, y, x) from the middle of the cube to the body centre: the mean of the heat map.
        spread: (B,) mm, standard deviation of the heat map along its widest axis. A heat map that hesitates between
            two bodies, or sees none, is wide.
    """

    offset: Tensor
    spread: Tensor


def told_of_voxels(places: np.ndarray, size_mm: np.ndarray) -> Tensor:
    """(B, 6, CELLS) what the network is told of large voxels: for each axis (z, y, x) a wave and their size.

    Args:
        places: (B, 3, CELLS) where the cells of each cube lie along each axis, in voxels. The wave is 1 at the middle
            of a voxel, a whole number, and -1 between two of them.
        size_mm: (3,) of the voxels; 0 along an axis where they are no larger than the cells: nothing is told of it.
    """
    large = (np.asarray(size_mm) > 0)[:, None]
    told = np.stack(
        np.broadcast_arrays(np.cos(2 * np.pi * places) * large, np.reshape(size_mm, (3, 1)) / _LARGE_MM), axis=2
    )
    return torch.from_numpy(told.astype(np.float32)).flatten(1, 2)


class PlacingNet(nn.Module):
    """Input (B, 1, CELLS, CELLS, CELLS): windowed HU; where some voxels are large also :func:`told_of_voxels`."""

    def __init__(self, widths: tuple[int, ...] = (24, 48)) -> None:
        super().__init__()
        self.widths = tuple(widths)
        fine, coarse = self.widths
        self.stem = ConvNorm(1, fine, 3, 2)
        self.voxels = nn.Conv1d(6, 3 * fine, 3, 2, padding=1, groups=3, bias=False)  # along each axis by itself
        nn.init.zeros_(self.voxels.weight)
        self.fine = Residual(fine, fine)
        self.down = ConvNorm(fine, coarse, 3, 2)
        self.coarse = nn.Sequential(Residual(coarse, coarse), Residual(coarse, coarse))
        self.up = ConvNorm(coarse, fine, 1)
        self.fuse = Residual(fine, fine)
        self.heat = nn.Conv3d(fine, 1, 1)
        axis = (torch.arange(CELLS // 2) - (CELLS // 2 - 1) / 2) * _HEAT_MM
        self.register_buffer("axis", axis, persistent=False)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False):
        """As :meth:`nn.Module.load_state_dict`; networks before weights 8 were told nothing of voxels."""
        untold = {"voxels.weight": torch.zeros_like(self.voxels.weight)}
        return super().load_state_dict({**untold, **state_dict}, strict, assign)

    def forward(self, x: Tensor, voxels: Tensor | None = None) -> Placed:
        x = self.stem(x)
        if voxels is not None:
            along_z, along_y, along_x = self.voxels(voxels).unflatten(1, (3, -1)).unbind(1)
            x = x + along_z[..., :, None, None] + along_y[..., None, :, None] + along_x[..., None, None, :]
        x = self.fine(channels_last(functional.relu_(x)))
        deep = self.up(self.coarse(functional.relu_(self.down(x))))
        x = self.fuse(x + functional.interpolate(deep, scale_factor=2, mode="trilinear"))
        heat = torch.softmax(self.heat(x).float().flatten(1), dim=1).view(len(x), *x.shape[2:])
        # the stem's strided cells are centred half a voxel before the middle of their pairs: the offset is learned
        along = torch.stack([heat.sum(dim=others) for others in ((2, 3), (1, 3), (1, 2))], dim=1)
        mean = (along * self.axis).sum(2)
        variance = (along * (self.axis - mean[:, :, None]) ** 2).sum(2)
        return Placed(mean, variance.amax(1).sqrt())
