"""The 48 ways to store one volume: axes in any order, each running either way; and turned axes."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
from VertebraLabelingLib.core.volume import Volume

AXIS_ORDERS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]
AXES = [np.eye(3)[list(order)].T * signs for order, signs in AXIS_ORDERS]
"""The same as (3, 3) matrices, whose columns are the directions of I, J and K."""


def name_of(axis_order) -> str:
    """``LPS``, ``SAR``...: the world direction in which I, J and K run."""
    return "".join("RAS"[axis] if sign > 0 else "LPI"[axis] for axis, sign in zip(*axis_order))


def turned(degrees, about=(1.0, 0.4, 0.2)) -> np.ndarray:
    """Rotation matrix about an axis (Rodrigues)."""
    axis = np.asarray(about) / np.linalg.norm(about)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def stored(canonical: Volume, axis_order) -> Volume:
    """The same patient as a scanner or converter with other axes would store it."""
    order, signs = axis_order  # new axis a is old axis order[a], running backwards where the sign is negative
    array = canonical.array.transpose([2 - order[2], 2 - order[1], 2 - order[0]])
    matrix = canonical.ijk_to_ras.copy()
    matrix[:, :3] = matrix[:, list(order)]
    for axis, sign in enumerate(signs):
        if sign < 0:
            matrix[:3, 3] += matrix[:3, axis] * (array.shape[2 - axis] - 1)
            matrix[:3, axis] *= -1
            array = np.flip(array, 2 - axis)
    return Volume(array, matrix)
