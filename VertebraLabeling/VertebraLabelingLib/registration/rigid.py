"""Rigid registration of one part of a scan by mutual information (SimpleITK, Mattes)."""

from __future__ import annotations

import numpy as np

from ..core.volume import Volume
from .working_grid import WorkingGrid

_BINS = 24
_SEED = 20261
_SAMPLES = 4_000  # voxels of a part that are looked at, always the same ones
_ROUNDS, _LINE_ROUNDS = 6, 15
_FIRST_MM, _LAST_MM = 1.0, 0.1  # steps of the optimizer; Powell's, as gradients stop at rotations that are half right
_GAIN = 1e-4  # of the mutual information, below which a round was the last


def image_of(grid: WorkingGrid):
    """A SimpleITK image whose physical space is world RAS."""
    return _image(grid.volume, grid.volume.array)


def mask_of(grid: WorkingGrid, inside: np.ndarray):
    """The mask (K, J, I) of such an image."""
    return _image(grid.volume, inside.astype(np.uint8))


def _image(volume: Volume, array: np.ndarray):
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(array)
    image.SetSpacing(volume.spacing.tolist())
    image.SetDirection((volume.ijk_to_ras[:3, :3] / volume.spacing).ravel().tolist())
    image.SetOrigin(volume.ijk_to_ras[:3, 3].tolist())
    return image


def refine(fixed, fixed_mask, moving, moving_mask, start: np.ndarray, center: np.ndarray) -> np.ndarray | None:
    """Improve a rigid motion.

    Args:
        fixed, fixed_mask, moving, moving_mask: of :func:`image_of` and :func:`mask_of`.
        start: (4, 4) rigid, world RAS of the fixed image to that of the moving one.
        center: (3,) about which it turns, in the fixed image.

    Returns:
        (4, 4), or ``None`` where the parts do not overlap.
    """
    import SimpleITK as sitk

    transform = sitk.Euler3DTransform()
    transform.SetCenter(center.tolist())
    transform.SetMatrix(_orthonormal(start[:3, :3]).ravel().tolist(), 1e-6)
    transform.SetTranslation((start[:3, :3] @ center + start[:3, 3] - center).tolist())
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)  # so that sums, and with them results, are the same everywhere
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricFixedMask(fixed_mask)
    method.SetMetricMovingMask(moving_mask)
    method.SetMetricSamplingStrategy(method.RANDOM)
    share = _SAMPLES / max(1, int(sitk.GetArrayViewFromImage(fixed_mask).sum()))
    method.SetMetricSamplingPercentage(float(np.clip(share, 1e-3, 1.0)), _SEED)
    method.MetricUseFixedImageGradientFilterOff()
    method.MetricUseMovingImageGradientFilterOff()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsPowell(_ROUNDS, _LINE_ROUNDS, _FIRST_MM, _LAST_MM, _GAIN)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    threader = sitk.ProcessObject.GetGlobalDefaultThreader()
    sitk.ProcessObject.SetGlobalDefaultThreader("POOL")  # another one makes a thread for each of a thousand steps
    try:
        method.Execute(fixed, moving)
    except RuntimeError:  # no sample lies in the other scan
        return None
    finally:
        sitk.ProcessObject.SetGlobalDefaultThreader(threader)
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(transform.GetMatrix()).reshape(3, 3)
    matrix[:3, 3] = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    return matrix


def _orthonormal(matrix: np.ndarray) -> np.ndarray:
    left, _, right = np.linalg.svd(matrix)
    return left @ right
