"""Small volumes with known content, in HU, for tests."""

from __future__ import annotations

import numpy as np
from VertebraLabelingLib.volume import Volume, apply_affine

BALL_HU = 1500


def affine(spacing=(2.0, 2.0, 3.0), origin=(-40.0, -50.0, 100.0), axes=None) -> np.ndarray:
    """(4, 4) IJK-to-RAS; ``axes`` are the unit columns of the I, J and K directions, world axes by default."""
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) if axes is None else np.asarray(axes, dtype=float)) * np.asarray(spacing, dtype=float)
    matrix[:3, 3] = origin
    return matrix


def body(shape=(24, 48, 40), ijk_to_ras=None, balls=(), radius_mm=8.0, seed=0) -> Volume:
    """A trunk of muscle with a rim of fat in air, and dense balls at world positions ``balls`` (N, 3) RAS mm."""
    matrix = affine() if ijk_to_ras is None else np.asarray(ijk_to_ras, dtype=float)
    k, j, i = np.indices(shape)
    noise = np.random.default_rng(seed).normal(0, 15, shape)
    reach = ((j - (shape[1] - 1) / 2) / (0.45 * shape[1])) ** 2 + ((i - (shape[2] - 1) / 2) / (0.45 * shape[2])) ** 2
    values = np.where(reach < 1, np.where(reach < 0.8, 45, -100), -1000) + noise
    world = apply_affine(matrix, np.stack((i, j, k), axis=-1).reshape(-1, 3)).reshape(*shape, 3)
    for center in np.asarray(balls, dtype=float).reshape(-1, 3):
        values[np.linalg.norm(world - center, axis=-1) < radius_mm] = BALL_HU
    return Volume(np.round(values).clip(-1024, 3071).astype(np.int16), matrix)
