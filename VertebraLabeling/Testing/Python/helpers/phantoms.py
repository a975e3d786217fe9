"""Small volumes with known content, in HU, for tests."""

from __future__ import annotations

import numpy as np
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.core.volume import Volume, apply_affine

BALL_HU = 1280  # dense bone: below what counts as metal


def affine(spacing=(2.0, 2.0, 3.0), origin=(-40.0, -50.0, 100.0), axes=None) -> np.ndarray:
    """(4, 4) IJK-to-RAS; ``axes`` are the unit columns of the I, J and K directions, world axes by default."""
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) if axes is None else np.asarray(axes, dtype=float)) * np.asarray(spacing, dtype=float)
    matrix[:3, 3] = origin
    return matrix


def body(shape=(24, 48, 40), ijk_to_ras=None, balls=(), radius_mm=8.0, seed=0) -> Volume:
    """A trunk of muscle with a rim of fat in air, and dense balls at world positions ``balls`` (N, 3) RAS mm."""
    matrix = affine() if ijk_to_ras is None else np.asarray(ijk_to_ras, dtype=float)
    k, j, i = np.indices(shape)
    noise = np.random.default_rng(seed).normal(0, 15, shape)
    reach = ((j - (shape[1] - 1) / 2) / (0.45 * shape[1])) ** 2 + ((i - (shape[2] - 1) / 2) / (0.45 * shape[2])) ** 2
    values = np.where(reach < 1, np.where(reach < 0.8, 45, -100), -1000) + noise
    world = apply_affine(matrix, np.stack((i, j, k), axis=-1).reshape(-1, 3)).reshape(*shape, 3)
    for center in np.asarray(balls, dtype=float).reshape(-1, 3):
        values[np.linalg.norm(world - center, axis=-1) < radius_mm] = BALL_HU
    return Volume(np.round(values).clip(-1024, 3071).astype(np.int16), matrix)


def spine(levels=("C7", "T1", "T2", "T12", "T13", "L1", "L5", "L6"), top=(3.0, -20.0, 300.0)) -> SpineLabels:
    """Labels of a gently curved spine, 20 mm from vertebra to vertebra, confidences from 0.5 up."""
    return SpineLabels(
        tuple(
            LabeledPoint(
                level,
                (top[0] + 0.37 * n, top[1] + 8 * np.sin(n / 4), top[2] - 20.0 * n),
                confidence=round(0.5 + 0.5 * n / len(levels), 2),
                status=("predicted", "moved", "confirmed")[n % 3],
            )
            for n, level in enumerate(levels)
        )
    )


def assert_same_labels(read: SpineLabels, written: SpineLabels, atol_mm=1e-3) -> None:
    """The same levels at the same places."""
    assert [point.level for point in read.points] == [point.level for point in written.points]
    np.testing.assert_allclose([p.ras for p in read.points], [p.ras for p in written.points], atol=atol_mm)
