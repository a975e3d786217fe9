"""Thick slices and coarse pixels: an image as a scanner with larger voxels would give it, on the grid it has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def coarsen(image: Tensor, cell_mm: float, voxel_mm: Sequence[float], phases: Sequence[float]) -> Tensor:
    """Average over larger voxels, then interpolate between them as :mod:`..upsampling` does.

    Args:
        image: (D, H, W) HU.
        cell_mm: size of its cells.
        voxel_mm: (3,) sizes along its axes; an axis whose voxels are no larger than the cells stays as it is.
        phases: (3,) 0..1, the part of the first voxel that lies outside of the image.
    """
    for axis, (size, phase) in enumerate(zip(voxel_mm, phases)):
        if size > cell_mm:
            matrix = voxel_matrix(image.shape[axis], size / cell_mm, phase).to(image)
            image = torch.movedim(torch.tensordot(matrix, image, dims=([1], [axis])), 0, axis)
    return image


def places_in_voxels(cells: int, size: float, phase: float) -> np.ndarray:
    """(N,) where cells lie, in voxels of ``size`` cells whose middles are whole numbers; see :func:`voxel_matrix`."""
    return (np.arange(cells) + 0.5) / size + phase - 0.5


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
    at = np.clip((cell + 0.5 - center[0]) / size, -0.5, len(center) - 0.5)
    return torch.from_numpy((spline_matrix(at, len(center)) @ mean).astype(np.float32))


def spline_matrix(at: np.ndarray, count: int) -> np.ndarray:
    """(N, count) from values at 0, 1, ... to the cubic B-spline through them at ``at``; mirrored at its ends."""
    knots = np.arange(-3, count + 3)
    last = max(count - 1, 1)
    mirrored = np.minimum(last - np.abs(np.abs(knots) % (2 * last) - last), count - 1)
    fold = np.eye(count)[mirrored]  # a coefficient beyond an end is the one that it mirrors
    through = _cubic(np.arange(count)[:, None] - knots) @ fold
    return _cubic(np.asarray(at)[:, None] - knots) @ fold @ np.linalg.inv(through)


def _cubic(x: np.ndarray) -> np.ndarray:
    """The cubic B-spline."""
    x = np.abs(x)
    return np.where(x < 1, 2 / 3 - x**2 + x**3 / 2, np.where(x < 2, (2 - x) ** 3 / 6, 0))
