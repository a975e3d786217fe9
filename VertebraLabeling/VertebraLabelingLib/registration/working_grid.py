"""A scan as the registration looks at it: small, isotropic, values from 0 to 1, of CT and MR alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.volume import Volume, ras_to_ijk
from ..errors import InputError
from ..preprocessing.resampling import to_working_grid

CT_BELOW = -200.0  # values that only a CT has
CT_RANGE = -350.0, 950.0  # HU: below is air, above hard bone and metal
_OUTSIDE = -0.5
_SPARSE = 4  # every so many voxels along each axis tell of the values of a scan
_BRIGHT = 99.5  # per cent of the voxels of an MR are darker: the coil and vessels may outshine all


@dataclass(frozen=True)
class WorkingGrid:
    """A scan on isotropic voxels.

    Attributes:
        volume: float32 (K, J, I), 0..1 within the scan, below 0 outside.
        mm: size of the voxels.
    """

    volume: Volume
    mm: float

    @property
    def seen(self) -> np.ndarray:
        """(K, J, I) whether a voxel lies in the scan."""
        return self.volume.array >= 0

    def at(self, ras: np.ndarray) -> np.ndarray:
        """(N,) values at world places (N, 3) RAS mm by linear interpolation; NaN outside the scan."""
        array, size = self.volume.array, np.array(self.volume.array.shape[::-1])
        ijk = ras_to_ijk(self.volume, ras)
        low = np.clip(np.floor(ijk).astype(int), 0, size - 2)
        share = (ijk - low).astype(np.float32)
        i, j, k = low.T
        flat, (_, height, width) = array.reshape(-1), array.shape
        first = (k * height + j) * width + i
        total, seen = np.zeros(len(ijk), np.float32), ((ijk >= 0) & (ijk <= size - 1)).all(axis=1)
        for dk in (0, 1):
            for dj in (0, 1):
                for di in (0, 1):
                    parts = (share[:, axis] if on else 1 - share[:, axis] for axis, on in enumerate((di, dj, dk)))
                    weight = np.prod(list(parts), axis=0)
                    value = flat[first + (dk * height + dj) * width + di]
                    seen &= (value >= 0) | (weight == 0)
                    total += weight * value
        return np.where(seen, total, np.nan)


def is_ct(volume: Volume) -> bool:
    """Whether the values can be HU: those of an MR are not far below 0."""
    seen = volume.array[::_SPARSE, ::_SPARSE, ::_SPARSE]
    return bool((seen < CT_BELOW).any())


def working_grid(volume: Volume, mm: float) -> WorkingGrid:
    """Bring a CT or MR to the grid of the registration.

    Raises:
        InputError: all voxels have one value.
    """
    if is_ct(volume):
        low, high = CT_RANGE
        grid = to_working_grid(volume, mm)
    else:
        seen = np.asarray(volume.array[::_SPARSE, ::_SPARSE, ::_SPARSE], dtype=np.float32)
        seen = seen[np.isfinite(seen)]
        low, high = (float(seen.min()), float(np.percentile(seen, _BRIGHT))) if seen.size else (0.0, 0.0)
        if not high > low:
            raise InputError("All voxels of the volume have the same value: choose another volume.")
        # as HU from air upward, which is what the means over blocks are made for
        scaled = (np.asarray(volume.array, dtype=np.float32) - low) * (1000.0 / (high - low))
        grid = to_working_grid(Volume(np.clip(scaled, 0.0, 1000.0), volume.ijk_to_ras), mm)
        low, high = 0.0, 1000.0
    array = np.clip((grid.array - low) / (high - low), 0.0, 1.0).astype(np.float32)
    array[~_inside(volume, grid)] = _OUTSIDE
    return WorkingGrid(Volume(array, grid.ijk_to_ras), mm)


def _inside(volume: Volume, grid: Volume) -> np.ndarray:
    """(K, J, I) whether the voxel centers of a grid lie in a volume."""
    matrix = np.linalg.inv(volume.ijk_to_ras) @ grid.ijk_to_ras
    k, j, i = (np.arange(size, dtype=np.float32) for size in grid.array.shape)
    inside = np.ones(grid.array.shape, dtype=bool)
    for row, size in zip(matrix[:3], volume.array.shape[::-1]):
        place = (row[0] * i)[None, None] + (row[1] * j)[None, :, None] + ((row[2] * k) + row[3])[:, None, None]
        inside &= (place >= -0.5) & (place <= size - 0.5)
    return inside
