"""The spine pulled straight: cross-sections at equal steps along the curve through the vertebral bodies.

What lies around the spine (lungs, organs, the trunk's outline) says roughly which level this is, and in a patient
unlike the known ones it says it wrongly. In the straightened spine little more than vertebrae and the roots of the
ribs is left, at one pose and at a height resolution that keeps the smallest vertebrae apart, so that they can be
counted.

Positions are (z, y, x) in mm in a canonical volume (z up, y to the front, x to the right), as in
the cases of the training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .interpolation import sample_part

STEP_MM = 2.0  # along the curve
CELL_MM = 4.0  # across it
SIDE_CELLS = 32  # 64 mm to either side: necks and angles of the ribs
FRONT_MM, BACK_MM = 28.0, 60.0
DEPTH_CELLS = int((FRONT_MM + BACK_MM) / CELL_MM)
BEYOND_MM = 40.0  # the curve runs on straight beyond the first and the last body: skull base, sacrum, half vertebrae
SMOOTHING_MM = 10.0


@dataclass(frozen=True)
class Sections:
    """Where the cross-sections lie, from head to foot.

    Attributes:
        center: (S, 3) points of the curve, :data:`STEP_MM` apart.
        right, front: (S, 3) unit vectors of each plane.
    """

    center: np.ndarray
    right: np.ndarray
    front: np.ndarray

    def __len__(self) -> int:
        return len(self.center)

    def rows_of(self, points: np.ndarray) -> np.ndarray:
        """(N,) fractional section number at which each of (N, 3) points lies; limited to the ends."""
        along = np.cross(self.right, self.front)  # to the feet: (z, y, x) order turns a cross product's sign
        return rows_on(self.center, along, points, STEP_MM)[0]


def rows_on(line: np.ndarray, way: np.ndarray, points: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Where (N, 3) points lie on a line of (R, 3) places, ``step`` apart, with (R, 3) unit directions.

    Returns:
        (N,) fractional rows, limited to the ends, and (N,) distances from the nearest place.
    """
    away = np.linalg.norm(points[:, None] - line[None], axis=2)
    nearest = away.argmin(axis=1)
    offset = np.einsum("nc,nc->n", points - line[nearest], way[nearest]) / step
    return np.clip(nearest + np.clip(offset, -0.5, 0.5), 0, len(line) - 1), away.min(axis=1)


def sections_through(points: np.ndarray, beyond_mm: float = BEYOND_MM) -> Sections:
    """Lay cross-sections along a smooth curve through vertebral bodies.

    Args:
        points: (N, 3) bodies from head to foot, N >= 2.
        beyond_mm: how far the curve runs on beyond the first and the last.
    """
    points = np.asarray(points, dtype=float)
    head, foot = (end[-1] + _direction(end) * beyond_mm for end in (points[::-1], points))
    line = _equal_steps(np.concatenate([head[None], points, foot[None]]), 1.0)
    reach = int(3 * SMOOTHING_MM)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SMOOTHING_MM) ** 2)
    # reflected about its ends, a straight end stays straight and keeps its place
    padded = np.concatenate([2 * line[0] - line[reach:0:-1], line, 2 * line[-1] - line[-2 : -reach - 2 : -1]])
    smooth = np.stack([np.convolve(axis, kernel / kernel.sum(), mode="valid") for axis in padded.T], axis=1)
    center = _equal_steps(smooth, STEP_MM)
    up = -np.gradient(center, axis=0)
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    right = np.array([0.0, 0.0, 1.0]) - up[:, 2:] * up
    right /= np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-6)
    return Sections(center, right, -np.cross(up, right))


def _direction(points: np.ndarray) -> np.ndarray:
    """Unit direction at the end of a chain, over its last bodies."""
    step = points[-1] - points[max(0, len(points) - 3)]
    return step / max(np.linalg.norm(step), 1e-6)


def _equal_steps(line: np.ndarray, step: float) -> np.ndarray:
    """(M, 3) points at equal arc length on a polyline."""
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.arange(0, arc[-1] + 1e-6, step)
    return along(line, arc, at)


def along(line: np.ndarray, known: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(K, 3) points between those of a polyline (M, 3) whose parameter is ``known`` (M,), ascending, at ``at`` (K,)."""
    return np.stack([np.interp(at, known, axis) for axis in line.T], axis=1)


def straighten(image: Tensor, spacing: np.ndarray, sections: Sections, zoom: float = 1.0) -> Tensor:
    """Sample the cross-sections of a volume.

    Args:
        image: (D, H, W) HU, canonical.
        spacing: (3,) mm along z, y, x.
        sections: S planes.
        zoom: size of the cells relative to :data:`CELL_MM`.

    Returns:
        (S, DEPTH_CELLS, SIDE_CELLS) HU, front row first, the patient's left column first; each cell is the mean of
        four samples, air outside the volume.
    """
    cell = CELL_MM * zoom
    front = (FRONT_MM / CELL_MM - (np.arange(2 * DEPTH_CELLS) + 0.5) / 2) * cell
    side = ((np.arange(2 * SIDE_CELLS) + 0.5) / 2 - SIDE_CELLS / 2) * cell
    to_index = 1.0 / np.asarray(spacing, dtype=float)
    center, along_front, along_right = (
        torch.from_numpy((array * to_index).astype(np.float32)).to(image.device)
        for array in (sections.center, sections.front, sections.right)
    )
    f = torch.from_numpy(front.astype(np.float32)).to(image.device)[None, :, None, None]
    s = torch.from_numpy(side.astype(np.float32)).to(image.device)[None, None, :, None]
    index = center[:, None, None] + f * along_front[:, None, None] + s * along_right[:, None, None]
    return functional.avg_pool2d(sample_part(image, index)[:, None], 2)[:, 0]
