"""Spines of known shape: points on a line or on a circle, and where in them any place lies."""

from __future__ import annotations

import numpy as np
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.labels import LabeledPoint
from VertebraLabelingLib.core.spacing import VERSE_SPACING
from VertebraLabelingLib.core.volume import Volume

TOP = np.array([4.0, -30.0, 900.0])


def depths(levels) -> np.ndarray:
    """(N,) mm of each level below the first, by the usual distances."""
    return np.concatenate([[0.0], np.cumsum([VERSE_SPACING[pair] for pair in zip(levels, levels[1:])])])


def straight(levels=USUAL_LEVELS, down=(0.0, 0.0, -1.0)) -> list[LabeledPoint]:
    """A straight spine."""
    down = np.array(down) / np.linalg.norm(down)
    return [LabeledPoint(level, tuple(TOP + d * down)) for level, d in zip(levels, depths(levels))]


def on_circle(levels, radius: float) -> list[LabeledPoint]:
    """A kyphosis: an arc about a center in front of the spine; the first vertebra stands upright at :data:`TOP`."""
    return [
        LabeledPoint(level, tuple(place(0.0, 0.0, d, radius))) for level, d in zip(levels, arc_depths(levels, radius))
    ]


def arc_depths(levels, radius: float) -> np.ndarray:
    """(N,) mm along the arc of vertebrae whose straight distances are the usual ones."""
    steps = np.diff(depths(levels))
    return np.concatenate([[0.0], np.cumsum(2 * radius * np.arcsin(steps / (2 * radius)))])


def place(right: float, front: float, depth: float, radius: float) -> np.ndarray:
    """World place at a depth along the arc, and mm beside it."""
    angle = depth / radius
    middle = TOP + np.array([0.0, radius, 0.0])
    outward = np.array([0.0, -np.cos(angle), -np.sin(angle)])
    return middle + (radius - front) * outward + np.array([right, 0.0, 0.0])


def tilted_bodies(spacing=(1.0, 1.0, 1.0), tilts=(6.0, -5.0, 9.0), disc_mm=8.0, noise=25.0, seed=0):
    """A CT of lumbar bodies whose discs lean by known angles.

    Args:
        spacing: of the voxels I, J, K, mm.
        tilts: degrees to the front of the disc below each body but the last.

    Returns:
        The volume (HU), the points, and name -> (origin, up) of each disc.
    """
    levels = [f"L{row + 1}" for row in range(len(tilts) + 1)]
    gap = 34.0
    centers = np.array([[0.0, 0.0, -gap * row] for row in range(len(levels))])
    low, high = np.array([-40.0, -40.0, centers[-1, 2] - 30.0]), np.array([40.0, 40.0, 30.0])
    size = np.ceil((high - low) / spacing).astype(int)
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = low
    fine = max(1, round(spacing[2] / 0.3))  # samples along K in a voxel: partial volumes
    k = (np.arange(size[2] * fine) + 0.5) / fine - 0.5
    x, y = (low[axis] + np.arange(size[axis]) * spacing[axis] for axis in (0, 1))
    z = low[2] + k * spacing[2]
    zz, yy, xx = np.meshgrid(z, y, x, indexing="ij")
    hu = np.full(zz.shape, 40.0)
    trunk = (xx / 24) ** 2 + (yy / 18) ** 2 < 1
    hu[trunk & (zz < 14) & (zz > centers[-1, 2] - 14)] = 200.0
    discs = {}
    for row, tilt in enumerate(tilts):
        origin = (centers[row] + centers[row + 1]) / 2
        up = np.array([0.0, np.sin(np.radians(tilt)), np.cos(np.radians(tilt))])
        discs[f"{levels[row]}/{levels[row + 1]}"] = origin, up
        height = (yy - origin[1]) * up[1] + (zz - origin[2]) * up[2]
        hu[trunk & (np.abs(height) < disc_mm / 2)] = 80.0
        hu[trunk & (np.abs(np.abs(height) - disc_mm / 2 - 0.5) < 0.5)] = 450.0
    hu = hu.reshape(size[2], fine, size[1], size[0]).mean(axis=1)
    hu += np.random.default_rng(seed).normal(0, noise, hu.shape)
    points = [LabeledPoint(level, tuple(center)) for level, center in zip(levels, centers)]
    return Volume(np.round(hu).astype(np.int16), matrix), points, discs
