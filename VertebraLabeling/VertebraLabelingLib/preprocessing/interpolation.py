"""Values of a volume between its voxels; air outside."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..core.volume import AIR_HU

_PARTS = (16, 8, 4, 2, 1)


def sample(image: Tensor, index: Tensor) -> Tensor:
    """Trilinear values of (D, H, W) HU at (..., 3) fractional voxels (z, y, x); air outside."""
    scale, shift = _to_unit(image)
    return _values(image, (index * scale + shift).flip(-1))


def sample_around(image: Tensor, centers: Tensor, offsets: Tensor) -> Tensor:
    """(N, ...) values as of :func:`sample` at ``offsets`` (..., 3) from each of (N, 3) ``centers``, all in voxels."""
    scale, shift = _to_unit(image)
    centers = (centers * scale + shift).flip(-1).view(-1, *[1] * (offsets.ndim - 1), 3)
    return _values(image, centers + (offsets * scale).flip(-1))


def _to_unit(image: Tensor) -> tuple[Tensor, Tensor]:
    """What voxels (z, y, x) are multiplied by, and what is added, for the unit that :func:`_values` takes."""
    extent = torch.tensor(image.shape, device=image.device)
    return 2 / extent, 1 / extent - 1


def _values(image: Tensor, unit: Tensor) -> Tensor:
    """Values at (..., 3) places (x, y, z); -1 and 1 are the faces of the image."""
    places = unit.reshape(-1, 3)
    parts = next(n for n in _PARTS if len(places) % n == 0)  # torch gives each part to a thread
    shown = (image.float() - AIR_HU).expand(parts, 1, *image.shape)
    values = functional.grid_sample(shown, places.view(parts, 1, 1, -1, 3), padding_mode="zeros", align_corners=False)
    return values.reshape(unit.shape[:-1]) + AIR_HU


def sample_part(image: Tensor, index: Tensor) -> Tensor:
    """:func:`sample` that reads only the box of a large image that the positions touch."""
    size = torch.tensor(image.shape, device=index.device)
    flat = index.reshape(-1, 3)
    low = flat.amin(0).floor().long().clamp(min=0).minimum(size - 1)
    high = (flat.amax(0).ceil().long() + 1).maximum(low + 1).minimum(size)
    part = image[tuple(slice(a, b) for a, b in zip(low.tolist(), high.tolist()))]
    return sample(part, index - low)
