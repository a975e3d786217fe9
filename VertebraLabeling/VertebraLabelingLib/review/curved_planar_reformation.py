"""Curved sagittal and coronal views: flat pictures of surfaces that follow the spine, with every vertebra in view.

The sagittal view shows the surface that runs through the body centers and straight forwards; the coronal view the one
that runs through them and straight sideways. Heights stay true and a kyphosis or scoliosis keeps its shape. Nothing
farther than :data:`REACH_MM` from the spine is sampled, so that no picture of a head shows a face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.sampling import sample
from ..core.straight_spine import patient_axes
from ..core.volume import Volume

REACH_MM = 60.0
STEP_MM = 0.7
ABOVE_MM, BELOW_MM = 22.0, 30.0
SAGITTAL_SLAB_MM = 6.0
CORONAL_SLAB_MM = 8.0
RIB_SLAB_MM = (-26.0, 2.0)
"""Reach of the rib view along the front axis from the body centers: heads, necks and the first bend of the ribs."""

_MERGE_MM = 2.0
_SLAB_STEP_MM = 2.0
_RIB_STEP_MM = 4.0  # a rib is twice as thick
_STEEPEST = 1.5  # sideways mm per mm of height where the curve runs on beyond the last point


@dataclass(frozen=True)
class SpineFrame:
    """The curve through the points and the axes of the pictures.

    Attributes:
        up, front, right: unit vectors, RAS; the patient's axes unless the spine lies far from them.
        heights: (M,) mm along ``up``, ascending by :data:`STEP_MM`.
        fronts, rights: (M,) mm along ``front`` and ``right``: where the curve passes at each height.
    """

    up: np.ndarray
    front: np.ndarray
    right: np.ndarray
    heights: np.ndarray
    fronts: np.ndarray
    rights: np.ndarray

    def coordinates(self, ras: np.ndarray) -> np.ndarray:
        """(N, 3) world positions, RAS mm, as (N, 3) mm along right, front, up."""
        return np.asarray(ras, dtype=float) @ np.stack((self.right, self.front, self.up), axis=1)


@dataclass(frozen=True)
class CurvedImage:
    """One view.

    Attributes:
        pixels: (M, W) HU, top row first; NaN outside the scan and beyond :data:`REACH_MM`. The patient's front (or
            right) side is on the left, as radiologists look at it.
        extent: (left, right, bottom, top) in mm along the view's axes, for matplotlib's ``imshow``.
    """

    pixels: np.ndarray
    extent: tuple[float, float, float, float]


def spine_frame(
    volume: Volume, points: np.ndarray, above_mm: float = ABOVE_MM, below_mm: float = BELOW_MM
) -> SpineFrame:
    """Lay a smooth curve through body centers.

    Args:
        volume: limits how far the view runs on beyond the last points.
        points: (N, 3) body centers, RAS mm, N >= 1, head to foot.
        above_mm, below_mm: how far it runs on at most.
    """
    points = np.asarray(points, dtype=float).reshape(-1, 3)
    up, front, right = patient_axes(points)
    inside = volume.corners @ up
    knots = points @ up
    low = max(knots.min() - below_mm, min(inside.min(), knots.min()))
    high = min(knots.max() + above_mm, max(inside.max(), knots.max()))
    heights = np.arange(low, max(high, low + STEP_MM) + STEP_MM / 2, STEP_MM)
    fronts, rights = (_smooth(knots, points @ axis, heights) for axis in (front, right))
    return SpineFrame(up, front, right, heights, fronts, rights)


def sagittal_view(volume: Volume, frame: SpineFrame) -> CurvedImage:
    """The view from the patient's left, front to the left; mean over a slab of :data:`SAGITTAL_SLAB_MM`."""
    slab = _centered(SAGITTAL_SLAB_MM)
    return _view(volume, frame, frame.front, frame.fronts, frame.right, frame.rights, slab)


def coronal_view(volume: Volume, frame: SpineFrame) -> CurvedImage:
    """The view from the front, the patient's right to the left; mean over a slab of :data:`CORONAL_SLAB_MM`."""
    slab = _centered(CORONAL_SLAB_MM)
    return _view(volume, frame, frame.right, frame.rights, frame.front, frame.fronts, slab)


def rib_view(volume: Volume, frame: SpineFrame) -> CurvedImage:
    """As :func:`coronal_view`, but the maximum over :data:`RIB_SLAB_MM`: transverse processes and ribs."""
    slab = np.arange(RIB_SLAB_MM[0], RIB_SLAB_MM[1] + 0.1, _RIB_STEP_MM)
    return _view(volume, frame, frame.right, frame.rights, frame.front, frame.fronts, slab, maximum=True)


def _centered(slab_mm: float) -> np.ndarray:
    return np.arange(-slab_mm / 2, slab_mm / 2 + 0.1, _SLAB_STEP_MM)


def _smooth(knots: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Cubic Hermite curve through (knots, values), slopes from the neighbors; straight beyond the ends."""
    order = np.argsort(knots)
    knots, values = knots[order], values[order]
    groups = np.concatenate(([0], np.cumsum(np.diff(knots) > _MERGE_MM)))
    counts = np.bincount(groups)
    knots, values = np.bincount(groups, knots) / counts, np.bincount(groups, values) / counts
    if len(knots) == 1:
        return np.full(len(at), values[0])
    slopes = np.clip(np.gradient(values, knots), -_STEEPEST, _STEEPEST)
    index = np.clip(np.searchsorted(knots, at) - 1, 0, len(knots) - 2)
    width = knots[index + 1] - knots[index]
    t = np.clip((at - knots[index]) / width, 0, 1)
    curve = (
        (1 + 2 * t) * (1 - t) ** 2 * values[index]
        + t * (1 - t) ** 2 * width * slopes[index]
        + t**2 * (3 - 2 * t) * values[index + 1]
        - t**2 * (1 - t) * width * slopes[index + 1]
    )
    below, above = np.minimum(at - knots[0], 0), np.maximum(at - knots[-1], 0)
    return curve + slopes[0] * below + slopes[-1] * above


def _view(
    volume: Volume,
    frame: SpineFrame,
    across: np.ndarray,
    center: np.ndarray,
    depth: np.ndarray,
    depth_center: np.ndarray,
    slab: np.ndarray,
    maximum: bool = False,
) -> CurvedImage:
    """Sample the surface ``height * up + w * across + depth_center(height) * depth``; mean (or maximum) over a slab.

    ``slab`` holds offsets along ``depth``, mm.
    """
    columns = np.arange(center.max() + REACH_MM, center.min() - REACH_MM - STEP_MM / 2, -STEP_MM)
    rows = np.arange(len(frame.heights))[::-1]
    near = np.abs(columns[None, :] - center[rows, None]) <= REACH_MM
    row, column = np.nonzero(near)
    row = rows[row]
    base = frame.heights[row, None] * frame.up + columns[column, None] * across + depth_center[row, None] * depth
    total, count = np.full(len(row), -np.inf if maximum else 0.0), np.zeros(len(row))
    for offset in slab:
        values = sample(volume, base + offset * depth)
        inside = np.isfinite(values)
        if maximum:
            total[inside] = np.maximum(total[inside], values[inside])
        else:
            total[inside] += values[inside]
        count += inside
    if not maximum:
        total /= np.maximum(count, 1)
    pixels = np.full(near.shape, np.nan, dtype=np.float32)
    pixels[near] = np.where(count > 0, total, np.nan)
    half = STEP_MM / 2
    extent = (columns[0] + half, columns[-1] - half, frame.heights[0] - half, frame.heights[-1] + half)
    return CurvedImage(pixels, extent)
