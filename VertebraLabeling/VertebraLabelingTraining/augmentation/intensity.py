"""Intensity augmentation in HU: calibration, noise, kernel, metal with streaks, table, padding values."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from VertebraLabelingLib.networks.detection_network import GRID_MM


def augment(image: Tensor, points: Tensor, rng: np.random.Generator) -> Tensor:
    """Vary the look of a crop.

    Args:
        image: (D, H, W) HU on the working grid.
        points: (N, 3) body centers (z, y, x) in voxels; metal is placed around them.
        rng: source of all randomness (torch noise is seeded from it).

    Returns:
        (D, H, W) HU.
    """
    generator = torch.Generator(image.device).manual_seed(int(rng.integers(2**62)))
    air = image < -900
    if rng.random() < 0.08:
        image = _screws_and_rods(image, points, rng)
    if rng.random() < 0.15:
        image = _table(image, rng)
    return vary_look(image, rng, air, generator)


def vary_look(image: Tensor, rng: np.random.Generator, air: Tensor | None = None, generator=None) -> Tensor:
    """Vary kernel, noise and calibration of an image (D, H, W), HU; air stays air."""
    if generator is None:
        generator = torch.Generator(image.device).manual_seed(int(rng.integers(2**62)))
    air = image < -900 if air is None else air
    if rng.random() < 0.4:
        image = _kernel(image, rng)
    if rng.random() < 0.7:
        image = _noise(image, rng, generator)
    image = image * rng.normal(1, 0.06) + rng.normal(0, 15)
    if rng.random() < 0.25:  # contrast of bone against soft tissue: osteoporosis, contrast medium, tube voltage
        image = torch.where(image > 100, 100 + (image - 100) * rng.uniform(0.5, 1.4), image)
    return torch.where(air, torch.full_like(image, -1000.0), image)


def _kernel(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Blur or sharpen by mixing with a 3x3x3 mean."""
    mean = functional.avg_pool3d(image[None, None], 3, 1, 1, count_include_pad=False)[0, 0]
    return torch.lerp(image, mean, rng.uniform(-0.6, 0.9))


def _noise(image: Tensor, rng: np.random.Generator, generator: torch.Generator) -> Tensor:
    """White or in-plane correlated Gaussian noise, sd 3 to 60 HU on the 4 mm grid."""
    noise = torch.randn(image.shape, generator=generator, device=image.device)
    if rng.random() < 0.5:
        noise = functional.avg_pool2d(noise[None], 3, 1, 1)[0] * 3.0
    return image + noise * float(np.exp(rng.uniform(np.log(3), np.log(60))))


def _screws_and_rods(image: Tensor, points: Tensor, rng: np.random.Generator) -> Tensor:
    """Two rods behind the bodies with a screw at some levels, and streaks in their slices."""
    inside = ((points > 0) & (points < torch.tensor(image.shape, device=points.device) - 1)).all(1)
    points = points[inside].cpu()
    if len(points) < 2:
        return image
    image = image.clone()
    first = int(rng.integers(0, len(points) - 1))
    chosen = points[first : first + int(rng.integers(2, 6))]
    d, h, w = image.shape
    zz = np.arange(d)
    order = torch.argsort(chosen[:, 0])
    z, y, x = chosen[order].double().numpy().T
    span = zz[(zz >= z[0] - 1) & (zz <= z[-1] + 1)]
    streak_axis = torch.arange(w, device=image.device, dtype=image.dtype)
    for side in (-1, 1):
        for slice_index in span:
            row = round(float(np.interp(slice_index, z, y)) - 36 / GRID_MM)
            column = round(float(np.interp(slice_index, z, x)) + side * 20 / GRID_MM)
            if 0 <= row < h and 0 <= column < w:
                bands = torch.cos((streak_axis - column) * rng.uniform(0.3, 0.9)) * rng.uniform(0, 250)
                image[slice_index, max(0, row - 1) : row + 2] += bands
                image[slice_index, row, column] = 3000.0
    for cz, cy, cx in zip(z, y, x):
        for side in (-1, 1):
            for step in range(8):
                row, column = int(cy - 8 + step), round(cx + side * (5 - 0.4 * step))
                if 0 <= row < h and 0 <= column < w:
                    image[int(cz), row, column] = 2500.0
    return image


def _table(image: Tensor, rng: np.random.Generator) -> Tensor:
    """A curved table top in the air behind the body."""
    _, h, w = image.shape
    x = torch.arange(w, device=image.device) - w / 2 + rng.uniform(-10, 10)
    row = (rng.uniform(0, 8) + x**2 * rng.uniform(0, 0.01)).round().long().clamp(0, h - 1)
    plate = torch.zeros((h, w), dtype=torch.bool, device=image.device)
    plate[row, torch.arange(w, device=image.device)] = True
    return torch.where(plate[None] & (image < -700), torch.full_like(image, rng.uniform(-300, 200)), image)
