"""A small network that places one vertebral-body centre in a cube around its estimate, by integral regression.

The cube is sampled around the estimate itself, not on a grid of the scan, so the place no longer depends on where the
voxels of the working grid fall (Sun et al. 2018, "Integral Human Pose Regression", arXiv 1711.08229, for the
soft-argmax).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .network import ConvNorm, Residual, channels_last

CELL_MM = 2.0
CELLS = 24  # 48 mm: the body, its neighbors' end plates, the canal and the pedicles
_HEAT_MM = 2 * CELL_MM


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


class PlacingNet(nn.Module):
    """Input (B, 1, CELLS, CELLS, CELLS): windowed HU."""

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

    def forward(self, x: Tensor) -> Placed:
        x = self.fine(channels_last(functional.relu_(self.stem(x))))
        deep = self.up(self.coarse(functional.relu_(self.down(x))))
        x = self.fuse(x + functional.interpolate(deep, scale_factor=2, mode="trilinear"))
        heat = torch.softmax(self.heat(x).float().flatten(1), dim=1).view(len(x), *x.shape[2:])
        # the stem's strided cells are centred half a voxel before the middle of their pairs: the offset is learned
        along = torch.stack([heat.sum(dim=others) for others in ((2, 3), (1, 3), (1, 2))], dim=1)
        mean = (along * self.axis).sum(2)
        variance = (along * (self.axis - mean[:, :, None]) ** 2).sum(2)
        return Placed(mean, variance.amax(1).sqrt())
