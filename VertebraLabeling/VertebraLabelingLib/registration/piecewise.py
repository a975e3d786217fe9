"""One rigid motion for each vertebra, found from its neighbors' along the spine: a spine may bend in between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.volume import apply_affine
from .rigid import image_of, mask_of, refine
from .surroundings import GRAY_CLASSES, Surroundings
from .working_grid import WorkingGrid

GROUP = 3  # vertebrae that are registered together: one alone has too little shape in an MR
LEAST_SEEN = 0.6  # of the places around a vertebra that must lie in the target, or it is not carried
_SMOOTH = 0.5  # counts that every pair of gray classes has beforehand


@dataclass(frozen=True)
class Pieces:
    """Where the vertebrae of the source are in the target.

    Attributes:
        motions: (N, 4, 4) of each vertebra, world RAS of the source to that of the target.
        places: (N, 3) where they bring the bodies.
        spread: (N,) mm between where the groups that share a vertebra put it.
        evidence: (N,) mutual information around each vertebra, nats per voxel; NaN where it lies outside the target.
    """

    motions: np.ndarray
    places: np.ndarray
    spread: np.ndarray
    evidence: np.ndarray

    @property
    def seen(self) -> np.ndarray:
        """(N,) whether a vertebra lies in the target."""
        return np.isfinite(self.evidence)


def register(source: Surroundings, target: WorkingGrid, start: np.ndarray) -> Pieces | None:
    """Register a spine from a rigid start; ``None`` where the two do not overlap.

    First all vertebrae together, then groups of neighbors, each from the motion of the one before it, beginning where
    the whole fits best.
    """
    image, mask = image_of(target), mask_of(target, target.seen)
    count = len(source.points)
    whole = _refine(source, range(count), image, mask, start)
    if whole is None:
        return None
    fit = np.nan_to_num(evidence(source, target, np.tile(whole, (count, 1, 1))), nan=-1.0)
    groups = [_group(row, count) for row in range(count)]
    first = int(np.argmax([fit[group].mean() for group in groups]))
    motions = np.tile(whole, (count, 1, 1))
    for rows, step in ((range(first, count), -1), (range(first - 1, -1, -1), 1)):
        for row in rows:
            begin = whole if row == first else motions[row + step]
            if row != first and np.array_equal(groups[row], groups[row + step]):  # at the ends
                motions[row] = begin
                continue
            found = _refine(source, groups[row], image, mask, begin)
            motions[row] = begin if found is None else found
    places = np.array([apply_affine(motion, [point])[0] for motion, point in zip(motions, source.points)])
    spread = np.array([_spread(motions[max(row - 1, 0) : row + 2], source.points[row]) for row in range(count)])
    if count > GROUP:  # the end ones belong to one group only
        spread[[0, -1]] = spread[[1, -2]]
    return Pieces(motions, places, spread, evidence(source, target, motions))


def evidence(source: Surroundings, target: WorkingGrid, motions: np.ndarray) -> np.ndarray:
    """(N,) mean pointwise mutual information around each vertebra; NaN where too little of it lies in the target."""
    values = np.empty(len(source.places), np.float32)
    for row, motion in enumerate(motions):
        own = source.owner == row
        values[own] = target.at(apply_affine(motion, source.places[own]))
    seen = np.isfinite(values)
    if not seen.any():
        return np.full(len(motions), np.nan)
    edges = np.unique(np.quantile(values[seen], np.arange(1, GRAY_CLASSES) / GRAY_CLASSES))
    gray = np.digitize(values[seen], edges)
    joint = np.full((GRAY_CLASSES, GRAY_CLASSES), _SMOOTH)
    np.add.at(joint, (source.gray[seen], gray), 1.0)
    share = joint / joint.sum()
    pointwise = np.log(share / (share.sum(axis=1, keepdims=True) * share.sum(axis=0, keepdims=True)))
    each = np.full(len(values), np.nan)
    each[seen] = pointwise[source.gray[seen], gray]
    found = np.full(len(motions), np.nan)
    for row in range(len(motions)):
        own = each[source.owner == row]
        if len(own) and np.isfinite(own).mean() >= LEAST_SEEN:
            found[row] = np.nanmean(own)
    return found


def _group(row: int, count: int) -> np.ndarray:
    low = min(max(row - GROUP // 2, 0), max(count - GROUP, 0))
    return np.arange(low, min(low + GROUP, count))


def _refine(source: Surroundings, vertebrae, image, mask, start: np.ndarray) -> np.ndarray | None:
    center = source.points[list(vertebrae)].mean(axis=0)
    return refine(source.image, source.mask(vertebrae), image, mask, start, center)


def _spread(motions: np.ndarray, point: np.ndarray) -> float:
    places = np.array([apply_affine(motion, [point])[0] for motion in motions])
    return float(np.linalg.norm(places - places.mean(axis=0), axis=1).max())
