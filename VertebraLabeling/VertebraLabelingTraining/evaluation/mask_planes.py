"""End plates fitted to the mask of a vertebra: what planes of the engine are measured against."""

from __future__ import annotations

import numpy as np
from VertebraLabelingLib.reading.planes import Plane, between

ROUNDS = 4  # of turning the frame to the plates that were found
SIDEWAYS, FRONT = 0.6, 0.5  # half axes of the column of the mask that is looked at, over the height of the body
STRAY = 2.5  # times the usual distance from the plane: an edge farther off is a spur


def end_plates_of(voxels: np.ndarray, plane: Plane, voxel_mm: float) -> tuple[Plane, Plane]:
    """The upper and the lower end plate of a vertebral body.

    Args:
        voxels: (N, 3) world RAS mm of the vertebra's mask.
        plane: through the middle of the body, roughly across it.
        voxel_mm: largest side of a voxel.
    """
    near = voxels[np.linalg.norm(voxels - plane.origin, axis=1) < 20.0]
    height = 2 * np.percentile(np.abs(plane.height(near)), 90)
    upper = lower = plane
    for _ in range(ROUNDS):
        offset = voxels - plane.origin
        across = np.stack([offset @ plane.right, offset @ plane.front], axis=1)
        inside = (across[:, 0] / (SIDEWAYS * height)) ** 2 + (across[:, 1] / (FRONT * height)) ** 2 < 1
        tops, bottoms = _ends(across[inside], offset[inside] @ plane.up, max(2.0, voxel_mm))
        upper, lower = _fitted(plane, tops), _fitted(plane, bottoms)
        plane = Plane(plane.origin, between(upper, lower).up)
    return upper, lower


def _ends(across: np.ndarray, heights: np.ndarray, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """(M, 3) place to the right, to the front, and height of the top and of the bottom of each cell."""
    cells, which = np.unique(np.round(across / cell), axis=0, return_inverse=True)
    which = which.ravel()
    top, bottom = np.full(len(cells), -np.inf), np.full(len(cells), np.inf)
    np.maximum.at(top, which, heights)
    np.minimum.at(bottom, which, heights)
    return tuple(np.column_stack([cells * cell, ends]) for ends in (top, bottom))


def _fitted(plane: Plane, ends: np.ndarray) -> Plane:
    """The plane through the ends of most cells, by repeated least squares without strays."""
    kept = np.ones(len(ends), bool)
    for _ in range(8):
        design = np.column_stack([ends[:, :2], np.ones(len(ends))])
        found = np.linalg.lstsq(design[kept], ends[kept, 2], rcond=None)[0]
        off = np.abs(ends[:, 2] - design @ found)
        kept = off < STRAY * max(1.4826 * np.median(off[kept]), 0.3)
    up = plane.up - found[0] * plane.right - found[1] * plane.front
    return Plane(plane.origin + found[2] * plane.up, up / np.linalg.norm(up))
