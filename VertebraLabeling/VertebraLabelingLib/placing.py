"""Place the candidates once more, each in a cube around itself; see :mod:`.placing_network`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from .grid_crop import crop_around
from .labels import Evidence
from .network import window
from .placing_network import CELL_MM, CELLS, PlacingNet
from .sampling import sample
from .volume import Volume, block_factors, block_mean, grid_axes, ras_to_ijk, to_canonical

ROUNDS = 3
FARTHEST_MM = 6.0  # a candidate that wanders farther stays where it was
MARGIN_MM = 45.0
_FINE_MM = 2.0


def place(evidence: Evidence, volume: Volume, network: PlacingNet, device: str = "cpu", first: int = 0) -> Evidence:
    """Move each candidate to where the network sees the centre of its body.

    Args:
        evidence: of the first network; everything but the points stays.
        volume: the scan, HU.
        network: in evaluation mode.
        first: candidates before this one stay where they are.
    """
    before = evidence.points[first:]
    if len(before) == 0:
        return evidence
    box = crop_around(to_canonical(volume), before, MARGIN_MM)
    box = block_mean(box, block_factors(box, _FINE_MM))
    image = torch.from_numpy(np.ascontiguousarray(box.array)).to(device)
    points = before
    for _ in range(ROUNDS):
        points = points + offsets(network, image, box, points)
    near = np.linalg.norm(points - before, axis=1) <= FARTHEST_MM
    placed = np.where(near[:, None], points, before)
    return replace(evidence, points=np.concatenate([evidence.points[:first], placed]))


@torch.inference_mode()
def offsets(network: PlacingNet, image: Tensor, box: Volume, points: np.ndarray) -> np.ndarray:
    """(N, 3) mm, RAS: from each point to the centre, the mean of the scan and of its left-right mirror image."""
    axis = (np.arange(CELLS) - (CELLS - 1) / 2) * CELL_MM
    s, a, r = np.meshgrid(axis, axis, axis, indexing="ij")
    axes = grid_axes(box)
    world = points[:, None] + np.stack([r, a, s], axis=-1).reshape(1, -1, 3) @ axes.T
    index = ras_to_ijk(box, world.reshape(-1, 3))[:, ::-1].reshape(len(points), CELLS, CELLS, CELLS, 3)
    cubes = sample(image, torch.from_numpy(index.astype(np.float32)).to(image.device))
    both = window(torch.cat([cubes, cubes.flip(3)]))[:, None]
    zyx = network.to(image.device)(both).double().cpu().numpy().reshape(2, len(points), 3)
    zyx[1, :, 2] *= -1
    return zyx.mean(axis=0)[:, ::-1] @ axes.T
