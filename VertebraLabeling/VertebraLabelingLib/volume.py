"""The one place where RAS, LPS and IJK meet.

World is RAS mm everywhere in this project. Arrays are indexed ``[k, j, i]`` and an affine ``ijk_to_ras`` maps the
column ``(i, j, k, 1)`` of a voxel centre to world. *Canonical* means K runs to Superior, J to Anterior, I to Right.
LPS appears only in the two functions that name it, for SimpleITK and for files.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from .errors import InputError
from .metal import metal_in, without_metal

AIR_HU = -1000.0
MAX_OBLIQUITY_DEG = 15.0
MIN_VOXEL_MM, MAX_VOXEL_MM, FARTHEST_MM = 0.01, 100.0, 1e6
_SLAB_BYTES, _MOST_THREADS = 4 * 2**20, 8
_LPS_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Volume:
    """A CT volume.

    Attributes:
        array: (K, J, I) voxel values, HU; any real dtype.
        ijk_to_ras: (4, 4) affine from voxel index (i, j, k) to world RAS mm.

    Raises:
        InputError: the array is not 3-D, or the affine is not finite and invertible, or not that of a patient.
    """

    array: np.ndarray
    ijk_to_ras: np.ndarray

    def __post_init__(self) -> None:
        if self.array.ndim != 3 or min(self.array.shape) < 2:
            raise InputError(
                f"A CT volume needs three dimensions with at least two voxels each, not {self.array.shape}: "
                "choose a whole series instead of a single slice."
            )
        if self.array.dtype.kind not in "biuf":
            raise InputError(f"Voxels of type {self.array.dtype} are not CT values: choose a scalar CT volume.")
        affine = np.asarray(self.ijk_to_ras, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.allclose(affine[3], (0, 0, 0, 1)):
            raise InputError("The volume's IJK-to-RAS matrix is damaged: re-import the scan.")
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        if lengths.min() < 1e-3 or abs(np.linalg.det(affine[:3, :3] / np.maximum(lengths, 1e-9))) < 1e-3:
            raise InputError("The volume's IJK-to-RAS matrix cannot be inverted: check spacing and axis directions.")
        if lengths.min() < MIN_VOXEL_MM or lengths.max() > MAX_VOXEL_MM or np.abs(affine[:3, 3]).max() > FARTHEST_MM:
            size = " x ".join(f"{length:.3g}" for length in lengths)
            raise InputError(f"The volume's voxels of {size} mm cannot be those of a patient: check its header.")
        object.__setattr__(self, "ijk_to_ras", affine)

    @property
    def spacing(self) -> np.ndarray:
        """(3,) voxel size along I, J, K, mm."""
        return np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)

    @property
    def corners(self) -> np.ndarray:
        """(8, 3) outer corners of the field of view (voxel edges, not centres), world RAS mm."""
        size = np.array(self.array.shape[::-1], dtype=float)
        ijk = np.array(np.meshgrid(*[(-0.5, s - 0.5) for s in size], indexing="ij")).reshape(3, 8).T
        return apply_affine(self.ijk_to_ras, ijk)


def apply_affine(affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points (N, 3) by a (4, 4) affine; returns (N, 3)."""
    points = np.asarray(points, dtype=np.float64).reshape(-1, 3)
    return points @ affine[:3, :3].T + affine[:3, 3]


def ijk_to_ras(volume: Volume, ijk: np.ndarray) -> np.ndarray:
    """Voxel indices (N, 3) as (i, j, k), fractions allowed, to world RAS mm."""
    return apply_affine(volume.ijk_to_ras, ijk)


def ras_to_ijk(volume: Volume, ras: np.ndarray) -> np.ndarray:
    """World RAS mm (N, 3) to fractional voxel indices (i, j, k)."""
    return apply_affine(np.linalg.inv(volume.ijk_to_ras), ras)


def lps_to_ras(points: np.ndarray) -> np.ndarray:
    """Negate x and y of (..., 3) points. The map is its own inverse; :func:`ras_to_lps` is the same function."""
    return np.asarray(points, dtype=np.float64) * (-1.0, -1.0, 1.0)


ras_to_lps = lps_to_ras


def lps_affine_to_ras(affine: np.ndarray) -> np.ndarray:
    """A (4, 4) affine from voxel indices to LPS mm as one to RAS mm."""
    return _LPS_FLIP @ np.asarray(affine, dtype=np.float64)


class _SharedBuffer:
    """Keeps an image alive as long as an array looks at its voxels; SimpleITK's own array view does not."""

    def __init__(self, image, view: np.ndarray) -> None:
        self._image = image
        self.__array_interface__ = view.__array_interface__


def from_sitk(image) -> Volume:
    """A SimpleITK image (LPS) as a :class:`Volume` (RAS). The voxel buffer is shared, not copied.

    Raises:
        InputError: the image is not a 3-D scalar image.
    """
    import SimpleITK as sitk

    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError("The image has color or vector voxels: choose a scalar CT volume.")
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    if image.GetDimension() != 3:
        raise InputError(f"The image has {image.GetDimension()} dimensions: choose one three-dimensional CT volume.")
    affine, direction = np.eye(4), np.array(image.GetDirection()).reshape(3, 3)
    if not np.allclose(np.linalg.norm(direction, axis=0), 1.0, atol=0.01):
        raise InputError("The image has a damaged orientation matrix: export the scan again.")
    affine[:3, :3] = direction * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return Volume(np.asarray(_SharedBuffer(image, sitk.GetArrayViewFromImage(image))), _LPS_FLIP @ affine)


def to_sitk(volume: Volume):
    """The inverse of :func:`from_sitk`: a SimpleITK image in LPS. The direction matrix must be free of shear."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array))
    affine = _LPS_FLIP @ volume.ijk_to_ras
    image.SetSpacing(volume.spacing.tolist())
    image.SetDirection((affine[:3, :3] / volume.spacing).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    return image


def to_canonical(volume: Volume) -> Volume:
    """Permute and flip the axes so that I runs nearest to Right, J to Anterior, K to Superior.

    The returned array is a view; world positions of all voxels are unchanged (the affine moves with the axes).
    Of the six permutations the one with the largest sum of |cosines| is taken, so every axis order, flip and any
    obliquity has an answer.
    """
    cosines = volume.ijk_to_ras[:3, :3] / volume.spacing
    order = max(permutations(range(3)), key=lambda p: sum(abs(cosines[world, axis]) for world, axis in enumerate(p)))
    # axes of the array are (k, j, i) = reversed (i, j, k): voxel axis a is array axis 2 - a
    array = volume.array.transpose([2 - order[2], 2 - order[1], 2 - order[0]])
    affine = volume.ijk_to_ras.copy()
    affine[:, :3] = affine[:, list(order)]
    for axis in range(3):
        if affine[axis, axis] < 0:
            size = array.shape[2 - axis]
            affine[:3, 3] += affine[:3, axis] * (size - 1)
            affine[:3, axis] *= -1
            array = np.flip(array, 2 - axis)
    return Volume(array, affine)


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


def block_mean(volume: Volume, factors: tuple[int, int, int]) -> Volume:
    """Average blocks of ``factors`` = (fi, fj, fk) voxels; an incomplete last block is averaged over what it holds.

    This is the anti-aliasing of the working grid. It goes slab by slab, on as many threads as SimpleITK uses but at
    most eight, so beside the input only the small result and for each thread what a slab needs (some 10 MiB, most of
    which stays in the processor's cache) are held. NaN voxels count as air, metal as bone (:mod:`.metal`), before it
    spreads over its block.

    Returns:
        float32 volume whose voxel centres are the block centres.
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
    """Whole factors (fi, fj, fk) for :func:`block_mean` that bring voxels to ``spacing_mm`` or just below it."""
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


def to_working_grid(volume: Volume, spacing_mm: float, shift: float = 0.0) -> Volume:
    """Bring a volume of any orientation to the network's grid: canonical axes, isotropic, anti-aliased.

    First :func:`block_mean` by whole factors to just below ``spacing_mm``, then linear interpolation of the small
    volume. The grid keeps the scan's own axes; only beyond 15 degrees of obliquity (or for sheared axes, a gantry
    tilt) is it laid along the world axes instead. Voxels outside the scan are air.

    Args:
        volume: CT, HU.
        spacing_mm: size of the grid's voxels.
        shift: moves the grid by this part of a voxel along each axis.

    Returns:
        float32 (K, J, I) canonical volume with ``spacing_mm`` isotropic voxels, HU.
    """
    import SimpleITK as sitk

    canonical = to_canonical(volume)
    small = block_mean(canonical, block_factors(canonical, spacing_mm))
    axes = grid_axes(canonical)
    extent = canonical.corners @ axes  # coordinates of the corners along the new axes
    low, high = extent.min(axis=0), extent.max(axis=0)
    size = np.maximum(np.ceil((high - low) / spacing_mm - 1e-6).astype(int), 2)
    origin = axes @ ((low + high) / 2 + (shift - (size - 1) / 2) * spacing_mm)
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
