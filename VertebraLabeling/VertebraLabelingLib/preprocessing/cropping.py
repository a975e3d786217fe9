"""Cut a working grid down to what the network needs to see; the affine moves along."""

from __future__ import annotations

import numpy as np

from ..core.volume import Volume, apply_affine, ras_to_ijk
from ..errors import NoSpineError

BODY_HU = -300.0
AIR_MARGIN = 4  # voxels of air around the body: the network learned where a scan ends


def crop_to_body(grid: Volume) -> Volume:
    """Cut away the air around the patient, keeping a margin.

    Raises:
        NoSpineError: there is nothing but air.
    """
    body = grid.array > BODY_HU
    parts = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        used = np.flatnonzero(body.sum(axis=others) >= 4)
        if len(used) == 0:
            raise NoSpineError("No patient is in this volume, only air: choose a CT that shows the spine.")
        parts.append((max(0, used[0] - AIR_MARGIN), min(grid.array.shape[axis], used[-1] + 1 + AIR_MARGIN)))
    return _cut(grid, parts)


def crop_around(grid: Volume, points: np.ndarray, margin_mm: float) -> Volume:
    """Keep the box around points (N, 3), world RAS mm, and a margin."""
    kji = ras_to_ijk(grid, points)[:, ::-1]
    margin = margin_mm / grid.spacing[::-1]
    low = np.floor(kji.min(axis=0) - margin).astype(int).clip(min=0)
    high = np.minimum(np.ceil(kji.max(axis=0) + margin).astype(int) + 1, grid.array.shape)
    return _cut(grid, list(zip(low, high)))


def keep_slices(volume: Volume, first: int, end: int) -> Volume:
    """The slices ``first`` to ``end - 1`` along K; the voxels are not copied."""
    _, rows, columns = volume.array.shape
    return _cut(volume, [(first, end), (0, rows), (0, columns)])


def _cut(grid: Volume, parts: list[tuple[int, int]]) -> Volume:
    """The voxels ``first`` to ``last - 1`` of each array axis (K, J, I)."""
    (k0, k1), (j0, j1), (i0, i1) = parts
    affine = grid.ijk_to_ras.copy()
    affine[:3, 3] = apply_affine(affine, (i0, j0, k0))[0]
    return Volume(grid.array[k0:k1, j0:j1, i0:i1], affine)
