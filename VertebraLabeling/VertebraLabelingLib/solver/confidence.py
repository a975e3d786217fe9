"""From the solver's posterior to a confidence that holds: logistic calibration (Platt 1999) with five terms.

The posterior trusts the networks' costs, which are too sure on a patient unlike those they were trained on. So the
log-odds that a level is correct are taken as a weighted sum of the log-odds of its posterior, the log-odds of the
body's detection, the logarithm of the chain's margin to the shifted one, that of its strongest sign
(:func:`strongest_sign`), and that of what its landmarks say against it (:func:`.landmark_costs.contradiction`). The
weights come from scans of patients that the networks have not seen:
``VertebraLabelingTraining.evaluation.calibration``.

numpy only, as the solver.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .corrected_evidence import shifted

_FLOOR = 1e-3


def log_odds(probability: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)); probabilities are kept 0.001 away from 0 and 1."""
    p = np.clip(probability, _FLOOR, 1.0 - _FLOOR)
    return np.log(p / (1.0 - p))


def strongest_sign(unary: np.ndarray, levels: np.ndarray) -> float:
    """What the clearest vertebra of a chain says against a shift by one level, up or down.

    A spine is counted from a landmark: one vertebra that cannot be mistaken (dens, first rib, last rib, sacrum) settles
    the others, however alike they look, and where there is none, many weak votes settle nothing.

    Args:
        unary: (M, 26) costs of the vertebrae of the chain, as the networks give them.
        levels: (M,) their level indices.

    Returns:
        The smaller one, of up and down, of the largest rise in cost (>= 0) that the shift brings to any vertebra.
    """
    row = np.arange(len(levels))
    own = unary[row, levels]
    rises = [
        max(0.0, float((np.array([shifted(cost, -step) for cost in unary])[row, levels] - own).max(initial=0.0)))
        for step in (-1, 1)
    ]
    return min(rises)


def terms(
    posterior: np.ndarray, detection: np.ndarray, margin: float, sign: float, contradiction: float = 0.0
) -> np.ndarray:
    """(M, 6) terms of the sum, the constant first.

    Args:
        posterior: (M,) posterior probability of the level of each vertebra of a chain.
        detection: (M,) their detections.
        margin: of the chain to the shifted one, natural log units, >= 0.
        sign: see :func:`strongest_sign`.
        contradiction: see :func:`.landmark_costs.contradiction`.
    """
    count = len(posterior)
    whole = [np.full(count, value) for value in (np.log1p(margin), np.log1p(sign), -np.log1p(contradiction))]
    return np.stack([np.ones(count), log_odds(posterior), log_odds(detection), *whole], axis=1)


def calibrated(posterior: np.ndarray, rows: np.ndarray, weights: Sequence[float] | None) -> np.ndarray:
    """(M,) confidence 0..1 of the vertebrae of a chain; the posterior itself where ``weights`` is None.

    Args:
        posterior: (M,) posterior probability of the level of each.
        rows: (M, 6) see :func:`terms`.
        weights: (6,) of the terms.
    """
    if weights is None:
        return posterior.clip(0.0, 1.0)
    return 1.0 / (1.0 + np.exp(-(rows @ np.asarray(weights, dtype=float))))
