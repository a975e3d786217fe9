"""Do two statements of where a volume lies mean the same place? Judged in mm where they differ most, at its corners."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.volume import apply_affine

AGREE_MM = 1.0
"""Corners this near are the same place. Rounding of a header's numbers moves a corner by less than 0.1 mm."""

LARGEST_COSINE = 0.6
"""Between two axes of one volume: 53 degrees. No gantry tilts by more than 30 degrees."""

_SAME_AXIS_COSINE = 0.7  # axes further apart than 45 degrees are others


def corner_distance(one: np.ndarray, other: np.ndarray, size: Sequence[int]) -> float:
    """Largest distance in mm between the corners of a volume of ``size`` (I, J, K) under two (4, 4) affines."""
    corners = np.array(np.meshgrid(*[(-0.5, length - 0.5) for length in size], indexing="ij")).reshape(3, 8).T
    return float(np.linalg.norm(apply_affine(one, corners) - apply_affine(other, corners), axis=1).max())


def same_axes(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether no axis is mirrored or exchanged between two (4, 4) affines: they may be shifted, and turned a little."""
    cosines = np.sum(unit_columns(one) * unit_columns(other), axis=0)
    return bool(cosines.min() > _SAME_AXIS_COSINE and np.linalg.det(one[:3, :3]) * np.linalg.det(other[:3, :3]) > 0)


def unit_columns(affine: np.ndarray) -> np.ndarray:
    """(3, 3) unit vectors of the axes of an affine whose columns are not zero."""
    return affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)


def largest_cosine(affine: np.ndarray) -> float:
    """Of the angles between the axes: 0 where all are right angles."""
    axes = unit_columns(affine)
    return float(np.abs(axes.T @ axes - np.eye(3)).max())
