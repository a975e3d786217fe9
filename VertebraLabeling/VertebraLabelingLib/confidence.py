"""From the solver's posterior to a confidence that holds: logistic calibration (Platt 1999) with three terms.

The posterior trusts the network's costs, which are too sure on a patient unlike those it was trained on. So the
log-odds that a level is right are taken as a weighted sum of the log-odds of its posterior, the log-odds of the body's
detection, and the logarithm of the chain's margin to the shifted one. The weights come from scans of patients that the
network has not seen: ``training/calibration.py``.

numpy only, as the solver.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_FLOOR = 1e-3


def log_odds(probability: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)); probabilities are kept 0.001 away from 0 and 1."""
    p = np.clip(probability, _FLOOR, 1.0 - _FLOOR)
    return np.log(p / (1.0 - p))


def terms(posterior: np.ndarray, detection: np.ndarray, margin: float) -> np.ndarray:
    """(M, 4) terms of the sum, the constant first.

    Args:
        posterior: (M,) posterior probability of the level of each vertebra of a chain.
        detection: (M,) their detections.
        margin: of the chain to the shifted one, natural log units, >= 0.
    """
    count = len(posterior)
    columns = [np.ones(count), log_odds(posterior), log_odds(detection), np.full(count, np.log1p(margin))]
    return np.stack(columns, axis=1)


def calibrated(
    posterior: np.ndarray, detection: np.ndarray, margin: float, weights: Sequence[float] | None
) -> np.ndarray:
    """(M,) confidence 0..1 of the vertebrae of a chain; the posterior itself where ``weights`` is None.

    Args:
        posterior, detection, margin: see :func:`terms`.
        weights: (4,) of the terms.
    """
    if weights is None:
        return np.clip(posterior, 0.0, 1.0)
    return 1.0 / (1.0 + np.exp(-(terms(posterior, detection, margin) @ np.asarray(weights, dtype=float))))
