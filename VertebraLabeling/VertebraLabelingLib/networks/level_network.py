"""A second, small network that counts vertebrae along the straightened spine (:mod:`.straightening`).

Cross-sections are encoded with their neighbors, flattened to one vector for each 4 mm of the curve, and a Bi-LSTM of
two layers runs along it both ways: what it has seen at one vertebra (dens, first rib, last rib, sacrum) names the
others by their number. Local heads read the vectors before the Bi-LSTM: what level each vertebra looks like, whether
it is one from which a spine is counted, and whether it bears ribs. They keep the encoder to what each vertebra itself
shows, and are evidence of their own: counts from above and from below can be compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..core.anatomy import LEVELS
from ..preprocessing.straightening import DEPTH_CELLS, SIDE_CELLS
from .layers import ConvNorm, Residual, channels_last

STRIDE = 2  # sections per output row
MULTIPLE = 8  # sections are padded with air to a multiple of this
OUTPUTS = len(LEVELS) + 1  # and "no vertebra" (skull, sacrum, outside the field of view)
LANDMARKS = ("C2", "first rib", "last above the sacrum")
NO_RIB, SHORT_RIB, LONG_RIB = range(3)  # short: a stub of less than 4 cm
RIB_CLASSES, SIDES = 3, 2


@dataclass
class Counted:
    """What the network says of a batch; S/2 rows along the curve.

    Attributes:
        level: (B, S/2, 27) logits of the level at each row, after the Bi-LSTM.
        local: (B, S/2, 27) the same from each row's surroundings alone.
        center: (B, S/2) logit of "a body center lies here".
        landmark: (B, S/2, 3) logit of "this is the vertebra" for each of :data:`LANDMARKS`.
        rib: (B, S/2, 2, 3) logits of the ribs' classes, at the left of the image and at its right.
    """

    level: Tensor
    local: Tensor
    center: Tensor
    landmark: Tensor
    rib: Tensor


class LevelNetwork(nn.Module):
    """Input (B, 1, S, DEPTH_CELLS, SIDE_CELLS): windowed HU, S even."""

    def __init__(self, widths: tuple[int, ...] = (16, 24, 48, 64), features: int = 128, hidden: int = 96) -> None:
        super().__init__()
        self.widths = tuple(widths)
        w0, w1, w2, w3 = self.widths
        self.stem = ConvNorm(1, w0, 3, (1, 2, 2))
        self.e1 = Residual(w0, w1, (2, 1, 1))
        self.e2 = Residual(w1, w2, (1, 2, 2))
        self.e3 = Residual(w2, w3, (1, 2, 2))
        across = (-(-DEPTH_CELLS // 8), -(-SIDE_CELLS // 8))
        self.flatten = nn.Conv3d(w3, features, (1, *across))
        self.context = nn.ModuleList(nn.Conv1d(features, features, 3, padding=d, dilation=d) for d in (1, 2, 4))
        self.drop = nn.Dropout(0.2)
        self.local = nn.Conv1d(features, OUTPUTS, 1)
        self.center = nn.Conv1d(features, 1, 1)
        self.landmark = nn.Conv1d(features, len(LANDMARKS), 1)
        self.rib = nn.Conv1d(features, SIDES * RIB_CLASSES, 1)
        self.lstm = nn.LSTM(features, hidden, num_layers=2, batch_first=True, bidirectional=True, dropout=0.2)
        self.level = nn.Linear(2 * hidden, OUTPUTS)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """As in the base; where heads for landmarks and ribs are missing, nothing is said of them: even odds."""
        for name, module in (("landmark", self.landmark), ("rib", self.rib)):
            state_dict.setdefault(f"{prefix}{name}.weight", torch.zeros_like(module.weight))
        state_dict.setdefault(f"{prefix}landmark.bias", torch.zeros_like(self.landmark.bias))
        even = torch.tensor([math.log(RIB_CLASSES - 1.0), 0.0, 0.0] * SIDES)
        state_dict.setdefault(f"{prefix}rib.bias", even)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, x: Tensor) -> Counted:
        x = channels_last(functional.relu_(self.stem(x)))
        x = self.flatten(self.e3(self.e2(self.e1(x))))[:, :, :, 0, 0]
        for layer in self.context:
            x = x + functional.relu(layer(functional.relu(x)))
        x = self.drop(functional.relu(x))
        hidden, _ = self.lstm(x.transpose(1, 2))
        return Counted(
            self.level(self.drop(hidden)),
            self.local(x).transpose(1, 2),
            self.center(x)[:, 0],
            self.landmark(x).transpose(1, 2),
            self.rib(x).transpose(1, 2).unflatten(2, (SIDES, RIB_CLASSES)),
        )
