"""Random fields of a chosen grain, for tissue texture and scanner noise."""

from __future__ import annotations

import numpy as np


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], grain: float) -> np.ndarray:
    """Gaussian noise, zero mean, about unit variance, correlated over about ``grain`` voxels.

    White noise on a grid of ``grain`` voxels, enlarged by linear interpolation: a small fraction of the cost of
    smoothing at full size.

    Args:
        rng: source of randomness.
        shape: (K, J, I).
        grain: correlation length, voxels; 1 or less gives white noise.

    Returns:
        (K, J, I) float32.
    """
    if grain <= 1.0:
        return rng.standard_normal(shape, dtype=np.float32)
    coarse = tuple(int(np.ceil(size / grain)) + 2 for size in shape)
    field = enlarge(rng.standard_normal(coarse, dtype=np.float32), shape, grain, rng.uniform(0.0, 1.0, 3))
    field *= np.float32((3.0 / 2.0) ** 1.5)  # linear interpolation keeps (2/3)^3 of the variance
    return field


def enlarge(coarse: np.ndarray, shape: tuple[int, ...], step: float, start: np.ndarray | None = None) -> np.ndarray:
    """Linear interpolation of a coarse grid, one axis after the other.

    Args:
        coarse: (k, j, i) values.
        shape: (K, J, I) of the result.
        step: fine voxels per coarse voxel.
        start: (3,) coarse position of the first fine voxel along k, j, i; zero if left out.

    Returns:
        (K, J, I) float32.
    """
    start = np.zeros(3) if start is None else start
    along_j, along_i = (_interpolation(coarse.shape[axis], shape[axis], step, start[axis]) for axis in (1, 2))
    planes = along_j @ (coarse.astype(np.float32, copy=False) @ along_i.T)
    field = np.empty(shape, dtype=np.float32)
    for k in range(shape[0]):
        position = min(k / step + start[0], len(planes) - 1.0)
        low = min(int(position), len(planes) - 2)
        np.subtract(planes[low + 1], planes[low], out=field[k])
        field[k] *= np.float32(position - low)
        field[k] += planes[low]
    return field


def _interpolation(coarse: int, fine: int, step: float, start: float) -> np.ndarray:
    """(fine, coarse) float32 matrix of linear interpolation along one axis."""
    position = np.minimum(np.arange(fine) / step + start, coarse - 1.0)
    return np.maximum(1.0 - np.abs(position[:, None] - np.arange(coarse)), 0.0).astype(np.float32)
