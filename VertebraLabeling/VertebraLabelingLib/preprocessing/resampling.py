"""A scan on coarser voxels: means over blocks, and the isotropic working grid of the detection network."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..core.volume import AIR_HU, Volume, apply_affine, to_canonical
from .metal import metal_in, without_metal

MAX_OBLIQUITY_DEG = 15.0


_SLAB_BYTES, _MOST_THREADS = 4 * 2**20, 8


def obliquity_deg(volume: Volume) -> float:
    """Largest angle between a voxel axis of a canonical volume and its world axis, degrees."""
    cosines = np.diag(volume.ijk_to_ras[:3, :3]) / volume.spacing
    return float(np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)).max()))


def grid_axes(canonical: Volume) -> np.ndarray:
    """(3, 3) unit vectors (columns: right, front, up; world RAS) along which the networks look at a canonical volume.

    They are the scan's own axes; beyond 15 degrees of obliquity, or sheared (a gantry tilt), the world's.
    """
    cosines = canonical.ijk_to_ras[:3, :3] / canonical.spacing
    sheared = not np.allclose(cosines.T @ cosines, np.eye(3), atol=1e-3)
    return cosines if obliquity_deg(canonical) <= MAX_OBLIQUITY_DEG and not sheared else np.eye(3)


def metal_free_block_mean(volume: Volume, factors: tuple[int, int, int]) -> Volume:
    """Average blocks of ``factors`` = (fi, fj, fk) voxels with bone in place of metal.

    An incomplete last block is averaged over what it holds.

    This is the anti-aliasing of the working grid. It goes slab by slab, on as many threads as SimpleITK uses but at
    most eight, so beside the input only the small result and for each thread what a slab needs (some 10 MiB, most of
    which stays in the processor's cache) are held. NaN voxels count as air, metal as bone (:mod:`.metal`) before
    it spreads over its block.

    Returns:
        float32 volume whose voxel centers are the block centers.
    """
    fi, fj, fk = factors
    k, j, i = volume.array.shape
    out = np.empty((-(-k // fk), -(-j // fj), -(-i // fi)), dtype=np.float32)
    rows = max(1, _SLAB_BYTES // (4 * j * i))
    exact = volume.array.dtype.kind in "biu" and volume.array.dtype.itemsize <= 2  # in sums of float32, too

    def fill(first: int) -> None:
        slab = volume.array[first * fk : (first + rows) * fk]
        if exact:  # no need of a copy without metal
            part = out[first : first + rows]
            part[:] = _block_sums(slab, factors)
            place, above_bone = metal_in(slab)
            np.subtract.at(part, tuple(at // f for at, f in zip(place, (fk, fj, fi))), above_bone)
            return
        slab = without_metal(slab)
        sums = _block_sums(slab, factors)
        if not np.isfinite(sums).all():
            slab = np.asarray(slab, dtype=np.float32)
            sums = _block_sums(np.nan_to_num(slab, nan=AIR_HU, posinf=AIR_HU, neginf=AIR_HU), factors)
        out[first : first + rows] = sums

    _on_threads(fill, range(0, len(out), rows))
    out /= np.multiply.outer(np.multiply.outer(_block_sizes(k, fk), _block_sizes(j, fj)), _block_sizes(i, fi))
    affine = volume.ijk_to_ras.copy()
    affine[:3, 3] = apply_affine(affine, (np.array(factors) - 1) / 2)[0]
    affine[:3, :3] *= np.array(factors)
    return Volume(out, affine)


def _on_threads(work: Callable[[int], None], jobs: range) -> None:
    """Do all jobs; numpy lets other threads run meanwhile."""
    import SimpleITK as sitk

    threads = min(sitk.ProcessObject.GetGlobalDefaultNumberOfThreads(), _MOST_THREADS, len(jobs))
    if threads < 2:
        for job in jobs:
            work(job)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, jobs):  # raises what a job has raised
            pass


def block_factors(volume: Volume, spacing_mm: float) -> tuple[int, int, int]:
    """Whole factors (fi, fj, fk) of :func:`metal_free_block_mean` that bring voxels to ``spacing_mm`` or just below."""
    sizes = volume.array.shape[::-1]
    return tuple(int(np.clip(spacing_mm / s + 0.25, 1, size - 1)) for s, size in zip(volume.spacing, sizes))


@np.errstate(invalid="ignore", over="ignore")  # NaN and infinity are dealt with by the caller
def _block_sums(array: np.ndarray, factors: tuple[int, int, int]) -> np.ndarray:
    """Sums over blocks of (fi, fj, fk) voxels of a (K, J, I) array, float32; the input is never copied.

    K comes first: there whole rows are added, and only a fraction is left for the strided sums along J and I.
    """
    for axis, factor in enumerate(reversed(factors)):
        parts = np.moveaxis(array, axis, 0)
        sums = np.zeros((-(-len(parts) // factor), *parts.shape[1:]), dtype=np.float32)
        for offset in range(min(factor, len(parts))):
            part = parts[offset::factor]
            sums[: len(part)] += part
        array = np.moveaxis(sums, 0, axis)
    return array


def _block_sizes(size: int, factor: int) -> np.ndarray:
    """How many voxels each block along an axis holds, float32."""
    return np.diff(np.append(np.arange(0, size, factor), size)).astype(np.float32)


def to_working_grid(volume: Volume, spacing_mm: float) -> Volume:
    """Bring a volume of any orientation to the network's grid: canonical axes, isotropic, anti-aliased.

    First :func:`metal_free_block_mean` by whole factors to just below ``spacing_mm``, then linear interpolation of the
    small volume. The grid keeps the scan's own axes; only beyond 15 degrees of obliquity (or for sheared axes, a gantry
    tilt) is it laid along the world axes instead. Voxels outside the scan are air.

    Args:
        volume: CT, HU.
        spacing_mm: size of the grid's voxels.

    Returns:
        float32 (K, J, I) canonical volume with ``spacing_mm`` isotropic voxels, HU.
    """
    import SimpleITK as sitk

    canonical = to_canonical(volume)
    small = metal_free_block_mean(canonical, block_factors(canonical, spacing_mm))
    axes = grid_axes(canonical)
    extent = canonical.corners @ axes  # coordinates of the corners along the new axes
    low, high = extent.min(axis=0), extent.max(axis=0)
    size = np.maximum(np.ceil((high - low) / spacing_mm - 1e-6).astype(int), 2)
    origin = axes @ ((low + high) / 2 - (size - 1) / 2 * spacing_mm)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes * spacing_mm, origin

    # Resample in the small volume's own index space: exact also for sheared axes, which SimpleITK cannot hold.
    to_index = np.linalg.inv(small.ijk_to_ras) @ affine
    moving = sitk.GetImageFromArray(small.array)
    transform = sitk.AffineTransform(to_index[:3, :3].ravel().tolist(), to_index[:3, 3].tolist())
    # SimpleITK clamps within the outer half voxel, which belongs to the scan; beyond it lies air.
    resampled = sitk.Resample(
        moving, size.tolist(), transform, sitk.sitkLinear, [0.0] * 3, [1.0] * 3, np.eye(3).ravel().tolist(), AIR_HU
    )
    return Volume(sitk.GetArrayFromImage(resampled), affine)
