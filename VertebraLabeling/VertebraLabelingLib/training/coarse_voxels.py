"""Thick slices and coarse pixels: an image as a scanner with larger voxels would give it, on the grid it has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def coarsen(image: Tensor, cell_mm: float, voxel_mm: Sequence[float], rng: np.random.Generator) -> Tensor:
    """Average over larger voxels that begin anywhere, then interpolate linearly between their centres.

    Args:
        image: (D, H, W) HU.
        cell_mm: size of its cells.
        voxel_mm: (3,) sizes along its axes; an axis whose voxels are no larger than the cells stays as it is.
    """
    for axis, size in enumerate(voxel_mm):
        if size > cell_mm:
            matrix = voxel_matrix(image.shape[axis], size / cell_mm, rng.uniform(0, 1)).to(image)
            image = torch.movedim(torch.tensordot(matrix, image, dims=([1], [axis])), 0, axis)
    return image


def voxel_matrix(cells: int, size: float, phase: float) -> Tensor:
    """(N, N) from cells to their values seen through voxels of ``size`` cells.

    Args:
        phase: 0..1, the part of the first voxel that lies outside of the image.
    """
    edges = np.arange(-phase * size, cells + size, size)
    low, high = edges[:-1], edges[1:]
    cell = np.arange(cells)
    overlap = np.clip(np.minimum(high[:, None], cell + 1) - np.maximum(low[:, None], cell), 0, None)
    seen = overlap.sum(axis=1) > 1e-6
    mean = overlap[seen] / overlap[seen].sum(axis=1, keepdims=True)
    center = ((low + high) / 2)[seen]
    at = np.stack([np.interp(cell + 0.5, center, one) for one in np.eye(len(center))], axis=1)
    return torch.from_numpy((at @ mean).astype(np.float32))
