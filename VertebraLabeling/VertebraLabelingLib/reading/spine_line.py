"""The line through the centers of vertebral bodies: a smooth curve that passes every point, and its direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_APART_MM = 1e-3  # points nearer to each other are one


@dataclass(frozen=True)
class SpineLine:
    """A cubic spline through body centers, straight beyond the first and the last one.

    At the ends it keeps the bend of its first and last piece: a lordosis does not end at the last point.

    Attributes:
        points: (N, 3) body centers, world RAS mm, head to foot, N >= 1.
        knots: (N,) mm along the line of each, by straight distances, from 0.
    """

    points: np.ndarray
    knots: np.ndarray
    _bends: np.ndarray  # (N, 3) second derivatives

    @classmethod
    def through(cls, points: np.ndarray) -> SpineLine:
        """The line through (N, 3) body centers, head to foot."""
        points = np.asarray(points, dtype=float).reshape(-1, 3)
        steps = np.maximum(np.linalg.norm(np.diff(points, axis=0), axis=1), _APART_MM)
        knots = np.concatenate([[0.0], np.cumsum(steps)])
        return cls(points, knots, _second_derivatives(points, steps))

    def at(self, along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places and directions at some distances along the line.

        Args:
            along: (K,) mm from the first point toward the feet; beyond the ends the line is straight.

        Returns:
            (K, 3) places, RAS mm, and (K, 3) unit directions toward the feet.
        """
        along = np.atleast_1d(np.asarray(along, dtype=float))
        if len(self.points) == 1:  # as a patient who lies straight in the scanner
            down = np.tile((0.0, 0.0, -1.0), (len(along), 1))
            return self.points[0] + along[:, None] * down, down
        inside = np.clip(along, 0.0, self.knots[-1])
        piece = np.clip(np.searchsorted(self.knots, inside) - 1, 0, len(self.knots) - 2)
        width = (self.knots[piece + 1] - self.knots[piece])[:, None]
        before, after = (inside - self.knots[piece])[:, None], (self.knots[piece + 1] - inside)[:, None]
        low, high = self._bends[piece], self._bends[piece + 1]
        start = self.points[piece] / width - low * width / 6
        end = self.points[piece + 1] / width - high * width / 6
        place = (low * after**3 + high * before**3) / (6 * width) + start * after + end * before
        slope = (high * before**2 - low * after**2) / (2 * width) + end - start
        direction = slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-9)
        return place + (along - inside)[:, None] * direction, direction


def _second_derivatives(points: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """(N, 3) second derivatives of the cubic spline; the first and the last piece bend evenly."""
    count = len(points)
    if count < 3:
        return np.zeros((count, 3))
    system, right = np.zeros((count, count)), np.zeros((count, 3))
    system[0, :2] = system[-1, -2:] = 1.0, -1.0
    slopes = np.diff(points, axis=0) / steps[:, None]
    for row in range(1, count - 1):
        system[row, row - 1 : row + 2] = steps[row - 1], 2 * (steps[row - 1] + steps[row]), steps[row]
        right[row] = 6 * (slopes[row] - slopes[row - 1])
    return np.linalg.solve(system, right)
