"""The spine pulled straight: coordinates that follow the curve through the vertebral bodies, and the way back.

*Straight* coordinates are (right, front, up) in mm, right-handed as RAS. Right and front are distances from the curve
in the plane across it; up is the way along the curve, 0 at the uppermost body and negative below it, so the difference
of two of them is a distance along the spine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..errors import InputError
from .labels import LabeledPoint, SpineLabels

STEP_MM = 0.5  # between the places at which the curve is kept; between them it is straight within a thousandth of a mm
ABOVE_MM, BELOW_MM = 40.0, 60.0
"""How far the straightened spine reaches beyond its end bodies: the skull base above C1, the sacrum below L5."""

SIDE_MM, FRONT_MM, BACK_MM = 55.0, 45.0, 75.0
"""How far it reaches around the curve: bodies with their transverse processes, and the longest spinous processes."""

LEAST_MM = 5.0  # between the end bodies: what is nearer together says no direction
_FINE_MM = 0.1  # polyline from which the arc length is measured
_HALF_WAVE_MM = 45.0  # a curve of this wave length, two thoracic vertebrae, is halved; one of 150 mm keeps 99 %
_UPRIGHT_DEG = 40.0  # a spine within this angle of the patient axis is looked at along that axis
_LEAST_SLOPE = 0.1  # a place near the center of a bend is reached in small steps
_ROUNDS, _LONGEST_STEP = 60, 20.0  # of the search of the plane through a place; in steps of the curve
_EXACT = 1e-4  # steps of the curve


@dataclass(frozen=True)
class StraightSpine:
    """The curve, and the planes across it.

    Attributes:
        center: (S, 3) world RAS mm, :data:`STEP_MM` apart along the curve, from foot to head.
        right, front, up: (S, 3) unit vectors of the planes, and along the curve to the head.
        lowest: straight ``up`` of the first of them, mm.
    """

    center: np.ndarray
    right: np.ndarray
    front: np.ndarray
    up: np.ndarray
    lowest: float

    @property
    def length_mm(self) -> float:
        """From the lowest body to the uppermost one, along the curve."""
        return (len(self.center) - 1) * STEP_MM - ABOVE_MM - BELOW_MM

    @property
    def highest(self) -> float:
        """Straight ``up`` of the last place, mm."""
        return self.lowest + (len(self.center) - 1) * STEP_MM

    def to_world(self, straight: np.ndarray) -> np.ndarray:
        """(N, 3) straight coordinates as world RAS mm; the curve runs on straight beyond its ends."""
        straight = np.asarray(straight, dtype=float).reshape(-1, 3)
        center, right, front, _ = self._at((straight[:, 2] - self.lowest) / STEP_MM)
        return center + straight[:, :1] * right + straight[:, 1:2] * front

    def to_straight(self, world: np.ndarray) -> np.ndarray:
        """(N, 3) world RAS mm as straight coordinates: those of the plane through the nearest place of the curve."""
        world = np.asarray(world, dtype=float).reshape(-1, 3)
        row = self._nearest(world)
        for _ in range(_ROUNDS):
            center, right, front, up = self._at(row)
            away = world - center
            slope = 1.0 - np.einsum("nc,nc->n", away, self._turn[np.clip(row.astype(int), 0, len(self._turn) - 1)])
            step = np.einsum("nc,nc->n", away, up) / STEP_MM / np.maximum(slope, _LEAST_SLOPE)
            inside = (row > 0) & (row < len(self.center) - 1)  # beyond the ends the way is straight
            row = row + np.where(inside, np.clip(step, -_LONGEST_STEP, _LONGEST_STEP), step)
            if np.abs(step).max(initial=0.0) < _EXACT:
                break
        center, right, front, _ = self._at(row)
        away = world - center
        across = [np.einsum("nc,nc->n", away, axis) for axis in (right, front)]
        return np.stack([*across, self.lowest + row * STEP_MM], axis=1)

    def holds(self, straight: np.ndarray) -> np.ndarray:
        """(N,) whether straight coordinates lie in the box that is straightened."""
        straight = np.asarray(straight, dtype=float).reshape(-1, 3)
        low, high = (-SIDE_MM, -BACK_MM, self.lowest), (SIDE_MM, FRONT_MM, self.highest)
        return ((straight >= low) & (straight <= high)).all(axis=1)

    def labels(self, labels: SpineLabels) -> SpineLabels:
        """Labels of the scan at their places in the straightened volume; they belong to no scan of their own."""
        places = self.to_straight([point.ras for point in labels.points]).tolist()
        points = tuple(replace(point, ras=tuple(place)) for point, place in zip(labels.points, places))
        return SpineLabels(points, labels.warnings)

    @cached_property
    def _turn(self) -> np.ndarray:
        """(S - 1, 3) change of ``up`` per mm."""
        return np.diff(self.up, axis=0) / STEP_MM

    def _nearest(self, world: np.ndarray) -> np.ndarray:
        """(N,) the row of the place of the curve next to each of (N, 3) points."""
        return np.array([np.linalg.norm(self.center - place, axis=1).argmin() for place in world], dtype=float)

    def _at(self, row: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Center, right, front and up at fractional rows (N,), each (N, 3)."""
        last = len(self.center) - 1
        on = np.clip(row, 0, last)
        low = np.minimum(on.astype(int), last - 1)
        share = (on - low)[:, None]
        center, right, up = (
            axis[low] * (1 - share) + axis[low + 1] * share for axis in (self.center, self.right, self.up)
        )
        up /= np.linalg.norm(up, axis=1, keepdims=True)
        right -= np.einsum("nc,nc->n", right, up)[:, None] * up
        right /= np.linalg.norm(right, axis=1, keepdims=True)
        return center + ((row - on) * STEP_MM)[:, None] * up, right, np.cross(up, right), up


def straight_spine(points: Sequence[LabeledPoint]) -> StraightSpine:
    """Lay the curve through vertebral bodies; the patient's right stays to the right, so a scoliosis is not untwisted.

    Args:
        points: head to foot, as in :attr:`SpineLabels.points`.

    Raises:
        InputError: fewer than two points, all at one place, or points that do not follow one another along a spine.
    """
    places = np.array([point.ras for point in points], dtype=float).reshape(-1, 3)
    if len(places) < 2 or np.linalg.norm(places[0] - places[-1]) < LEAST_MM:
        raise InputError("A spine is straightened along at least two vertebrae: label the scan, or add points.")
    _check_order(points)
    line = _smooth_curve(places[::-1])
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    first, last = (arc[np.linalg.norm(line - place, axis=1).argmin()] for place in (places[-1], places[0]))
    below = np.ceil((BELOW_MM - first) / STEP_MM)
    count = int(below + np.ceil((last + ABOVE_MM) / STEP_MM)) + 1
    along = (np.arange(count) - below) * STEP_MM
    center = np.stack([np.interp(along, arc, axis) for axis in line.T], axis=1)
    for way, beyond in ((line[0] - line[1], -along), (line[-1] - line[-2], along - arc[-1])):
        center += np.maximum(beyond, 0.0)[:, None] * way / np.linalg.norm(way)
    up = np.gradient(center, axis=0)
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    right = patient_axes(places)[2]
    right = right - (up @ right)[:, None] * up
    right /= np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-6)
    return StraightSpine(center, right, np.cross(up, right), up, float(along[0] - last))


def patient_axes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors up, front and right of a patient, RAS: the world's, unless the spine lies far from them.

    Args:
        points: (N, 3) bodies from head to foot, RAS mm.
    """
    chain = points[0] - points[-1]
    length = np.linalg.norm(chain)
    up = np.array([0.0, 0.0, 1.0])
    if length > 30 and chain[2] / length < np.cos(np.radians(_UPRIGHT_DEG)):
        up = chain / length
    nearest = np.array([0.0, 1.0, 0.0]) if abs(up[1]) < 0.9 else np.array([0.0, 0.0, -1.0])
    front = nearest - (nearest @ up) * up
    front /= np.linalg.norm(front)
    return up, front, np.cross(front, up)


def turning_level(points: Sequence[LabeledPoint]) -> str | None:
    """The level at which the line through points turns back, as where names or places are exchanged, if it does.

    Args:
        points: head to foot, as in :attr:`SpineLabels.points`.
    """
    steps = np.diff(np.array([point.ras for point in points], dtype=float).reshape(-1, 3), axis=0)
    turning = (point.level for point, one, other in zip(points[1:], steps, steps[1:]) if one @ other < 0)
    return next(turning, None)


def _check_order(points: Sequence[LabeledPoint]) -> None:
    """Raise InputError where the line through the points turns back."""
    level = turning_level(points)
    if level is not None:
        raise InputError(
            f"The spine turns back at {level}, so it cannot be straightened: put the points in their order."
        )


def _smooth_curve(points: np.ndarray) -> np.ndarray:
    """(M, 3) polyline of a cubic smoothing spline (Reinsch 1967) through (N, 3) points, N >= 2, from end to end.

    It is fine enough to measure its length. A point that stands a little beside the others does not bend it much.
    """
    chord = np.maximum(np.linalg.norm(np.diff(points, axis=0), axis=1), 1e-3)
    knots = np.concatenate([[0.0], np.cumsum(chord)])
    at = np.linspace(0.0, knots[-1], max(2, int(knots[-1] / _FINE_MM)))
    n = len(points)
    if n == 2:
        return points[0] + at[:, None] / knots[-1] * (points[1] - points[0])
    q, r = np.zeros((n, n - 2)), np.zeros((n - 2, n - 2))
    for j in range(n - 2):
        before, after = chord[j], chord[j + 1]
        q[j : j + 3, j] = 1 / before, -1 / before - 1 / after, 1 / after
        r[j, j] = (before + after) / 3
        if j + 1 < n - 2:
            r[j, j + 1] = r[j + 1, j] = after / 6
    strength = (_HALF_WAVE_MM / (2 * np.pi)) ** 4 / chord.mean()
    bend = np.linalg.solve(r + strength * q.T @ q, q.T @ points)  # second derivatives at the inner knots
    value = points - strength * q @ bend
    bend = np.concatenate([np.zeros((1, 3)), bend, np.zeros((1, 3))])
    low = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, n - 2)
    width = chord[low][:, None]
    right = (at - knots[low])[:, None] / width
    left = 1 - right
    cubic = (left**3 - left) * bend[low] + (right**3 - right) * bend[low + 1]
    return left * value[low] + right * value[low + 1] + cubic * width**2 / 6
