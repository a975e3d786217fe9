"""Where the surroundings of the spine lie in another scan: mutual information of all shifts at once.

The joint histograms of all whole-voxel shifts are correlations of indicator images, one for each pair of gray classes,
which the Fourier transform gives together (as in Öfverstedt et al. 2022, "Fast computation of mutual information in the
frequency domain"). So no start has to be near.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.volume import ijk_to_ras
from .working_grid import WorkingGrid

CLASSES = 5  # of gray values: background, and as many voxels in each of the others
BACKGROUND = 0.03  # of the range of a working grid: air, and the noise of an MR around the patient
APART_MM = 24.0  # between the shifts that are returned: a vertebra
_AXES = (0, 1, 2)
LEAST_OVERLAP = 0.25  # of the surroundings that must lie in the other scan


@dataclass(frozen=True)
class Shift:
    """One place at which the surroundings fit.

    Attributes:
        matrix: (4, 4) world RAS to world RAS, of the source to the target.
        evidence: log-likelihood ratio of dependence against chance, per voxel of the surroundings.
    """

    matrix: np.ndarray
    evidence: float


def classes(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Gray classes 0..:data:`CLASSES` - 1 of values 0..1: the background, and equal shares of the ``known`` others."""
    shown = known[known > BACKGROUND]
    edges = np.quantile(shown, np.arange(1, CLASSES - 1) / (CLASSES - 1)) if len(shown) else []
    return np.digitize(values, [BACKGROUND, *edges])


def best_shifts(
    places: np.ndarray, values: np.ndarray, target: WorkingGrid, turn: np.ndarray, count: int
) -> list[Shift]:
    """The shifts at which source and target depend most on one another, best first.

    Args:
        places: (N, 3) world RAS mm around the spine of the source, on a grid about as fine as the target's.
        values: (N,) 0..1 there.
        target: the other scan.
        turn: (3, 3) rotation of the source about the mean of its places.
        count: how many at most.
    """
    axes = target.volume.ijk_to_ras[:3, :3] / target.mm
    middle = places.mean(axis=0)
    turned = (places - middle) @ turn.T @ axes / target.mm  # in voxels of the target
    low = turned.min(axis=0)
    cell = np.rint(turned - low).astype(int)
    shape = cell.max(axis=0) + 1
    seen = target.seen
    gray = classes(target.volume.array, target.volume.array[seen])
    size = [_fast(int(a + b - 1)) for a, b in zip(shape, target.volume.array.shape[::-1])][::-1]
    parts = [np.fft.rfftn(((gray == which) & seen).astype(np.float32), size, _AXES) for which in range(CLASSES)]
    own = classes(values, values)
    joint = np.empty((CLASSES, CLASSES, *size), dtype=np.float32)
    for which in range(CLASSES):
        image = np.zeros(shape[::-1], dtype=np.float32)
        i, j, k = cell[own == which].T
        image[k, j, i] = 1.0
        part = np.conj(np.fft.rfftn(image, size, _AXES))
        for other in range(CLASSES):
            joint[which, other] = np.fft.irfftn(part * parts[other], size, _AXES)
    evidence = _evidence(np.maximum(joint, 0.0))
    shifts = []
    for shift in _peaks(evidence, max(1, round(APART_MM / target.mm)), count):
        at = np.array([s - n if s > n // 2 + t // 2 else s for s, n, t in zip(shift, size, target.volume.array.shape)])
        origin = ijk_to_ras(target.volume, [at[::-1]])[0]
        matrix = np.eye(4)
        matrix[:3, :3] = turn
        matrix[:3, 3] = origin - axes @ low * target.mm - turn @ middle
        shifts.append(Shift(matrix, float(evidence[tuple(shift)]) / len(places)))
    return shifts


def _evidence(joint: np.ndarray) -> np.ndarray:
    """Log-likelihood ratios of (A, B, ...) counts; minus infinity where too little overlaps."""

    def entropy(counts: np.ndarray) -> np.ndarray:
        return counts * np.log(np.maximum(counts, 1e-6))

    total = joint.sum(axis=(0, 1))
    found = entropy(joint).sum(axis=(0, 1)) + entropy(total)
    found -= entropy(joint.sum(axis=0)).sum(axis=0) + entropy(joint.sum(axis=1)).sum(axis=0)
    return np.where(total > LEAST_OVERLAP * total.max(), found, -np.inf)


def _peaks(values: np.ndarray, apart: int, count: int) -> list[np.ndarray]:
    values, found = values.copy(), []
    for _ in range(count):
        best = np.array(np.unravel_index(values.argmax(), values.shape))
        if not np.isfinite(values[tuple(best)]):
            break
        found.append(best)
        around = np.ix_(*(np.arange(b - apart, b + apart + 1) % n for b, n in zip(best, values.shape)))
        values[around] = -np.inf
    return found


def _fast(size: int) -> int:
    """The next size with no prime factor above 5."""
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 1
