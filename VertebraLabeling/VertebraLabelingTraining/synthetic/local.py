"""A vertebra's own frame of reference and the box of voxels around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .anatomy import Anatomy


@dataclass(frozen=True)
class Frame:
    """Axes of one vertebra.

    Attributes:
        level: name. center: (3,) body center, mm. axes: (3, 3) rows are right, anterior, up (unit vectors).
        spacing: distance to the neighboring centers, mm.
    """

    level: str
    center: np.ndarray
    axes: np.ndarray
    spacing: float

    def point(self, right: float, anterior: float, up: float = 0.0) -> np.ndarray:
        """(3,) position in mm of a point given in the vertebra's own frame."""
        return self.center + np.array([right, anterior, up]) @ self.axes


def frames(truth: dict[str, np.ndarray]) -> list[Frame]:
    """One frame per level from head to foot; up follows the line of the neighboring centers."""
    levels = sorted(truth, key=lambda level: -truth[level][2])
    points = np.array([truth[level] for level in levels])
    found = []
    for index, level in enumerate(levels):
        first, last = max(index - 1, 0), min(index + 1, len(levels) - 1)
        up = points[first] - points[last]
        spacing = float(np.linalg.norm(up)) / (last - first)
        up = up / np.linalg.norm(up)
        right = np.array([up[2], 0.0, -up[0]])
        right /= np.linalg.norm(right)
        found.append(Frame(level, points[index], np.stack([right, np.cross(up, right), up]), spacing))
    return found


@dataclass(frozen=True)
class Box:
    """Voxels about a point.

    Attributes:
        region: index of the box in a (K, J, I) array.
        right, anterior, up: coordinates of its voxels in the frame, mm, relative to the box's middle.
    """

    region: tuple[slice, slice, slice]
    right: np.ndarray
    anterior: np.ndarray
    up: np.ndarray


def box(anatomy: Anatomy, frame: Frame, middle: np.ndarray, half_mm: float) -> Box:
    """The cube of half size ``half_mm`` about ``middle`` (mm), cut at the image's edge."""
    s = anatomy.spacing_mm
    shape = np.array(anatomy.labels.shape)
    index = np.asarray(middle)[::-1] / s
    low = np.clip(np.floor(index - half_mm / s).astype(int), 0, shape - 1)
    high = np.clip(np.ceil(index + half_mm / s).astype(int) + 1, low + 1, shape)
    z, y, x = (np.arange(low[axis], high[axis]) * s - middle[2 - axis] for axis in range(3))
    offset = np.stack(np.broadcast_arrays(x[None, None, :], y[None, :, None], z[:, None, None]), axis=-1)
    right, anterior, up = np.moveaxis(offset @ frame.axes.T, -1, 0)
    return Box(tuple(slice(a, b) for a, b in zip(low, high)), right, anterior, up)


def segment_distance(box_: Box, frame: Frame, middle: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Distance in mm of the box's voxels from the segment between two points (mm, not the frame's coordinates)."""
    a, b = (frame.axes @ (point - middle) for point in (start, end))
    line = b - a
    offset = np.stack([box_.right, box_.anterior, box_.up], axis=-1) - a
    part = np.clip(offset @ line / (line @ line), 0.0, 1.0)
    return np.linalg.norm(offset - part[..., None] * line, axis=-1)
