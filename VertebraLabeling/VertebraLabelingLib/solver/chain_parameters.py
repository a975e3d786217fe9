"""Weights of the chain solver. Every cost is a negative log-likelihood up to a factor, so costs add."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.spacing import EDGES, VERSE_SPACING


@dataclass(frozen=True)
class ChainParameters:
    """Parameters of :func:`chain.solve`.

    Attributes:
        appearance: factor of ``Evidence.unary`` (clipped at ``appearance_cap`` first).
        appearance_cap: highest unary cost of one level, before the factor.
        confusion: how much likelier (unary cost) a network is to mistake a vertebra for its neighbor than for one a
            level further, in the neck, the chest and the lumbar spine: a level costs at most this much more than the
            next one. Neighboring thoracic vertebrae look alike, and a network that never saw such a chest is off by
            one or two, in either direction; cut to a cost in proportion to the distance, its votes average out.
            ``None`` takes the unary costs as they are.
        detection: factor of the log-odds of ``Evidence.detection``.
        false_positive: cost of leaving out a candidate with detection 0.5.
        missed: cost of each vertebra passed over between two found ones.
        unseen: cost of each level beyond the ends that should lie in view (at most ``unseen_most`` of them).
        spacing: expected distance (mm) of each edge of :data:`spacing.EDGES`.
        spacing_sd: standard deviation of the logarithm of a distance, given the scan's scale.
        spacing_cap: highest spacing cost of one hop: a collapsed or fused vertebra must not break the chain.
        scale_sd: standard deviation of the logarithm of the scan's scale.
        scale_steps: number of scales, spread evenly over +-2.5 standard deviations.
        bend: cost per squared radian between a hop and the smoothed spine curve; ``bend_cap`` limits it.
        t13, no_t12, l6: costs of the enumeration variants.
        presence: factor of -log(2p) for levels in the chain; ``absence``: of -log(2(1-p)) for levels that are not,
            though their place lies in the field of view. p = 0.5 is neutral.
        temperature: costs are divided by it before they are read as log probabilities.
        calibration: weights of :func:`confidence.terms` that turn the posterior into the confidence; ``None`` takes the
            posterior itself.
        shift_warning: below this margin (natural log units) of the best path to the best shifted one, warn.
        shift_sign: warn, too, where the strongest sign (:func:`confidence.strongest_sign`) against a shift is less.
        anchor_sign: what a landmark among the names (:func:`chain_ends.landmarks_in_view`) adds to the strongest sign.
        max_candidates: only the strongest candidates (by detection) are considered.
        max_missed: most vertebrae passed over at once (without limit where points are fixed).
    """

    appearance: float = 1.0
    appearance_cap: float = 12.0
    confusion: tuple[float, float, float] | None = None
    detection: float = 1.0
    false_positive: float = 6.0
    missed: float = 6.0
    unseen: float = 1.0
    unseen_most: int = 3
    spacing: tuple[float, ...] = tuple(VERSE_SPACING[edge] for edge in EDGES)
    spacing_sd: float = 0.066
    spacing_cap: float = 30.0
    scale_sd: float = 0.081
    scale_steps: int = 13
    bend: float = 4.0
    bend_cap: float = 6.0
    t13: float = 4.0
    no_t12: float = 4.0
    l6: float = 3.0
    presence: float = 0.5
    absence: float = 0.5
    temperature: float = 1.0
    calibration: tuple[float, ...] | None = None
    shift_warning: float = 3.0
    shift_sign: float = 0.0
    anchor_sign: float = 0.0
    max_candidates: int = 48
    max_missed: int = 6

    @property
    def log_scales(self) -> np.ndarray:
        """(S,) logarithms of the scales tried."""
        return np.linspace(-2.5, 2.5, self.scale_steps) * self.scale_sd

    @property
    def scale_cost(self) -> np.ndarray:
        """(S,) negative log prior probability of each scale; the prior sums to one over the grid."""
        cost = 0.5 * np.linspace(-2.5, 2.5, self.scale_steps) ** 2
        return cost + np.log(np.exp(-cost).sum())


NETWORK_PARAMETERS = ChainParameters(
    appearance=2.0,
    confusion=(4.0, 0.6, 0.6),
    false_positive=6.0,
    spacing_sd=0.16,
    temperature=4.0,
    calibration=(-2.391, 0.456, 0.0, 0.203, 3.166),
    shift_warning=0.0,
    shift_sign=3.75,
    anchor_sign=1.0,
)
"""For the evidence of this project's networks: centres are some mm off, so distances scatter more.

Temperature, calibration and shift_sign are fitted by ``python -m VertebraLabelingTraining.evaluation.calibration`` to
scans and crops of patients that the networks have not seen."""
