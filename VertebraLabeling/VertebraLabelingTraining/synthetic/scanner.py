"""The scanner: arms, table, metal streaks, resolution, noise and field of view of a synthetic CT."""

from __future__ import annotations

import numpy as np

from .noise import smooth_noise

HU_STEPS = (4, 8)
"""Values are rounded to the first of these steps, to the second where noise is above 12 HU: the files halve and
nothing that a network sees is lost below the noise."""

_METAL_ABOVE = 1900.0


def scan(hu: np.ndarray, spacing_mm: float, rng: np.random.Generator, arms: bool = False) -> np.ndarray:
    """Put a patient through a scanner.

    Args:
        hu: (K, J, I) float32, canonical, isotropic.
        spacing_mm: voxel size.
        rng: source of randomness.
        arms: lay the arms beside the trunk.

    Returns:
        (K, J, I) int16 HU within -1000 and 3071.
    """
    if arms:
        _arms(hu, spacing_mm, rng)
    if rng.random() < 0.75:
        _table(hu, spacing_mm, rng)
    _streaks(hu, spacing_mm, rng)
    noise = float(np.exp(rng.uniform(np.log(4.0), np.log(35.0))))
    outside = hu < -950.0
    hu = _resolution(hu, noise, spacing_mm, rng)
    hu[outside] = np.minimum(hu[outside], -950.0)
    if rng.random() < 0.3:
        _circular_field(hu, rng)
    step = HU_STEPS[noise > 12.0]
    return np.clip(np.rint(hu / step) * step, -1000.0, 3071.0).astype(np.int16)


def _resolution(hu: np.ndarray, noise: float, spacing_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Noise, then the blur of a reconstruction kernel in plane and of the slice thickness along the body.

    The noise is blurred with the image, as in a real reconstruction; its final standard deviation is about ``noise``.
    """
    import SimpleITK as sitk

    in_plane = rng.uniform(0.5, 1.4)
    along = in_plane if rng.random() < 0.6 else rng.uniform(1.0, 2.2)  # a 5 mm slice has a sigma of 1.4 mm
    sigmas = np.array([in_plane, in_plane, along])
    kept = np.prod(np.minimum(1.0, spacing_mm / (2.0 * np.sqrt(np.pi) * sigmas)))  # share of variance after the blur
    hu += np.float32(noise / np.sqrt(kept)) * smooth_noise(rng, hu.shape, 1.0)
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing([spacing_mm] * 3)
    return sitk.GetArrayFromImage(sitk.DiscreteGaussian(image, (sigmas**2).tolist(), 9, 0.02, True))


def _arms(hu: np.ndarray, spacing_mm: float, rng: np.random.Generator) -> None:
    """A limb on each side of the trunk: skin, fat, muscle, one bone above the elbow and two below it."""
    depth, height, width = hu.shape
    z, y, x = (np.arange(n, dtype=np.float32) * spacing_mm for n in (depth, height, width))
    solid = (hu > -300.0).mean(axis=(0, 1)) > 0.02
    edges = np.flatnonzero(solid)[[0, -1]] * spacing_mm
    rows = np.flatnonzero((hu > -300.0).mean(axis=(0, 2)) > 0.02) * spacing_mm
    elbow = rng.uniform(0.2, 0.8) * z[-1]
    for edge, side in zip(edges, (-1.0, 1.0)):
        radius = rng.uniform(32.0, 46.0) * (0.75 + 0.25 * np.clip((z - elbow) / 150.0 + 0.5, 0.0, 1.0))
        center_x = edge + side * (46.0 + rng.uniform(0.0, 8.0) + rng.normal(0.0, 0.03) * (z - elbow))
        center_y = rows.mean() + rng.normal(0.0, 15.0) + rng.normal(0.0, 0.08) * (z - elbow)
        away = np.hypot(x[None, None, :] - center_x[:, None, None], y[None, :, None] - center_y[:, None, None])
        inward = away - radius[:, None, None]
        limb = np.select([inward > -2.0, inward > -2.0 - rng.uniform(2.0, 12.0)], [20.0, -102.0], 52.0)
        forearm = np.broadcast_to((z < elbow)[:, None, None], away.shape)
        apart = np.minimum(
            np.hypot(x[None, None, :] - center_x[:, None, None], y[None, :, None] - center_y[:, None, None] - 13.0),
            np.hypot(x[None, None, :] - center_x[:, None, None], y[None, :, None] - center_y[:, None, None] + 13.0),
        )
        bone = np.where(forearm, apart - 7.5, away - 11.5)
        limb = np.select([bone < -3.5, bone < 0.0], [60.0, 1000.0], limb)
        np.copyto(hu, limb.astype(np.float32), where=(inward < 0.0) & (hu < -900.0))


def _streaks(hu: np.ndarray, spacing_mm: float, rng: np.random.Generator) -> None:
    """Dark and bright rays from metal, strongest between the implants of one slice."""
    metal = hu > _METAL_ABOVE
    rows = np.flatnonzero(metal.any(axis=(1, 2)))
    if rows.size == 0:
        return
    _, height, width = hu.shape
    y = np.fft.fftfreq(height, 1.0 / height)[:, None] * spacing_mm
    x = np.fft.fftfreq(width, 1.0 / width)[None, :] * spacing_mm
    angle, reach = np.arctan2(y, x), np.hypot(x, y)
    rays = sum(np.cos(n * angle + rng.uniform(0.0, 2 * np.pi)) for n in (8, 14, 22)) - 1.5 * np.cos(angle) ** 8
    kernel = np.fft.rfft2(rays * np.exp(-reach / rng.uniform(25.0, 60.0)) / (1.0 + reach / 6.0))
    strength = rng.uniform(8.0, 35.0)
    for k in rows:
        shadow = np.fft.irfft2(np.fft.rfft2(metal[k].astype(np.float32)) * kernel, s=(height, width))
        hu[k] += np.where(metal[k] | (hu[k] < -950.0), 0.0, np.clip(strength * shadow, -350.0, 350.0))


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
    center = (height / 2 + rng.normal(0.0, 4.0), width / 2 + rng.normal(0.0, 4.0))
    hu[:, (y - center[0]) ** 2 + (x - center[1]) ** 2 > radius**2] = -1000.0
