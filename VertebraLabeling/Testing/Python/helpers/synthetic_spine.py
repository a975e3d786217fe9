"""The balls of :mod:`balls` as a volume node."""

from functools import lru_cache

import numpy as np
import slicer
from balls import BallLabeler, centers, voxels

__all__ = ["BallLabeler", "addVolume", "centers"]


def addVolume(balls=None, spacing=(2.5, 2.5, 3.0), directions=None, name="CT"):
    """Add a scalar volume node with the balls drawn in it; axes may be permuted or flipped by ``directions`` (3, 3)."""
    balls = np.array(list((balls or centers()).values()))
    axes = (np.eye(3) if directions is None else np.asarray(directions, float)) * np.array(spacing)
    extent = np.diag([90.0, 100.0, np.ptp(balls[:, 2]) + 70.0])
    size = np.ceil(np.abs(np.linalg.inv(axes) @ extent).sum(axis=1)).astype(int)
    ijkToRas = np.eye(4)
    ijkToRas[:3, :3] = axes
    ijkToRas[:3, 3] = balls.mean(axis=0) - axes @ ((size - 1) / 2)
    return slicer.util.addVolumeFromArray(_voxels(balls.tobytes(), ijkToRas.tobytes(), tuple(size)), ijkToRas, name)


@lru_cache(maxsize=8)
def _voxels(balls, ijkToRas, size):
    return voxels(np.frombuffer(balls).reshape(-1, 3), np.frombuffer(ijkToRas).reshape(4, 4), size)
