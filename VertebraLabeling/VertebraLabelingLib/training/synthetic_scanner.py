"""The scanner: resolution, noise, table and field of view of a synthetic CT."""

from __future__ import annotations

import numpy as np

from .synthetic_noise import smooth_noise

HU_STEPS = (4, 8)
"""Values are rounded to the first of these steps, to the second where noise is above 12 HU: the files halve and
nothing that a network sees is lost below the noise."""


def scan(hu: np.ndarray, spacing_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Put a patient through a scanner.

    Args:
        hu: (K, J, I) float32, canonical, isotropic.
        spacing_mm: voxel size.
        rng: source of randomness.

    Returns:
        (K, J, I) int16 HU within -1000 and 3071.
    """
    hu = _resolution(hu, spacing_mm, rng)
    air = hu < -950.0
    if rng.random() < 0.75:
        _table(hu, spacing_mm, rng)
    amount = float(np.exp(rng.uniform(np.log(4.0), np.log(35.0))))
    hu += amount * _noise(hu.shape, rng)
    hu[air] = np.minimum(hu[air], -950.0)
    if rng.random() < 0.3:
        _circular_field(hu, rng)
    step = HU_STEPS[amount > 12.0]
    return (np.rint(np.clip(hu, -1000.0, 3071.0) / step) * step).astype(np.int16)


def _resolution(hu: np.ndarray, spacing_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Blur by a reconstruction kernel in plane and by the slice thickness along the body."""
    import SimpleITK as sitk

    in_plane = rng.uniform(0.5, 1.4)
    along = in_plane if rng.random() < 0.6 else rng.uniform(1.0, 2.2)  # a 5 mm slice has a sigma of 1.4 mm
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing([spacing_mm] * 3)
    variance = [in_plane**2, in_plane**2, along**2]
    return sitk.GetArrayFromImage(sitk.DiscreteGaussian(image, variance, 9, 0.02, True))


def _noise(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Noise of about unit variance, part white and part grained as reconstruction leaves it."""
    grained = rng.uniform(0.3, 0.9)
    white = smooth_noise(rng, shape, 1.0)
    return (1.0 - grained) * white + grained * smooth_noise(rng, shape, rng.uniform(1.5, 2.5))


def _table(hu: np.ndarray, spacing_mm: float, rng: np.random.Generator) -> None:
    """A curved carbon shell with a foam core behind the patient."""
    _, height, width = hu.shape
    solid = (hu > -300.0).mean(axis=(0, 2)) > 0.004
    if not solid.any():
        return
    back = np.flatnonzero(solid)[0] - rng.uniform(1.0, 8.0) / spacing_mm
    x = np.arange(width) - width / 2 + rng.normal(0.0, 6.0)
    surface = back + x**2 * spacing_mm / (2 * rng.uniform(350.0, 2000.0))
    below = surface[None, :] - np.arange(height)[:, None]  # voxels behind the table's surface
    thickness = rng.uniform(12.0, 30.0) / spacing_mm
    shell = np.exp(-(((below - 0.5) / 0.8) ** 2)) + np.exp(-(((below - thickness) / 0.8) ** 2))
    foam = (below > 0) & (below < thickness)
    sheet = np.where(foam, rng.uniform(20.0, 90.0), 0.0) + shell * rng.uniform(250.0, 900.0)
    outside = hu < -900.0
    hu += np.where(outside, sheet[None].astype(np.float32), np.float32(0.0))


def _circular_field(hu: np.ndarray, rng: np.random.Generator) -> None:
    """Beyond the reconstruction circle there is only padding."""
    _, height, width = hu.shape
    y, x = np.ogrid[:height, :width]
    radius = rng.uniform(0.42, 0.55) * max(height, width)
    centre = (height / 2 + rng.normal(0.0, 4.0), width / 2 + rng.normal(0.0, 4.0))
    hu[:, (y - centre[0]) ** 2 + (x - centre[1]) ** 2 > radius**2] = -1000.0
