"""Disease and treatment painted into a scan with truth: a crushed body, cement, screws and rods with their streaks.

Cruder than :mod:`.disease`, which paints with the anatomy known; here only body centers are.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional
from VertebraLabelingLib.core.volume import Volume, apply_affine, ras_to_ijk

METAL_HU, CEMENT_HU, MOST_HU = 8000.0, 2000.0, 3071.0
SEEN_METAL_MM = 12.0  # of 8000 HU; what a ray has passed more than that hardly changes its reading
ANGLES = 120
Altered = tuple[Volume, np.ndarray]


def crushed(volume: Volume, points: np.ndarray) -> Altered:
    """The middle vertebra at half its height, with all that lies in its slices; what is above moves down."""
    middle = points[len(points) // 2]
    mm = _apart(points) * 0.36  # half a body
    thickness = float(volume.spacing[2])
    k = np.arange(volume.array.shape[0])
    center = float(ras_to_ijk(volume, middle[None])[0, 2])
    half = mm / thickness
    # the new slice that shows an old one, and back
    new_of = np.interp(k, [center - half, center + half], [center - half, center])
    new_of += np.where(k > center + half, k - (center + half), 0) + np.where(k < center - half, k - (center - half), 0)
    count = int(np.floor(new_of[-1])) + 1
    old = np.interp(np.arange(count), new_of, k)
    low = np.minimum(old.astype(int), len(k) - 2)
    share = (old - low).astype(np.float32)[:, None, None]
    array = np.asarray(volume.array, dtype=np.float32)
    ijk = ras_to_ijk(volume, points)
    ijk[:, 2] = np.interp(ijk[:, 2], k, new_of)
    return (
        Volume(array[low] * (1 - share) + array[low + 1] * share, volume.ijk_to_ras),
        apply_affine(volume.ijk_to_ras, ijk),
    )


def cemented(volume: Volume, points: np.ndarray) -> Altered:
    """A cloud of cement in every third body."""
    array = np.array(volume.array, dtype=np.float32)
    for center in points[1::3]:
        _paint(array, volume, center - 2, center + 2, 9.0, CEMENT_HU)
    return Volume(array, volume.ijk_to_ras), points


def instrumented(volume: Volume, points: np.ndarray) -> Altered:
    """Pedicle screws in the middle four vertebrae, joined by two rods, and the streaks of so much metal."""
    first = max(0, len(points) // 2 - 2)
    chosen = points[first : first + 4]
    size = _apart(points) / 30.0
    metal = np.zeros(volume.array.shape, dtype=np.float32)
    for side in (-1, 1):
        heads = chosen + np.array([side * 17 * max(size, 0.75), -38 * max(size, 0.85), 0])
        tips = chosen + np.array([side * 7, 9 * size, 0])
        for head, tip in zip(heads, tips):
            _paint(metal, volume, head, tip, 2.8, METAL_HU)
        for upper, lower in zip(heads, heads[1:]):
            _paint(metal, volume, upper, lower, 2.8, METAL_HU)
    array = np.array(volume.array, dtype=np.float32)
    for k in np.flatnonzero(metal.any(axis=(1, 2))):
        array[k] += streaks(torch.from_numpy(metal[k]), float(volume.spacing[:2].mean())).numpy()
    array[metal > 0] = MOST_HU
    return Volume(array.clip(-1024, MOST_HU), volume.ijk_to_ras), points


def _apart(points: np.ndarray) -> float:
    """Typical distance between neighbors, mm."""
    return float(np.median(np.linalg.norm(np.diff(points, axis=0), axis=1)))


def _paint(array: np.ndarray, volume: Volume, start: np.ndarray, end: np.ndarray, radius: float, hu: float) -> None:
    """Set to ``hu`` what lies within ``radius`` mm of a line; part of it where a voxel is only touched."""
    ends = ras_to_ijk(volume, np.array([start, end]))
    reach = (radius + volume.spacing.max()) / volume.spacing
    low = np.floor(ends.min(axis=0) - reach).astype(int).clip(0)
    high = (np.ceil(ends.max(axis=0) + reach).astype(int) + 1).clip(0)
    part = array[low[2] : high[2], low[1] : high[1], low[0] : high[0]]
    k, j, i = np.indices(part.shape)
    places = apply_affine(volume.ijk_to_ras, np.stack([i, j, k], axis=-1).reshape(-1, 3) + low).reshape(*part.shape, 3)
    along = end - start
    share = ((places - start) @ along / (along @ along)).clip(0, 1)
    away = np.linalg.norm(places - start - share[..., None] * along, axis=-1)
    cover = ((radius - away) / volume.spacing.max() + 0.5).clip(0, 1)
    part += cover * (hu - part)


def streaks(metal: torch.Tensor, spacing: float) -> torch.Tensor:
    """What a scanner makes of the rays through metal beyond the metal itself, HU.

    Rays that pass much metal are hardened and starved, so that they read too little (De Man et al. 1999, "Metal streak
    artifacts in X-ray computed tomography"); the filtered back-projection of what is missing gives the dark bands
    between pieces of metal and the bright ones beside them.

    Args:
        metal: (J, I) HU of the metal alone.
        spacing: mm of the pixels.
    """
    rows, columns = metal.shape
    size = int(np.ceil(np.hypot(rows, columns)))
    angles = torch.arange(ANGLES) * (torch.pi / ANGLES)
    cosine, sine = torch.cos(angles), torch.sin(angles)
    turn = torch.zeros(ANGLES, 2, 3)
    turn[:, 0, 0], turn[:, 0, 1], turn[:, 1, 0], turn[:, 1, 1] = cosine, -sine, sine, cosine
    top, left = (size - rows) // 2, (size - columns) // 2
    image = functional.pad(metal, (left, size - columns - left, top, size - rows - top))
    grid = functional.affine_grid(turn, [ANGLES, 1, size, size], align_corners=False)
    rays = functional.grid_sample(image.expand(ANGLES, 1, size, size), grid, align_corners=False)[:, 0].sum(1) * spacing
    most = SEEN_METAL_MM * METAL_HU
    missing = most * (1 - torch.exp(-rays / most)) - rays
    ramp = torch.fft.rfftfreq(2 * size, d=spacing).abs()
    filtered = torch.fft.irfft(torch.fft.rfft(missing, n=2 * size) * ramp, n=2 * size)[:, :size]
    back = torch.zeros_like(turn)
    back[:, :, :2] = turn[:, :, :2].transpose(1, 2)
    grid = functional.affine_grid(back, [ANGLES, 1, size, size], align_corners=False)
    spread = functional.grid_sample(filtered[:, None, None].expand(-1, 1, size, -1), grid, align_corners=False)
    result = spread[:, 0].sum(0) * (torch.pi / ANGLES)
    return result[top : top + rows, left : left + columns]
