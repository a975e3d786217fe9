"""What single vertebrae say of the count by their own looks: dens, ribs, sacrum.

The level costs of :attr:`.Evidence.unary` are counted along the whole spine, so that they follow from each other. Here
each vertebra is asked for itself whether it is one from which a spine is counted. Where a spine has thirteen or eleven
rib-bearing vertebrae, six or four lumbar ones, only this tells where the count changes.
"""

from __future__ import annotations

import numpy as np

from ..core.anatomy import LEVEL_INDEX, LEVELS, THORACIC
from ..core.evidence import LANDMARK_SIGNS
from ..core.parameters import ChainParameters

C2, FIRST_RIB, RIB, LAST = range(len(LANDMARK_SIGNS))
MAY_BE_LAST = [LEVEL_INDEX[level] for level in ("L4", "L5", "L6")]  # above the sacrum
_RIBLESS_T12 = 4.0  # minus the logarithm of 2 of 100, as no T12: the same sight under another name


def log_likelihood(odds: np.ndarray, p: ChainParameters) -> np.ndarray:
    """Weighted log(2P) of what has these log-odds; 0 where nothing is known."""
    limited = np.clip(odds, -p.landmark_most, p.landmark_most)
    return p.landmark * (np.log(2.0) - np.logaddexp(0.0, -limited))


def node_costs(landmarks: np.ndarray, p: ChainParameters) -> np.ndarray:
    """(N, 26) cost of each candidate being each level, by what it looks like; (N, 4) log-odds.

    Whether it is the last one above the sacrum costs nothing here where it may be: see :func:`below_costs` and
    :func:`end_costs`.
    """
    yes, no = -log_likelihood(landmarks, p), -log_likelihood(-landmarks, p)
    cost = np.empty((len(landmarks), len(LEVELS)))
    for k, level in enumerate(LEVELS):
        cost[:, k] = (yes if level == "C2" else no)[:, C2] + (yes if level == "T1" else no)[:, FIRST_RIB]
        cost[:, k] += (yes if level in THORACIC else no)[:, RIB]
        if k not in MAY_BE_LAST:
            cost[:, k] += no[:, LAST]
    t12 = LEVEL_INDEX["T12"]
    cost[:, t12] = np.minimum(cost[:, t12], cost[:, t12] - yes[:, RIB] + _RIBLESS_T12)
    return cost


def below_costs(landmarks: np.ndarray, p: ChainParameters) -> np.ndarray:
    """(N,) cost of a further vertebra below a candidate that may be the last one."""
    return -log_likelihood(-landmarks[:, LAST], p)


def end_costs(landmarks: np.ndarray, p: ChainParameters) -> np.ndarray:
    """(N, 26) cost (<= 0) of a chain that ends at a candidate: less where the sacrum is seen below it."""
    cost = np.zeros((len(landmarks), len(LEVELS)))
    cost[:, MAY_BE_LAST] = -np.maximum(log_likelihood(landmarks[:, LAST], p), 0.0)[:, None]
    return cost


def contradiction(landmarks: np.ndarray, levels: np.ndarray, p: ChainParameters) -> float:
    """Log-odds, summed over a chain, by which what single vertebrae look like speaks against their names.

    Args:
        landmarks: (M, 4) log-odds of the vertebrae of the chain, head to foot.
        levels: (M,) their level indices.
        p: limits each sign.
    """
    against = np.clip(landmarks, -p.landmark_most, p.landmark_most)
    against[levels == LEVEL_INDEX["C2"], C2] *= -1
    against[levels == LEVEL_INDEX["T1"], FIRST_RIB] *= -1
    against[np.isin(levels, [LEVEL_INDEX[level] for level in THORACIC]), RIB] *= -1
    if len(levels) and levels[-1] in MAY_BE_LAST:
        against[-1, LAST] = 0.0  # whether it is the last one is not known
    return float(np.maximum(against, 0.0).sum())
