"""Whether the points of a list were moved as a whole: by a transform of their node, hardened or not."""

import numpy as np
from VertebraLabelingLib.core.volume import apply_affine

TOGETHER_MM = 1.0  # points that keep their distances better than this were not moved one by one
FELT_MM = 5.0  # a list that was moved by less still stands in the same vertebrae
_ROUNDS = 5


def wholeMotion(before, now, felt=FELT_MM):
    """(4, 4) rigid motion by which most points of a list were moved; ``None`` where most stand, or each went its way.

    Args:
        before, now: level, or whatever a point is known by -> world RAS mm.
        felt: points that were moved by less stand, mm.
    """
    levels = [level for level in before if level in now]
    if len(levels) < 2:
        return None  # a single point: the user has dragged it
    old, new = (np.array([places[level] for level in levels]) for places in (before, now))
    if _share(np.eye(4), old, new, felt) >= 0.5:
        return None
    shift = np.eye(4)
    shift[:3, 3] = np.median(new - old, axis=0)
    for matrix in (shift, _turned(old, new)):
        if _share(matrix, old, new, TOGETHER_MM) > 0.5:
            return matrix
    return None


def isSameMotion(one, other, places):
    """Whether two (4, 4) motions, ``None`` for none at all, bring places (N, 3), mm, to about the same ones."""
    one, other = (apply_affine(np.eye(4) if each is None else each, places) for each in (one, other))
    return bool(np.linalg.norm(one - other, axis=1).max(initial=0.0) < FELT_MM)


def _share(matrix, old, new, within):
    return np.mean(np.linalg.norm(apply_affine(matrix, old) - new, axis=1) < within)


def _turned(old, new):
    """The rigid motion of most points (Kabsch 1976); those that were moved by hand besides are left out."""
    rows, most = np.arange(len(old)), len(old) // 2 + 1
    for _ in range(_ROUNDS):
        centers = old[rows].mean(axis=0), new[rows].mean(axis=0)
        left, _, right = np.linalg.svd((old[rows] - centers[0]).T @ (new[rows] - centers[1]))
        mirrored = np.linalg.det(left @ right) < 0
        axes = right.T @ np.diag([1, 1, -1 if mirrored else 1]) @ left.T
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = axes, centers[1] - axes @ centers[0]
        rows = np.linalg.norm(apply_affine(matrix, old) - new, axis=1).argsort(kind="stable")[:most]
    return matrix
