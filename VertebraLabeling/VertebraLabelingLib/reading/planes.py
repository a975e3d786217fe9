"""Planes of vertebrae and discs: where they stand, which way they face, and how a slice view shows them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

AXIAL, SAGITTAL, CORONAL = "Axial", "Sagittal", "Coronal"
ORIENTATIONS = (AXIAL, SAGITTAL, CORONAL)
"""Slices of a vertebra as Slicer names them: in its plane, and along the spine from the side and from the front."""

_ALONG = 0.9  # cosine: nearer to the spine an axis of the patient says nothing of the front


@dataclass(frozen=True)
class Plane:
    """A plane across the spine.

    Attributes:
        origin: (3,) the middle of the vertebra or disc, world RAS mm.
        up: (3,) unit normal, toward the head along the spine.
    """

    origin: np.ndarray
    up: np.ndarray

    @property
    def front(self) -> np.ndarray:
        """(3,) unit vector in the plane, to the patient's front."""
        axis = np.array([0.0, 1.0, 0.0])
        if abs(self.up @ axis) > _ALONG:  # the spine runs from back to front
            axis = np.array([0.0, 0.0, -np.sign(self.up @ axis)])
        front = axis - (axis @ self.up) * self.up
        return front / np.linalg.norm(front)

    @property
    def right(self) -> np.ndarray:
        """(3,) unit vector in the plane, to the patient's right."""
        return np.cross(self.front, self.up)

    def height(self, points: np.ndarray) -> np.ndarray:
        """(N,) mm by which (N, 3) points lie above the plane."""
        return (np.asarray(points, dtype=float).reshape(-1, 3) - self.origin) @ self.up

    def leaning(self, degrees: float) -> Plane:
        """The plane with its normal turned to the front."""
        angle = np.radians(degrees)
        return Plane(self.origin, np.cos(angle) * self.up + np.sin(angle) * self.front)

    def slice_to_ras(self, orientation: str = AXIAL) -> np.ndarray:
        """The matrix of a slice view that shows the vertebra or disc as radiologists look at it.

        Args:
            orientation: one of :data:`ORIENTATIONS`.

        Returns:
            (4, 4); columns: to the right of the view, to its top, through the slice, origin. As in Slicer the patient's
            right is on the left, in the sagittal view the front is.
        """
        axes = {
            AXIAL: (-self.right, self.front, self.up),
            SAGITTAL: (-self.front, self.up, self.right),
            CORONAL: (-self.right, self.up, self.front),
        }
        matrix = np.eye(4)
        matrix[:3] = np.stack([*axes[orientation], self.origin], axis=1)
        return matrix


def between(one: Plane, other: Plane) -> Plane:
    """The plane halfway between two."""
    up = one.up + other.up
    return Plane((one.origin + other.origin) / 2, up / np.linalg.norm(up))


def degrees_between(one: Plane, other: Plane) -> float:
    """The angle between two planes."""
    return float(np.degrees(np.arccos(np.clip(one.up @ other.up, -1.0, 1.0))))
