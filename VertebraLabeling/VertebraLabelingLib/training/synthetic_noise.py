"""Random fields of a chosen grain, for tissue texture and scanner noise."""

from __future__ import annotations

import numpy as np


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], grain: float) -> np.ndarray:
    """Gaussian noise, zero mean, unit variance, correlated over about ``grain`` voxels.

    White noise on a grid of ``grain`` voxels, enlarged by linear interpolation: a small fraction of the cost of
    smoothing at full size.

    Args:
        shape: (K, J, I).
        grain: correlation length, voxels; 1 or less gives white noise.

    Returns:
        (K, J, I) float32.
    """
    if grain <= 1.0:
        return rng.standard_normal(shape, dtype=np.float32)
    import SimpleITK as sitk

    small = tuple(int(np.ceil(size / grain)) + 2 for size in shape)
    coarse = sitk.GetImageFromArray(rng.standard_normal(small, dtype=np.float32))
    origin = rng.uniform(0.0, 1.0, 3).tolist()
    fine = sitk.Resample(
        coarse, shape[::-1], sitk.Transform(), sitk.sitkLinear, origin, [1.0 / grain] * 3, np.eye(3).ravel().tolist()
    )
    field = sitk.GetArrayFromImage(fine)
    return field * np.float32((3.0 / 2.0) ** 1.5)  # linear interpolation keeps (2/3)^3 of the variance
