"""Ways in which a scan of another hospital may differ, done to a scan with truth; see :mod:`.altered_scans`.

Each alteration takes a canonical volume and (N, 3) points, world RAS mm, and returns both as they would be.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional
from VertebraLabelingLib.core.volume import AIR_HU, Volume, apply_affine, ras_to_ijk
from VertebraLabelingLib.preprocessing.resampling import metal_free_block_mean
from VertebraLabelingLib.preprocessing.sitk_image import from_sitk, to_sitk

from .altered_spine import cemented, crushed, instrumented

Altered = tuple[Volume, np.ndarray]
Alteration = Callable[[Volume, np.ndarray], Altered]

_IN_AIR_HU = -950.0
_BONE_HU = 80.0


def _moved(matrix: np.ndarray) -> Alteration:
    """The patient moved, scaled or mirrored in the world by a (3, 3) matrix; the voxels stay."""

    def alter(volume: Volume, points: np.ndarray) -> Altered:
        affine = np.eye(4)
        affine[:3, :3] = matrix
        return Volume(volume.array, affine @ volume.ijk_to_ras), apply_affine(affine, points)

    return alter


def _turned(degrees: float, axis: int) -> Alteration:
    a, b = (other for other in range(3) if other != axis)
    matrix, angle = np.eye(3), np.radians(degrees)
    matrix[a, a] = matrix[b, b] = np.cos(angle)
    matrix[b, a], matrix[a, b] = np.sin(angle), -np.sin(angle)
    return _moved(matrix)


def _values(change: Callable[[np.ndarray], np.ndarray]) -> Alteration:
    """Other values at the same places; air stays air."""

    def alter(volume: Volume, points: np.ndarray) -> Altered:
        array = np.asarray(volume.array, dtype=np.float32)
        return Volume(np.where(array < _IN_AIR_HU, array, change(array)), volume.ijk_to_ras), points

    return alter


def _noise(sd: float) -> Alteration:
    def alter(volume: Volume, points: np.ndarray) -> Altered:
        noise = np.random.default_rng(0).normal(0, sd, volume.array.shape)
        return Volume((volume.array + noise).astype(np.float32), volume.ijk_to_ras), points

    return alter


def _blurred(volume: Volume, sigma_mm: float) -> np.ndarray:
    import SimpleITK as sitk

    image = to_sitk(Volume(np.asarray(volume.array, dtype=np.float32), np.diag([*volume.spacing, 1.0])))
    return from_sitk(sitk.SmoothingRecursiveGaussian(image, sigma_mm)).array


def _smooth(sigma_mm: float) -> Alteration:
    return lambda volume, points: (Volume(_blurred(volume, sigma_mm), volume.ijk_to_ras), points)


def _sharp(sigma_mm: float, amount: float) -> Alteration:
    def alter(volume: Volume, points: np.ndarray) -> Altered:
        array = np.asarray(volume.array, dtype=np.float32)
        sharp = array + amount * (array - _blurred(volume, sigma_mm))
        return Volume(sharp.clip(-1024, 3071), volume.ijk_to_ras), points

    return alter


def _thick(mm: float, axis: int = 2) -> Alteration:
    """Slices across an axis: 0 sagittal, 2 axial."""

    def alter(volume: Volume, points: np.ndarray) -> Altered:
        factors = [1, 1, 1]
        factors[axis] = max(1, round(mm / volume.spacing[axis]))
        return metal_free_block_mean(volume, tuple(factors)), points

    return alter


def _narrow(mm: float) -> Alteration:
    """A field of view as wide and deep as given, or as it takes to hold the points with 30 mm around them."""

    def alter(volume: Volume, points: np.ndarray) -> Altered:
        ijk, spacing = ras_to_ijk(volume, points)[:, :2], volume.spacing[:2]
        half, around = mm / 2 / spacing, 30 / spacing
        low = np.minimum(ijk.mean(axis=0) - half, ijk.min(axis=0) - around).astype(int).clip(0)
        high = np.maximum(ijk.mean(axis=0) + half, ijk.max(axis=0) + around).astype(int)
        affine = volume.ijk_to_ras.copy()
        affine[:3, 3] = apply_affine(affine, (*low, 0))[0]
        return Volume(np.ascontiguousarray(volume.array[:, low[1] : high[1], low[0] : high[0]]), affine), points

    return alter


def _cone_beam(contrast: float, cupping_hu: float, noise_hu: float, width_mm: float = 240.0) -> Alteration:
    """As of a C-arm or an accelerator: values that scatter lowers toward the middle, grained noise, a narrow cylinder.

    Args:
        contrast: factor of all differences to water.
        cupping_hu: by how much the axis of the cylinder is darker than its wall.
        noise_hu: standard deviation of noise with a grain of 1 mm.
        width_mm: of the cylinder, or as it takes to hold the points with 30 mm around them; air is outside.
    """

    def alter(volume: Volume, points: np.ndarray) -> Altered:
        array = np.asarray(volume.array, dtype=np.float32)
        ijk, spacing = ras_to_ijk(volume, points)[:, :2], volume.spacing[:2]
        middle = ijk.mean(axis=0)
        radius = max(width_mm / 2, np.linalg.norm((ijk - middle) * spacing, axis=1).max() + 30)
        rows, columns = np.indices(array.shape[1:])
        away = np.hypot((columns - middle[0]) * spacing[0], (rows - middle[1]) * spacing[1]) / radius
        grain = np.random.default_rng(0).normal(0, 1, array.shape).astype(np.float32)
        grain = _blurred(Volume(grain, volume.ijk_to_ras), 1.0)
        seen = contrast * array - cupping_hu * (1 - away**2).clip(0) + noise_hu * grain / grain.std()
        return Volume(np.where(away > 1, AIR_HU, seen).clip(-1024, 3071).astype(np.float32), volume.ijk_to_ras), points

    return alter


def _bent(axis: int, amplitude_mm: float, wave_mm: float) -> Alteration:
    """Slices displaced along a sine, to the right (axis 0) or to the front (axis 1)."""

    def alter(volume: Volume, points: np.ndarray) -> Altered:
        slices, rows, columns = volume.array.shape
        ijk = ras_to_ijk(volume, points)

        def voxels(k: np.ndarray) -> np.ndarray:
            phase = 2 * np.pi * (k - ijk[:, 2].mean()) * volume.spacing[2] / wave_mm
            return amplitude_mm * np.sin(phase + 1) / volume.spacing[axis]

        theta = torch.zeros(slices, 2, 3)
        theta[:, 0, 0] = theta[:, 1, 1] = 1
        theta[:, axis, 2] = torch.from_numpy(-2 * voxels(np.arange(slices)) / (columns, rows)[axis])
        grid = functional.affine_grid(theta, [slices, 1, rows, columns], align_corners=False)
        image = torch.from_numpy(np.asarray(volume.array, dtype=np.float32) - AIR_HU)[:, None]
        bent = functional.grid_sample(image, grid, align_corners=False)[:, 0].numpy() + AIR_HU
        ijk[:, axis] += voxels(ijk[:, 2])
        return Volume(bent, volume.ijk_to_ras), apply_affine(volume.ijk_to_ras, ijk)

    return alter


ALTERATIONS: dict[str, Alteration] = {
    "as it is": lambda volume, points: (volume, points),
    "noise of 100 HU a voxel": _noise(100),
    "noise of 200 HU a voxel": _noise(200),
    "sharp kernel": _sharp(1.5, 2.0),
    "blurred, sigma 3 mm": _smooth(3.0),
    "slices of 7.5 mm": _thick(7.5),
    "sagittal slices of 4 mm": _thick(4.0, axis=0),
    "uncorrected gantry tilt of 15 degrees": _moved(np.array([[1, 0, 0], [0, 1, np.tan(np.radians(15))], [0, 0, 1]])),
    "50 HU more": _values(lambda hu: hu + 50),
    "50 HU less": _values(lambda hu: hu - 50),
    "half the bone's contrast": _values(lambda hu: np.where(hu > _BONE_HU, _BONE_HU + (hu - _BONE_HU) / 2, hu)),
    "soft tissue enhanced by 40 HU": _values(lambda hu: np.where((hu > 20) & (hu < 110), hu + 40, hu)),
    "clipped to -160..240 HU": lambda volume, points: (
        Volume(np.clip(volume.array, -160, 240), volume.ijk_to_ras),
        points,
    ),
    "size 0.65": _moved(np.diag([0.65, 0.65, 0.65])),
    "size 0.8": _moved(np.diag([0.8, 0.8, 0.8])),
    "size 1.2": _moved(np.diag([1.2, 1.2, 1.2])),
    "height 0.85": _moved(np.diag([1, 1, 0.85])),
    "height 1.15": _moved(np.diag([1, 1, 1.15])),
    "field of view 80 mm wide and deep": _narrow(80),
    "cone beam": _cone_beam(0.6, 150, 100),
    "bent 25 mm to the sides": _bent(0, 25, 260),
    "bent 25 mm front and back": _bent(1, 25, 260),
    "middle vertebra crushed to half its height": crushed,
    "cement in every third vertebra": cemented,
    "screws and rods in four vertebrae": instrumented,
    "mirrored, left for right": _moved(np.diag([-1, 1, 1])),
    "nodding by 20 degrees": _turned(20, 0),
    "turned by 20 degrees": _turned(20, 2),
    "turned by 30 degrees": _turned(30, 2),
    "turned by 45 degrees": _turned(45, 2),
    "on the side": _turned(-90, 2),
    "on the belly": _turned(180, 2),
    "mirrored, front for back": _moved(np.diag([1, -1, 1])),
    "mirrored, feet for head": _moved(np.diag([1, 1, -1])),
    "feet first": _turned(180, 1),
}
