"""The one place where RAS, LPS and IJK meet.

World is RAS mm everywhere in this project. Arrays are indexed ``[k, j, i]`` and an affine ``ijk_to_ras`` maps the
column ``(i, j, k, 1)`` of a voxel center to world. *Canonical* means K runs to Superior, J to Anterior, I to Right.
LPS appears only in the two functions that name it, for SimpleITK and for files.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from ..errors import InputError

AIR_HU = -1000.0
MIN_VOXEL_MM, MAX_VOXEL_MM = 0.01, 100.0
FARTHEST_MM = 1e5
"""Nothing of a scan lies further from the origin along an axis: what is beyond is damage or malice."""

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
        """(8, 3) outer corners of the field of view (voxel edges, not centers), world RAS mm."""
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
