"""What the level network should say of each row of a straightened piece of spine."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS
from VertebraLabelingLib.core.volume import AIR_HU
from VertebraLabelingLib.networks.level_network import LANDMARKS, NO_RIB, RIB_CLASSES, SHORT_RIB, SIDES, STRIDE
from VertebraLabelingLib.preprocessing.straightening import STEP_MM

from .variant_counts import UNNAMED

IGNORE = -100
SOME_RIB = -1  # short or long
CENTER_SIGMA_MM = 3.0
_NONE = len(LEVELS)
_C1, _C2, _T1, _T12, _T13, _L1, _L5 = (LEVEL_INDEX[level] for level in ("C1", "C2", "T1", "T12", "T13", "L1", "L5"))
_MARKS = (_C2, _T1, _L5)  # what vertebra each of LANDMARKS is


@dataclass
class Piece:
    """A straightened piece of spine.

    Attributes:
        image: (S, A, R) HU.
        rows: (N,) section number of each vertebra.
        levels: (N,) level index of each in its own patient's spine.
        cut: (N,) whether the image edge cuts it.
        whole: (N,) whether the field of view was meant to show it; all by default.
        names: (N,) what it is called in this piece, ``UNNAMED`` where nothing settles it; ``levels`` by default.
        ribs: vertebra -> class of its ribs, or :data:`SOME_RIB`, where they were changed.
        exact: the truth knows all ribs and which vertebra is the last one; not so for drawn spines.
    """

    image: Tensor
    rows: np.ndarray
    levels: np.ndarray
    cut: np.ndarray
    whole: np.ndarray | None = None
    names: np.ndarray | None = None
    ribs: dict[int, int] = field(default_factory=dict)
    exact: bool = True

    def __post_init__(self) -> None:
        self.whole = np.ones(len(self.rows), dtype=bool) if self.whole is None else self.whole
        self.names = self.levels if self.names is None else self.names


@dataclass
class Targets:
    """For each of R rows.

    Attributes:
        level: (R,) class 0..26 of the name, IGNORE where truth says nothing.
        local: (R,) the same of the vertebra in its own patient's spine.
        center: (R,) 0..1, and ``center_weight`` (R,).
        landmark: (R, 3) 0 or 1 for each of ``LANDMARKS``, IGNORE where truth says nothing.
        rib: (R, 2, 3) 1 for each class of ribs that is possible, left and right; all 0 where truth says nothing.
    """

    level: Tensor
    local: Tensor
    center: Tensor
    center_weight: Tensor
    landmark: Tensor
    rib: Tensor


def targets(piece: Piece, sections: int) -> Targets:
    """The targets for each of ``sections // 2`` rows."""
    count = sections // STRIDE
    at = (np.arange(count) + 0.5) * STRIDE - 0.5
    order = np.argsort(piece.rows)
    rows, looks, names, cut = (array[order] for array in (piece.rows, piece.levels, piece.names, piece.cut))
    gap = np.diff(rows)
    typical = np.median(gap) if len(gap) else 12.0
    above, below = np.insert(gap, 0, typical), np.append(gap, typical)
    level, local = np.full(count, IGNORE), np.full(count, IGNORE)
    landmark, rib = np.full((count, len(LANDMARKS)), IGNORE), np.zeros((count, SIDES, RIB_CLASSES))
    for n, (row, up, down) in enumerate(zip(rows, above, below)):
        own = (at > row - 0.42 * up) & (at <= row + 0.42 * down)
        local[own] = looks[n]
        level[own] = IGNORE if names[n] == UNNAMED else names[n]
        landmark[own] = [int(looks[n] == mark) for mark in _MARKS]
        if not piece.exact and looks[n] >= _L1:
            landmark[own, -1] = IGNORE
        rib[own] = _possible_ribs(int(looks[n]), piece.ribs.get(int(order[n])), piece.exact)
    air = (piece.image[: count * STRIDE] < AIR_HU + 50).flatten(1).float().mean(1).view(count, STRIDE).mean(1).numpy()
    outside = air > 0.995
    beyond = np.zeros(count, dtype=bool)
    if len(rows) and looks[0] == _C1:
        beyond |= at < rows[0] - 0.8 * above[0]
    if len(rows) and looks[-1] >= _L5:
        beyond |= at > rows[-1] + 0.8 * below[-1]
    level[outside | beyond], local[outside | beyond] = _NONE, _NONE
    landmark[beyond & ~outside] = 0
    rib[beyond & ~outside] = np.eye(RIB_CLASSES)[NO_RIB]
    landmark[outside], rib[outside] = IGNORE, 0
    center, weight = np.zeros(count), np.full(count, 1.0)
    if len(rows):
        distance = np.abs(at[:, None] - rows[None]) * STEP_MM
        center = np.exp(-0.5 * (distance.min(1) / CENTER_SIGMA_MM) ** 2)
        weight[(distance[:, cut] < 10).any(1)] = 0
        unknown = (at < rows[0] - 0.6 * above[0]) | (at > rows[-1] + 0.6 * below[-1])
        weight[unknown & (level == IGNORE)] = 0
        center[outside] = 0
    as_float = {"dtype": torch.float32}
    return Targets(
        torch.from_numpy(level),
        torch.from_numpy(local),
        torch.tensor(center, **as_float),
        torch.tensor(weight, **as_float),
        torch.from_numpy(landmark),
        torch.tensor(rib, **as_float),
    )


def _possible_ribs(look: int, changed: int | None, exact: bool) -> np.ndarray:
    """(3,) 1 for each class that the ribs of a vertebra may be of."""
    classes = np.eye(RIB_CLASSES)
    if changed not in (None, SOME_RIB):
        return classes[changed]
    if changed == SOME_RIB or look in (_T12, _T13):  # from stubs to long ones
        return classes[SHORT_RIB:].sum(axis=0) if exact or changed == SOME_RIB else np.zeros(RIB_CLASSES)
    if _T1 <= look < _T12:
        return classes[-1]
    return np.zeros(RIB_CLASSES) if not exact and look in (_T1 - 1, _L1) else classes[NO_RIB]
