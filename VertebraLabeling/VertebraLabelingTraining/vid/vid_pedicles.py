"""Vertebral bodies that VID's detector missed but whose pedicles it found.

Near the end of the image the detector often finds both pedicles of a vertebra and not its body. The body's centre then
lies before the middle of the two pedicles, as in the detected vertebrae beside it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from VertebraLabelingLib.solver.spine_curve import spine_curve

from .vid_data import SAME_VERTEBRA_MM, VidScan

PAIR_MM = (12.0, 50.0)  # distance between the pedicles of one vertebra
REACH_MM = 80.0  # a vertebra farther from every detected body is not inferred
CLAIM_MM, CLAIM_ALONG_MM = 60.0, 25.0
NEIGHBORS = 3
_HALF = 0.5


def with_inferred(scan: VidScan) -> VidScan:
    """The scan with a further body for each pair of pedicles that belongs to no detected body.

    An inferred body gets half the scores of the nearest detected one and is marked in ``inferred``.
    """
    if len(scan.bodies) < 2:
        return scan
    given = scan.evidence
    curve = spine_curve(given.points, given.detection, given.unary)
    bodies, tangent = scan.bodies[curve.order], curve.tangent
    claimed = [_claims(bodies, tangent, side) for side in (scan.left, scan.right)]
    paired = np.flatnonzero((claimed[0] >= 0) & (claimed[1] >= 0))
    if not len(paired):
        return scan
    middle = (scan.left[claimed[0][paired]] + scan.right[claimed[1][paired]]) / 2
    forward, at = bodies[paired] - middle, bodies[paired]
    found = []
    for place in _free_middles(scan, claimed):
        near = np.argsort(np.linalg.norm(at - place, axis=1))[:NEIGHBORS]
        body = place + forward[near].mean(axis=0)
        away = np.linalg.norm(np.array([*scan.bodies, *found]) - body, axis=1).min()
        if SAME_VERTEBRA_MM * _HALF < away < REACH_MM:
            found.append(body)
    if not found:
        return scan
    nearest = np.linalg.norm(np.array(found)[:, None] - scan.bodies[None], axis=2).argmin(axis=1)
    return replace(
        scan,
        bodies=np.concatenate([scan.bodies, found]),
        scores=np.concatenate([scan.scores, _HALF * scan.scores[nearest]]),
        inferred=np.concatenate([scan.inferred, np.ones(len(found), bool)]),
    )


def _claims(bodies: np.ndarray, tangent: np.ndarray, side: np.ndarray) -> np.ndarray:
    """(N,) the pedicle of one side that belongs to each body, -1 where there is none; each pedicle once."""
    owner = np.full(len(bodies), -1)
    if not len(side):
        return owner
    offset = side[None] - bodies[:, None]
    away, along = np.linalg.norm(offset, axis=2), np.abs(np.einsum("nmc,nc->nm", offset, tangent))
    cost = np.where((away < CLAIM_MM) & (along < CLAIM_ALONG_MM), away + along, np.inf)
    while np.isfinite(cost.min()):
        n, m = np.unravel_index(int(cost.argmin()), cost.shape)
        owner[n] = m
        cost[n], cost[:, m] = np.inf, np.inf
    return owner


def _free_middles(scan: VidScan, claimed: list[np.ndarray]) -> list[np.ndarray]:
    """Middles of the pairs of a left and a right pedicle that no body claims, the closest pairs first."""
    left, right = (np.delete(side, used[used >= 0], axis=0) for side, used in zip((scan.left, scan.right), claimed))
    if not len(left) or not len(right):
        return []
    apart = np.linalg.norm(left[:, None] - right[None], axis=2)
    apart[(apart < PAIR_MM[0]) | (apart > PAIR_MM[1])] = np.inf
    middles = []
    while np.isfinite(apart.min()):
        a, b = np.unravel_index(int(apart.argmin()), apart.shape)
        middles.append((left[a] + right[b]) / 2)
        apart[a], apart[:, b] = np.inf, np.inf
    return middles
