"""The end-to-end loss: heat-map prior, integral-regression coordinates, level maps, Bi-LSTM presence.

Coordinates alone train slowly and let the activation shrink (Gu et al., ICLR 2022), so a heat-map target stands beside
them; the coordinate terms are switched on after a warm-up.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from VertebraLabelingLib.networks.detection_network import BACKGROUND, GRID_MM, Prediction
from VertebraLabelingLib.networks.soft_argmax import blocks_of_two, global_integral, local_integral, log_heat

from .targets import IGNORE, Targets

BACKGROUND_WEIGHT = 0.05  # of a voxel of the level map, 1 for one of a body
LOCAL_RADIUS = 3  # voxels: the window that places points at inference


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term; an ablation sets one to zero."""

    center: float = 1.0
    level: float = 2.5
    slices: float = 0.5
    presence: float = 0.7
    heat: float = 0.5
    local_mm: float = 0.15  # per mm of error of the local integral
    global_mm: float = 0.01  # per mm of error of the global integral


def total_loss(
    prediction: Prediction, targets: list[Targets], weights: LossWeights, temperature: Tensor, coordinates: bool
) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum the weighted terms over a batch.

    Args:
        prediction: network output for B crops.
        targets: B targets.
        weights: term weights.
        temperature: the network's level-map temperature.
        coordinates: whether the two coordinate terms count (false during the warm-up).

    Returns:
        the loss and each term, for the curves.
    """
    present = torch.stack([t.presence for t in targets])
    terms = {
        "center": center_loss(prediction.center, targets),
        "level": level_loss(prediction.level, targets),
        "slices": slice_loss(prediction.slices, targets),
        "presence": presence_loss(prediction.presence, present),
    }
    terms["heat"], terms["global_mm"] = heat_losses(prediction, targets, present, temperature)
    terms["local_mm"] = local_loss(prediction.center, targets)
    total = torch.zeros((), device=prediction.center.device)
    for name, value in terms.items():
        if coordinates or not name.endswith("_mm"):
            total = total + getattr(weights, name) * value
    return total, terms


def center_loss(logits: Tensor, targets: list[Targets]) -> Tensor:
    """Quality focal loss (Li et al. 2020, arXiv 2006.04388) of the class-free body-center map, per vertebra."""
    truth = torch.stack([t.center for t in targets])
    weight = torch.stack([t.center_weight for t in targets])
    focal = (truth - logits.sigmoid()).abs() ** 2
    loss = focal * functional.binary_cross_entropy_with_logits(logits, truth, reduction="none") * weight
    return loss.sum() / max(1, sum(len(t.points) for t in targets)) / 10


def level_loss(logits: Tensor, targets: list[Targets]) -> Tensor:
    """Cross-entropy of the 27 classes in balls of 10 mm around the centers; background counts little."""
    truth = torch.stack([t.level for t in targets])
    loss = functional.cross_entropy(logits, truth, ignore_index=IGNORE, reduction="none")
    body = (truth != BACKGROUND) & (truth != IGNORE)
    background = truth == BACKGROUND
    total = loss[body].sum() + BACKGROUND_WEIGHT * loss[background].sum()
    return total / (2 * max(1, int(body.sum())) + 100)


def slice_loss(logits: Tensor, targets: list[Targets]) -> Tensor:
    """Cross-entropy of the level that each slice shows."""
    return functional.cross_entropy(logits.flatten(0, 1), torch.cat([t.slices for t in targets]), ignore_index=IGNORE)


def presence_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Binary cross-entropy of the multi-label presence; levels at the edge of the field of view do not count."""
    loss = functional.binary_cross_entropy_with_logits(logits, truth.clamp(0, 1), reduction="none")
    return loss[truth != IGNORE].mean() * 5


def heat_losses(
    prediction: Prediction, targets: list[Targets], present: Tensor, temperature: Tensor
) -> tuple[Tensor, Tensor]:
    """Per-level heat maps over the field of view and the null cell.

    Returns:
        negative log of the heat that lies within the ball around the truth (present) or in the null cell (absent), and
        the mean error in mm of the global integral of the present levels.
    """
    block, positions = blocks_of_two(prediction.center)
    level = functional.log_softmax(prediction.level, dim=1)[:, :BACKGROUND]
    log_probability, log_null = log_heat(block, level, prediction.null, temperature)
    expected = global_integral(log_probability, positions)
    absent = -log_null[present == 0].mean()
    masses, errors = [], []
    for b, target in enumerate(targets):
        for point, k in zip(target.points, target.levels):
            ball = target.level == k
            if ball.any():
                masses.append(-torch.logsumexp(log_probability[b, k][ball], dim=0))
            errors.append((expected[b, k] - point).norm() * GRID_MM)
    if not masses:
        return absent, torch.zeros_like(absent)
    return absent + torch.stack(masses).mean(), torch.stack(errors).mean()


def local_loss(logits: Tensor, targets: list[Targets]) -> Tensor:
    """Mean distance in mm between truth and the local integral, taken where inference would take it.

    The window sits at the strongest voxel within one voxel of the truth, as the mode that inference would find.
    """
    errors = []
    for heat, target in zip(logits, targets):
        if len(target.points):
            modes = strongest_nearby(heat.detach(), target.points.round().long())
            mean, _ = local_integral(heat, modes, LOCAL_RADIUS, rivals=modes)
            errors.append((mean - target.points).norm(dim=1) * GRID_MM)
    return torch.cat(errors).mean() if errors else logits.sum() * 0


def strongest_nearby(heat: Tensor, voxels: Tensor) -> Tensor:
    """(N, 3) the strongest voxel among each voxel and its 26 neighbors."""
    from VertebraLabelingLib.networks.soft_argmax import window_offsets

    shape = torch.tensor(heat.shape, device=heat.device)
    around = (voxels[:, None] + window_offsets(1, heat.device)[None]).clamp(min=0).minimum(shape - 1)
    values = heat[around[..., 0], around[..., 1], around[..., 2]]
    return around[torch.arange(len(voxels), device=heat.device), values.argmax(1)]
