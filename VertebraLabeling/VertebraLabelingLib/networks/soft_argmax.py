"""Integral regression: coordinates as the expectation under a heat map (soft-argmax).

J = sum_p p * softmax(H)(p), Sun et al. 2018 (arXiv 1711.08229), differentiable and free of quantisation. Used two ways:

* *local*: the expectation in a small window around a mode. It places every point that reaches the user, and the
  coordinate loss of the training runs through the same function.
* *global with a null cell*: the expectation over a whole field of view, where one extra cell takes the mass of a level
  that is absent. Without it the expectation of an absent level is the middle of the volume.

All coordinates here are voxel indices (z, y, x) of the heat map they come from; :mod:`volume` turns them into mm.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

NEGATIVE = -1e4  # stands for minus infinity, without NaN where a whole window is masked


def window_offsets(radius: int, device=None) -> Tensor:
    """(W, 3) integer offsets (z, y, x) of the cube of ``(2 * radius + 1) ** 3`` voxels around a voxel."""
    axis = torch.arange(-radius, radius + 1, device=device)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(-1, 3)


def local_integral(heat: Tensor, centers: Tensor, radius: int, rivals: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Expectation of the position under ``softmax(heat)`` in a cube around each center.

    Args:
        heat: (D, H, W) logits.
        centers: (N, 3) integer voxel indices (z, y, x), the modes.
        radius: half width of the cube, voxels.
        rivals: (M, 3) positions that compete for the window: voxels nearer to a rival than to the center are left
            out, so that a neighboring vertebra inside the window does not pull. Usually ``centers`` itself.

    Returns:
        (N, 3) positions (z, y, x), fractional voxel indices, and (N,) their standard deviation in voxels (root of the
        trace of the covariance), a measure of how blurred the mode is.
    """
    shape = torch.tensor(heat.shape, device=heat.device)
    positions = centers[:, None, :] + window_offsets(radius, heat.device)[None]  # (N, W, 3)
    inside = ((positions >= 0) & (positions < shape)).all(-1)
    index = positions.clamp(min=0).minimum(shape - 1)
    logits = heat[index[..., 0], index[..., 1], index[..., 2]]  # (N, W)
    keep = inside
    if rivals is not None and len(rivals):
        to_rivals = torch.cdist(positions.to(heat.dtype).flatten(0, 1), rivals.to(heat.dtype)).amin(1)
        own = (positions - centers[:, None, :]).to(heat.dtype).norm(dim=-1)
        keep = keep & (own <= to_rivals.view_as(own) + 1e-3)
    weights = torch.softmax(torch.where(keep, logits, torch.full_like(logits, NEGATIVE)), dim=1)
    positions = positions.to(weights.dtype)
    mean = (weights[..., None] * positions).sum(1)
    variance = (weights * ((positions - mean[:, None]) ** 2).sum(-1)).sum(1)
    return mean, variance.clamp(min=0).sqrt()


def blocks_of_two(center_heat: Tensor) -> tuple[Tensor, Tensor]:
    """Summarise the fine heat map by the 2x2x2 blocks of the coarse grid, exactly.

    A per-level heat map is the fine class-free map plus a coarse level map that is constant in each block. Its softmax
    then factorises: block mass from the log-sum-exp, position inside the block from the expectation within it.

    Args:
        center_heat: (B, D, H, W) fine logits, even sizes.

    Returns:
        (B, D/2, H/2, W/2) log-sum-exp of each block, and (B, 3, D/2, H/2, W/2) expected position (z, y, x) of each
        block in fine voxel indices.
    """
    _, d, h, w = center_heat.shape
    cells = _cells(center_heat)
    weights = torch.softmax(cells, dim=-1)
    corner = window_offsets(1, cells.device)
    corner = corner[(corner >= 0).all(1)].to(cells.dtype)  # (8, 3): the offsets 0 and 1
    inner = (weights[..., None] * corner).sum(-2)  # (B, D/2, H/2, W/2, 3)
    axes = [2 * torch.arange(n, device=cells.device, dtype=cells.dtype) for n in (d // 2, h // 2, w // 2)]
    block = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    return torch.logsumexp(cells, dim=-1), (block + inner).permute(0, 4, 1, 2, 3)


def block_mass(center_heat: Tensor) -> Tensor:
    """Only the log-sum-exp of :func:`blocks_of_two`, (B, D/2, H/2, W/2)."""
    return torch.logsumexp(_cells(center_heat), dim=-1)


def _cells(center_heat: Tensor) -> Tensor:
    """(B, D/2, H/2, W/2, 8) the voxels of each 2x2x2 block of (B, D, H, W)."""
    b, d, h, w = center_heat.shape
    return center_heat.view(b, d // 2, 2, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4, 6).flatten(4)


def log_heat(
    block_logits: Tensor, level_logits: Tensor, null_logits: Tensor, temperature: Tensor
) -> tuple[Tensor, Tensor]:
    """Normalize the per-level heat maps over the field of view and one null cell.

    Args:
        block_logits: (B, D, H, W) log-sum-exp of the class-free map (:func:`blocks_of_two`).
        level_logits: (B, K, D, H, W) log-probability of each level at each coarse voxel.
        null_logits: (B, K) logit of "this level is not in the field of view".
        temperature: positive scalar that multiplies the level map.

    Returns:
        (B, K, D, H, W) log-probability of each coarse voxel and (B, K) log-probability of the null cell.
    """
    heat = (block_logits[:, None] + temperature * level_logits).flatten(2)
    total = torch.logsumexp(torch.cat([heat, null_logits[..., None]], dim=2), dim=2)
    return (heat - total[..., None]).view_as(level_logits), null_logits - total


def global_integral(log_probability: Tensor, positions: Tensor) -> Tensor:
    """Expected position of each level, given that it is in the field of view.

    Args:
        log_probability: (B, K, D, H, W) from :func:`log_heat`.
        positions: (B, 3, D, H, W) expected position of each block, from :func:`blocks_of_two`.

    Returns:
        (B, K, 3) positions (z, y, x) in fine voxel indices.
    """
    weights = functional.softmax(log_probability.flatten(2), dim=2)
    return torch.einsum("bkn,bcn->bkc", weights, positions.flatten(2))
