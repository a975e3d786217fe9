"""The network "after Qin et al. 2020" (arXiv 2001.00170): a re-implementation from the published abstract.

A residual encoder-decoder with skip connections fuses features of five scales. Three heads read them:

* ``center``: one class-free heat map of vertebral-body centers on the 4 mm grid;
* ``level``: 26 level maps and a background map on the 8 mm grid. The heat map of a level is the sum of both;
* ``sequence``: a Bi-LSTM along the body axis over features pooled around the spine gives a level for every 8 mm slice,
  the multi-label presence of the 26 levels, and the null logit of each level's heat map.

Grid sizes are for the 4 mm working grid; channel widths are :attr:`DetectionNetwork.widths`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..core.anatomy import LEVELS
from ..preprocessing.prepared_scan import GRID_MM
from .layers import ConvNorm, Residual, Up

COARSE_MM = 2 * GRID_MM
STRIDE = 8  # input sizes are padded to multiples of this many voxels (32 mm, the second coarsest scale)
BACKGROUND = len(LEVELS)
SPINE_LOGIT = -2.0  # of a vertebra of any level, in a coarse voxel that may show one
SPINE_MARGIN = 3  # coarse voxels kept around all that may show one: 24 mm
NO_CENTER = -20.0  # logit of a body's center where none is looked for


@dataclass
class Prediction:
    """What the network says of a batch.

    Attributes:
        center: (B, D, H, W) logit of "a vertebral body is centered here", 4 mm grid; :data:`NO_CENTER` where a network
            that is ``near_spine`` did not look.
        level: (B, 27, D/2, H/2, W/2) logits of the 26 levels and of background (last), 8 mm grid.
        slices: (B, D/2, 27) logits of the level that each 8 mm slice shows (last: none).
        presence: (B, 26) logits of "the center of this level lies in the field of view".
        null: (B, 26) logit of the null cell of each level's heat map.
    """

    center: Tensor
    level: Tensor
    slices: Tensor
    presence: Tensor
    null: Tensor


def spine_logit(level: Tensor) -> Tensor:
    """(B, D, H, W) logit of "a vertebra of any level" from (B, 27, D, H, W) logits of levels and background."""
    return torch.logsumexp(level[:, :BACKGROUND], dim=1) - level[:, BACKGROUND]


class SequenceHead(nn.Module):
    """Bi-LSTM along the body axis: from slice features to slice levels, presence and null logits."""

    def __init__(self, features: int, hidden: int = 64) -> None:
        super().__init__()
        self.inputs = nn.Linear(features, hidden)
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True, bidirectional=True)
        self.slices = nn.Linear(2 * hidden, len(LEVELS) + 1)
        self.evidence = nn.Linear(2 * hidden, len(LEVELS))
        nn.init.constant_(self.evidence.bias, -5.0)
        self.null = nn.Parameter(torch.stack([torch.full((len(LEVELS),), -1.0), torch.full((len(LEVELS),), 5.0)]))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x: (B, S, features) -> slices (B, S, 27), presence (B, 26), null (B, 26)."""
        hidden, _ = self.lstm(functional.relu(self.inputs(x)))
        presence = torch.logsumexp(self.evidence(hidden), dim=1)  # present if any slice says so
        slope, offset = self.null
        return self.slices(hidden), presence, slope * presence + offset


class DetectionNetwork(nn.Module):
    """See the module's docstring. Input (B, 1, D, H, W): :func:`window`-ed HU on the 4 mm grid, sizes in STRIDE.

    Attributes:
        near_spine: look for centers only in the box where the level map sees vertebrae. For inference: the fine grid
            is the largest array of the network, and most of a scan is no spine.
    """

    def __init__(self, widths: tuple[int, ...] = (12, 32, 64, 96, 128)) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.inputs = 1
        self.near_spine = False
        w0, w1, w2, w3, w4 = self.widths
        self.stem = ConvNorm(1, w0)  # 4 mm
        self.e1 = Residual(w0, w1, 2)  # 8 mm
        self.e2 = nn.Sequential(Residual(w1, w2, 2), Residual(w2, w2))  # 16 mm
        self.e3 = nn.Sequential(Residual(w2, w3, 2), Residual(w3, w3))  # 32 mm
        self.e4 = nn.Sequential(Residual(w3, w4, 2), Residual(w4, w4))  # 64 mm
        self.u3 = Up(w4, w3, w3)
        self.u2 = Up(w3, w2, w2)
        self.u1 = Up(w2, w1, w1)
        self.level = nn.Conv3d(w1, len(LEVELS) + 1, 1)
        self.fine = nn.Conv3d(w1, 8 * 4, 1)  # 4 features for each of the 8 fine voxels of a coarse one
        self.fine_fuse = ConvNorm(4 + w0, 8)
        self.center = nn.Conv3d(8, 1, 1)
        self.sequence = SequenceHead(w1 + w2)
        self.log_temperature = nn.Parameter(torch.zeros(()))
        # centers and levels are rare: start from their prior instead of spending steps on it
        nn.init.constant_(self.center.bias, -5.0)
        self.level.bias.data[BACKGROUND] += 5.0

    @property
    def temperature(self) -> Tensor:
        """Learned sharpness of the level map inside the heat map, positive."""
        return self.log_temperature.exp()

    def forward(self, x: Tensor) -> Prediction:
        stem = functional.relu_(self.stem(x.expand(-1, self.inputs, -1, -1, -1)))
        s1 = self.e1(stem)
        s2 = self.e2(s1)
        s3 = self.e3(s2)
        d2 = self.u2(self.u3(self.e4(s3), s3), s2)
        d1 = self.u1(d2, s1)
        level = self.level(d1).float()
        center = self._center_near_spine(level, d1, stem) if self.near_spine else self._center(d1, stem)
        slices, presence, null = self.sequence(self._slice_features(level, d1, d2))
        return Prediction(center, level, slices, presence, null)

    def _center(self, d1: Tensor, stem: Tensor) -> Tensor:
        b, _, d, h, w = d1.shape
        # features last in memory, as the convolutions want them: the concatenation needs no further copy
        fine = (
            self.fine(d1)
            .view(b, 4, 2, 2, 2, d, h, w)
            .permute(0, 5, 2, 6, 3, 7, 4, 1)
            .reshape(b, 2 * d, 2 * h, 2 * w, 4)
            .permute(0, 4, 1, 2, 3)
        )
        return self.center(functional.relu_(self.fine_fuse(torch.cat([fine, stem], dim=1))))[:, 0].float()

    def _center_near_spine(self, level: Tensor, d1: Tensor, stem: Tensor) -> Tensor:
        """:meth:`_center` in one box around all that the level map takes for a vertebra, in any scan of the batch."""
        center = torch.full((len(stem), *stem.shape[2:]), NO_CENTER, device=stem.device)
        seen = (spine_logit(level) > SPINE_LOGIT).nonzero()[:, 1:]
        if len(seen) == 0:
            return center
        low = (seen.amin(0) - SPINE_MARGIN).clamp(min=0).tolist()
        high = (seen.amax(0) + 1 + SPINE_MARGIN).tolist()
        coarse = (..., *(slice(a, b) for a, b in zip(low, high)))
        fine = (..., *(slice(2 * a, 2 * b) for a, b in zip(low, high)))
        center[fine] = self._center(d1[coarse], stem[fine])
        return center

    @staticmethod
    def _slice_features(level: Tensor, d1: Tensor, d2: Tensor) -> Tensor:
        """Pool each slice where the level map sees spine, so that the width of the field of view does not matter."""
        spine = spine_logit(level).detach()
        weights = torch.softmax(spine.flatten(2), dim=2)  # (B, S, H*W)
        fine = torch.einsum("bcsn,bsn->bsc", d1.float().flatten(3), weights)
        b, s, (h, w) = spine.shape[0], spine.shape[1], spine.shape[2:]
        pooled = functional.avg_pool3d(weights.view(b, 1, s, h, w), (2, 2, 2)) * 4  # sums to one in every 16 mm slice
        coarse = torch.einsum("bcsn,bsn->bsc", d2.float().flatten(3), pooled[:, 0].flatten(2))
        return torch.cat([fine, coarse.repeat_interleave(2, dim=1)], dim=2)


def widen_input(network: DetectionNetwork) -> DetectionNetwork:
    """Give the folded stem a second input of zero weights, in place; the output stays the same.

    PyTorch leaves a convolution to oneDNN only where batch x channels x depth x height exceeds 20480. One channel of
    a usual scan does not, and its convolution would take three times as long and much more memory.
    """
    weight = network.stem.weight
    network.stem.weight = nn.Parameter(torch.cat([weight, torch.zeros_like(weight)], dim=1), weight.requires_grad)
    network.stem.in_channels = network.inputs = 2
    return network
