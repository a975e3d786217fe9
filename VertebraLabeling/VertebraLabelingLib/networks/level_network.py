"""A second, small network that counts vertebrae along the straightened spine (:mod:`.straightening`).

Cross-sections are encoded with their neighbors, flattened to one vector for each 4 mm of the curve, and a Bi-LSTM of
two layers runs along it both ways: what it has seen at one vertebra (dens, first rib, last rib, sacrum) names the
others by their number. The local head reads the vectors before the Bi-LSTM and keeps the encoder to what each
vertebra itself shows.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from ..core.anatomy import LEVELS
from ..preprocessing.straightening import DEPTH_CELLS, SIDE_CELLS
from .layers import ConvNorm, Residual, channels_last

STRIDE = 2  # sections per output row
MULTIPLE = 8  # sections are padded with air to a multiple of this
OUTPUTS = len(LEVELS) + 1  # and "no vertebra" (skull, sacrum, outside the field of view)


@dataclass
class Counted:
    """What the network says of a batch; S/2 rows along the curve.

    Attributes:
        level: (B, S/2, 27) logits of the level at each row, after the Bi-LSTM.
        local: (B, S/2, 27) the same from each row's surroundings alone.
        center: (B, S/2) logit of "a body center lies here".
    """

    level: Tensor
    local: Tensor
    center: Tensor


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
        self.lstm = nn.LSTM(features, hidden, num_layers=2, batch_first=True, bidirectional=True, dropout=0.2)
        self.level = nn.Linear(2 * hidden, OUTPUTS)

    def forward(self, x: Tensor) -> Counted:
        x = channels_last(functional.relu_(self.stem(x)))
        x = self.flatten(self.e3(self.e2(self.e1(x))))[:, :, :, 0, 0]
        for layer in self.context:
            x = x + functional.relu(layer(functional.relu(x)))
        x = self.drop(functional.relu(x))
        hidden, _ = self.lstm(x.transpose(1, 2))
        return Counted(self.level(self.drop(hidden)), self.local(x).transpose(1, 2), self.center(x)[:, 0])
