"""Values of a volume at world positions."""

from __future__ import annotations

import numpy as np

from .volume import Volume, ras_to_ijk


def sample(volume: Volume, ras: np.ndarray) -> np.ndarray:
    """Trilinear values at world positions (N, 3), RAS mm; NaN outside the field of view."""
    shape = np.array(volume.array.shape[::-1])
    ijk = ras_to_ijk(volume, ras)
    outside = ((ijk < -0.5) | (ijk > shape - 0.5)).any(axis=1)
    ijk = np.clip(ijk, 0, shape - 1)
    low = np.minimum(ijk.astype(np.intp), shape - 2)
    share = ijk - low
    i, j, k = low.T
    total = np.zeros(len(ijk))
    for di in (0, 1):
        for dj in (0, 1):
            for dk in (0, 1):
                weight = np.abs(1 - di - share[:, 0]) * np.abs(1 - dj - share[:, 1]) * np.abs(1 - dk - share[:, 2])
                total += weight * volume.array[k + dk, j + dj, i + di]
    total[outside] = np.nan
    return total
