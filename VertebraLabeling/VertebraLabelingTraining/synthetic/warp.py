"""Bending a trunk: another kyphosis, lordosis, scoliosis, size and build from the same anatomy.

The warp is a pull map: it says for a point of the new patient where in the label map its tissue comes from. It is
evaluated on a coarse grid for the image and point by point for the truth, so both move alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CONTROL_MM = 8.0
"""Spacing of the grid on which the warp is evaluated for an image; linear in between."""

_WAVES = 14
_TABLE_MM = 1.0
_ENDS = 24


@dataclass(frozen=True)
class Warp:
    """A smooth, invertible deformation.

    Attributes:
        center: (2,) x and y of the vertical line of the label map that is bent, mm.
        height: length of that line, mm.
        tilt: (S, 2) angle of the bent line in the x and y direction at each millimeter from ``start``, radians.
        line: (S, 3) the bent line, mm.
        start: height of the first table row, mm.
        scale: (3,) size along x, y, z.
        wave: (14, 3) wave vectors, rad/mm, ``phase`` (14,), ``swing`` (14, 3) amplitudes in mm of the elastic part.
    """

    center: np.ndarray
    height: float
    tilt: np.ndarray
    line: np.ndarray
    start: float
    scale: np.ndarray
    wave: np.ndarray
    phase: np.ndarray
    swing: np.ndarray

    def pull(self, points: np.ndarray) -> np.ndarray:
        """Map points of the new patient (N, 3) to the label map, both (x, y, z) in mm."""
        relaxed = points / self.scale
        relaxed = relaxed - np.sin(relaxed @ self.wave.T + self.phase) @ self.swing
        s = relaxed[:, 2].copy()
        for _ in range(4):
            line, tangent = self._at(s)
            s += np.einsum("ij,ij->i", relaxed - line, tangent)
        line, tangent = self._at(s)
        offset = relaxed - line
        # undo the rotation that takes the z axis to the tangent (the shortest one)
        axis_x = np.stack([tangent[:, 2], np.zeros(len(s)), -tangent[:, 0]], axis=1)
        axis_x /= np.linalg.norm(axis_x, axis=1, keepdims=True)
        axis_y = np.cross(tangent, axis_x)
        u = np.einsum("ij,ij->i", offset, axis_x)
        v = np.einsum("ij,ij->i", offset, axis_y)
        return np.stack([self.center[0] + u, self.center[1] + v, s], axis=1)

    def push(self, points: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`pull`, by iteration, to better than 0.01 mm."""
        points = np.asarray(points, dtype=float).reshape(-1, 3)
        guess = points * self.scale
        for _ in range(60):
            error = points - self.pull(guess)
            guess = guess + 0.8 * error * self.scale
            if np.abs(error).max() < 0.005:
                break
        return guess

    def _at(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Point and unit tangent of the bent line at heights ``s``."""
        row = np.clip((s - self.start) / _TABLE_MM, 0.0, len(self.line) - 1.001)
        index = row.astype(int)
        part = (row - index)[:, None]
        line = self.line[index] * (1 - part) + self.line[index + 1] * part
        tilt = self.tilt[index] * (1 - part) + self.tilt[index + 1] * part
        tangent = np.stack([np.sin(tilt[:, 0]), np.sin(tilt[:, 1]), np.ones(len(s))], axis=1)
        tangent[:, 2] = np.sqrt(np.maximum(1.0 - tangent[:, 0] ** 2 - tangent[:, 1] ** 2, 0.1))
        return line, tangent


def draw_warp(center: np.ndarray, height: float, rng: np.random.Generator) -> Warp:
    """Draw a deformation for a label map.

    Args:
        center: (2,) mean x and y of the spine, mm.
        height: height of the label map, mm.
        rng: source of randomness.

    Spread: body size 0.85-1.15 with up to 6 % between axes; sagittal curve about +-8 degrees; scoliosis mostly slight,
    in one case of five up to 15 degrees of tilt either way (about 30 degrees Cobb); elastic part about 2 mm.
    """
    reach = 250.0
    s = np.arange(-reach, height + reach, _TABLE_MM)
    scoliosis = rng.uniform(6.0, 15.0) if rng.random() < 0.2 else abs(rng.normal(0.0, 2.0))
    tilt = np.stack([_smooth_angle(s, scoliosis, rng), _smooth_angle(s, abs(rng.normal(0.0, 6.0)), rng)], axis=1)
    tilt += np.radians(rng.normal(0.0, (2.0, 3.0)))
    # beyond the map the line goes on straight
    inside = np.clip(s, 0.0, height)
    tilt = np.stack([np.interp(inside, s, tilt[:, axis]) for axis in (0, 1)], axis=1)
    slope = np.concatenate([np.sin(tilt), np.sqrt(1 - (np.sin(tilt) ** 2).sum(axis=1, keepdims=True))], axis=1)
    line = np.cumsum(slope, axis=0) * _TABLE_MM
    middle = len(s) // 2
    line += np.array([*center, s[middle]]) - line[middle]
    scale = np.exp(np.clip(rng.normal(0.0, 0.066), -0.15, 0.15)) * np.exp(rng.normal(0.0, 0.03, 3))
    length = rng.uniform(70.0, 260.0, _WAVES)
    direction = rng.normal(size=(_WAVES, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    swing = rng.normal(0.0, 1.0, (_WAVES, 3)) * (length / 260.0)[:, None] * 0.9
    return Warp(
        np.asarray(center, dtype=float),
        height,
        tilt,
        line,
        float(s[0]),
        scale,
        direction * (2 * np.pi / length)[:, None],
        rng.uniform(0.0, 2 * np.pi, _WAVES),
        swing,
    )


def _smooth_angle(s: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    """A smooth curve of angles along the spine with an amplitude of ``degrees``."""
    curve = np.zeros_like(s)
    for length in (rng.uniform(250.0, 420.0), rng.uniform(450.0, 900.0)):
        curve += np.sin(2 * np.pi * s / length + rng.uniform(0.0, 2 * np.pi))
    return np.radians(degrees) * curve / 1.6


@dataclass(frozen=True)
class Grid:
    """Voxels of a new image, along the world axes.

    Attributes:
        origin: (3,) first voxel center, mm. size: (3,) voxels along x, y, z. spacing_mm: voxel size.
    """

    origin: np.ndarray
    size: np.ndarray
    spacing_mm: float

    @property
    def affine(self) -> np.ndarray:
        """(4, 4) IJK to RAS."""
        affine = np.diag([self.spacing_mm, self.spacing_mm, self.spacing_mm, 1.0])
        affine[:3, 3] = self.origin
        return affine


def resample(image: np.ndarray, spacing_mm: float, warp: Warp, grid: Grid, air: float) -> np.ndarray:
    """Pull an image through a warp.

    Args:
        image: (K, J, I) on a grid of ``spacing_mm`` whose first voxel center is the map's zero.
        spacing_mm: its voxel size.
        warp: the deformation.
        grid: the new image's voxels.
        air: value beyond the image in plane. Above and below, the end slices go on.

    Returns:
        (K, J, I) array of ``image``'s type; linear interpolation, for uint8 labels the nearest voxel.
    """
    import SimpleITK as sitk

    counts = np.ceil((grid.size - 1) * grid.spacing_mm / CONTROL_MM).astype(int) + 2
    x, y, z = (grid.origin[axis] + np.arange(counts[axis]) * CONTROL_MM for axis in range(3))
    points = np.stack(np.broadcast_arrays(x[None, None, :], y[None, :, None], z[:, None, None]), axis=-1)
    field = warp.pull(points.reshape(-1, 3)).reshape(points.shape) - points
    vectors = sitk.GetImageFromArray(field, isVector=True)
    vectors.SetSpacing([CONTROL_MM] * 3)
    vectors.SetOrigin(grid.origin.tolist())
    # a few copies of the end slices are enough for the wedge that a bend opens
    moving = sitk.GetImageFromArray(np.pad(image, ((_ENDS, _ENDS), (0, 0), (0, 0)), mode="edge"))
    moving.SetSpacing([spacing_mm] * 3)
    moving.SetOrigin([0.0, 0.0, -_ENDS * spacing_mm])
    reference = sitk.Image(grid.size.tolist(), sitk.sitkUInt8)
    reference.SetSpacing([grid.spacing_mm] * 3)
    reference.SetOrigin(grid.origin.tolist())
    how = sitk.sitkNearestNeighbor if image.dtype == np.uint8 else sitk.sitkLinear
    return sitk.GetArrayFromImage(sitk.Resample(moving, reference, sitk.DisplacementFieldTransform(vectors), how, air))
