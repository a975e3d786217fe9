"""Where the image ends, seen from a point within it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from .labels import LabeledPoint

OUTSIDE_MM = 25.0  # a vertebra that the edge of the image cuts may have its center beyond it


def far_outside(points: Sequence[LabeledPoint], corners: np.ndarray) -> tuple[str, float] | None:
    """The level that lies farthest outside the field of view, and by how many mm; ``None`` where all may be its own.

    Args:
        corners: (8, 3) of the field of view, RAS mm.
    """
    outside = -distance_to_face(np.array([point.ras for point in points]).reshape(-1, 3), corners)
    if not len(outside) or outside.max() <= OUTSIDE_MM:
        return None
    return points[int(outside.argmax())].level, float(outside.max())


def distance_along(points: np.ndarray, direction: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(N,) mm from points (N, 3) along unit directions (N, 3) to the end of the field of view; 0 outside of it.

    A field of view without volume is unknown: nothing beyond the points counts as seen (0 everywhere).
    """
    origin, axes = _box(corners)
    if abs(np.linalg.det(axes)) < 1.0:
        return np.zeros(len(points))
    inverse = np.linalg.inv(axes)
    at, step = (points - origin) @ inverse, direction @ inverse
    with np.errstate(divide="ignore", invalid="ignore"):
        to_face = np.where(step > 0, (1 - at) / step, np.where(step < 0, -at / step, np.inf))
    return np.clip(to_face.min(axis=1), 0.0, 1e6)


def distance_to_face(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(N,) mm from points (N, 3) to the nearest face of the field of view; infinite where that is unknown."""
    return distances_to_faces(points, corners).min(axis=1)


def distances_to_faces(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(N, 6) mm from points (N, 3) to each face of the field of view; infinite where that is unknown."""
    origin, axes = _box(corners)
    if abs(np.linalg.det(axes)) < 1.0:
        return np.full((len(points), 6), np.inf)
    inverse = np.linalg.inv(axes)
    at = (points - origin) @ inverse
    thickness = 1.0 / np.linalg.norm(inverse, axis=0)  # between opposite faces, also of a sheared box
    return np.concatenate([at * thickness, (1 - at) * thickness], axis=1)


def _box(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Origin and (3, 3) edge vectors (rows) of the parallelepiped with the given (8, 3) corners in any order.

    Corners of no parallelepiped (damaged or rounded beyond 1 mm) give their axis-aligned bounding box.
    """
    origin = corners[0]
    others = corners[1:] - origin
    for triple in combinations(range(7), 3):
        a, b, c = others[list(triple)]
        rest = np.delete(others, triple, axis=0)
        sums = np.array([a + b, a + c, b + c, a + b + c])
        if np.linalg.norm(sums[:, None] - rest[None], axis=2).min(axis=1).max() < 1.0:
            return origin, np.array([a, b, c])
    low, high = corners.min(axis=0), corners.max(axis=0)
    return low, np.diag(high - low)
