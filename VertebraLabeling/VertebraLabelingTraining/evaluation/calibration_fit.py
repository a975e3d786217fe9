"""Fit the solver's confidence and its shift warning to scans of patients that the network has not seen.

The confidence is a logistic function of five terms (``solver/confidence.py``), fitted by penalized maximum likelihood;
each scan has one vote, shared by its points. A point is correct where it is a strict hit, wrong where it counts as a
false positive, and left out on a vertebra that the image cuts. The shift warning asks for a sign
(:func:`_warning_sign`) at which the flags (warning, or a point of low confidence) reach no more of the correct crops
than the goal allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from VertebraLabelingLib.core.anatomy import LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.label_warning import REVIEW_KINDS
from VertebraLabelingLib.core.labels import LOW_CONFIDENCE
from VertebraLabelingLib.core.metrics import CaseScore, score_case
from VertebraLabelingLib.core.parameters import ChainParameters
from VertebraLabelingLib.solver.chain import shift_margin, sign_of
from VertebraLabelingLib.solver.chain_graph import ChainGraph
from VertebraLabelingLib.solver.confidence import calibrated, terms
from VertebraLabelingLib.solver.landmark_costs import contradiction
from VertebraLabelingLib.solver.spine_curve import spine_curve
from VertebraLabelingLib.solver.warnings import warnings_for

from ..data.evidence_folder import Sample
from .crop_scores import GOAL_CORRECT

TEMPERATURES = (1.0, 2.0, 4.0)
RIDGE = 0.5  # penalty of the weights: about half a scan's vote
_STEPS = 50


@dataclass(frozen=True)
class Measured:
    """One solved scan or crop.

    Attributes:
        name, patient, fold: which one; the fold that held it out.
        landmarks: landmarks that lie whole in it.
        case: its score.
        posterior: temperature -> (M,) posterior of each point.
        detection: (M,) detection of each point.
        margin: to the shifted chain, at temperature 1.
        sign: the strongest one against a shift, a landmark among the names taken in.
        against: what the landmarks say against the names.
        correct: (M,) bool, the point is a strict hit.
        counts: (M,) bool, the point is correct or wrong.
        told: a warning asks to look, other than that of a shift.
    """

    name: str
    patient: str
    fold: int
    landmarks: tuple[str, ...]
    case: CaseScore
    posterior: dict[float, np.ndarray]
    detection: np.ndarray
    margin: float
    sign: float
    against: float
    correct: np.ndarray
    counts: np.ndarray
    told: bool = False

    @property
    def is_crop(self) -> bool:
        """One of the crops of :mod:`.field_of_view_crops`, no whole scan."""
        return "__" in self.name

    @property
    def is_changed(self) -> bool:
        """One of the changed counts of :mod:`.changed_counts`."""
        return "+" in self.name

    @property
    def all_correct(self) -> bool:
        """Every whole vertebra is named correctly and nothing else is placed."""
        return not self.case.missed and not self.case.false_positives

    def confidence(self, parameters: ChainParameters) -> np.ndarray:
        """(M,) confidence as the product gives it."""
        heat = parameters.temperature
        return calibrated(self.posterior[heat], self.terms(heat), parameters.calibration)

    def terms(self, heat: float) -> np.ndarray:
        """(M, 6) see :func:`.confidence.terms`, at a temperature."""
        return terms(self.posterior[heat], self.detection, self.margin / heat, self.sign, self.against)

    def flagged(self, parameters: ChainParameters) -> bool:
        """The user is told to look: by a warning, low confidence, or as none was found."""
        sure = self.confidence(parameters).min(initial=1.0 if len(self.detection) else 0.0)
        return bool(sure < LOW_CONFIDENCE or self.sign < parameters.shift_sign or self.told)


def measure(
    sample: Sample, patient: str, fold: int, parameters: ChainParameters, landmarks: Sequence[str] = ()
) -> Measured:
    """Solve one sample and keep what the calibration needs."""
    about = (sample.name, patient, fold, tuple(landmarks))
    evidence, graphs = _graphs(sample.evidence, parameters)
    path = graphs[1.0].best_path() if graphs else None
    if path is None or path.cost >= graphs[1.0].rejected_cost:
        case, none = score_case(sample.name, {}, sample.truth, sample.cut), np.zeros(0)
        return Measured(*about, case, dict.fromkeys(TEMPERATURES, none), none, 0.0, 0.0, 0.0, *[none.astype(bool)] * 2)
    rows, levels = (np.array(column) for column in zip(*path.nodes))
    names, points = [LEVELS[k] for k in levels], evidence.points[rows]
    case = score_case(sample.name, dict(zip(names, map(tuple, points))), sample.truth, sample.cut)
    posterior = {heat: graph.posterior()[rows, levels] for heat, graph in graphs.items()}
    strict = {vertebra.level for vertebra in case.vertebrae if vertebra.strict}
    correct = np.array([name in strict for name in names])
    wrong = np.array([name in case.false_positives for name in names])
    margin = shift_margin(graphs[1.0], path)
    sign = sign_of(evidence, rows, levels, parameters)
    warnings = warnings_for(names, points, float(np.exp(path.log_scale)), evidence, False)
    found = (
        posterior,
        evidence.detection[rows],
        margin,
        sign,
        contradiction(evidence.landmarks[rows], levels, parameters),
    )
    told = any(warning.kind in REVIEW_KINDS for warning in warnings)
    return Measured(*about, case, *found, correct, correct | wrong, told)


def _graphs(given: Evidence, parameters: ChainParameters) -> tuple[Evidence, dict[float, ChainGraph]]:
    """The candidates from head to foot, and temperature -> the solver's graph of them; none without candidates."""
    count = len(given.points)
    if not count:
        return given, {}
    curve = spine_curve(given.points, given.detection, given.unary)
    ordered, curve = given.kept(curve.order), replace(curve, order=np.arange(count))
    free = (np.full(count, -1), np.zeros(count, bool))
    return ordered, {
        heat: ChainGraph(ordered, curve, *free, replace(parameters, temperature=heat)) for heat in TEMPERATURES
    }


def fit(measured: Sequence[Measured], parameters: ChainParameters) -> ChainParameters:
    """Set the temperature, the weights of the confidence and the sign that the shift warning asks for."""
    chosen = [item for item in measured if item.counts.any()]
    correct = np.concatenate([item.correct[item.counts] for item in chosen])
    vote = np.concatenate([np.full(item.counts.sum(), 1.0 / item.counts.sum()) for item in chosen])
    best = None
    for heat in TEMPERATURES:
        rows = np.concatenate([item.terms(heat)[item.counts] for item in chosen])
        weights, loss = _nonnegative(rows, correct, vote)
        if best is None or loss < best[0]:
            best = loss, heat, weights
    _, heat, weights = best
    fitted = replace(parameters, temperature=heat, calibration=tuple(round(float(w), 3) for w in weights))
    crops = [item for item in measured if item.is_crop] or measured
    return replace(fitted, shift_sign=_warning_sign(crops, fitted))


def _nonnegative(rows: np.ndarray, correct: np.ndarray, vote: np.ndarray) -> tuple[np.ndarray, float]:
    """:func:`_logistic`, in which a term that would speak against its meaning counts nothing."""
    used = np.ones(rows.shape[1], bool)
    while True:
        weights = np.zeros(rows.shape[1])
        weights[used], loss = _logistic(rows[:, used], correct, vote)
        worst = 1 + int(weights[1:].argmin())
        if weights[worst] >= 0:
            return weights, loss
        used[worst] = False


def _logistic(rows: np.ndarray, correct: np.ndarray, vote: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights of the terms by Newton's method, and the mean negative log-likelihood."""
    weights = np.zeros(rows.shape[1])
    penalty = RIDGE * np.diag([1e-6, *[1.0] * (rows.shape[1] - 1)])
    for _ in range(_STEPS):
        p = 1.0 / (1.0 + np.exp(-(rows @ weights)))
        slope = rows.T @ (vote * (p - correct)) + penalty @ weights
        curve = (rows * (vote * p * (1.0 - p))[:, None]).T @ rows + penalty
        step = np.linalg.solve(curve, slope)
        weights = weights - step
        if np.abs(step).max() < 1e-6:
            break
    p = np.clip(1.0 / (1.0 + np.exp(-(rows @ weights))), 1e-9, 1 - 1e-9)
    return weights, float(-(vote * np.log(np.where(correct, p, 1.0 - p))).sum() / vote.sum())


def _warning_sign(measured: Sequence[Measured], parameters: ChainParameters) -> float:
    """Half-way from the smallest sign that reaches the most wrong scans to the largest one that is allowed.

    Tried are the signs of the scans. Allowed are those at which the flags reach no more correct scans than the goal, or
    than low confidence alone. The largest would flag more correct scans for no further wrong one, the smallest leaves
    little room for other wrong ones. Where no sign reaches a wrong scan, that is half of the largest.
    """
    signs = np.array([item.sign for item in measured])
    low = np.array([item.flagged(replace(parameters, shift_sign=0.0)) for item in measured])
    correct = np.array([item.all_correct for item in measured])
    tried = np.unique(np.concatenate([[0.0], np.floor(signs * 100) / 100]))  # the scan at its own sign is spared
    if not correct.any():
        return float(tried[-1])
    limit = max(GOAL_CORRECT, low[correct].mean())
    allowed = [sign for sign in tried if (low | (signs < sign))[correct].mean() <= limit]
    reached = [int((low | (signs < sign))[~correct].sum()) for sign in allowed]
    return round(float(allowed[reached.index(max(reached))] + allowed[-1]) / 2, 2)
