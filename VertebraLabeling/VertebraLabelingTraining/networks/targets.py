"""Training targets on the network's grids, made from the points of a crop."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from VertebraLabelingLib.core.anatomy import LEVELS
from VertebraLabelingLib.networks.detection_network import BACKGROUND, COARSE_MM, GRID_MM

CENTER_SIGMA_MM = 4.0  # C3-C6 are 16 mm apart: wider peaks would merge
BALL_MM = 10.0
RING_MM = 14.0  # between ball and ring the level map is neither body nor background
EDGE_MM = 8.0  # a center this near to a face of the field of view counts as neither present nor absent
IGNORE = -100


@dataclass
class Targets:
    """Targets of one crop; K = 26 levels.

    Attributes:
        center: (D, H, W) in [0, 1], 1 at body centers, Gaussian of CENTER_SIGMA_MM.
        center_weight: (D, H, W) 0 where a vertebra is cut by the field of view, else 1.
        level: (D/2, H/2, W/2) class 0..26, IGNORE between ball and ring.
        slices: (D/2,) class 0..26 or IGNORE.
        presence: (K,) 1 present, 0 absent, IGNORE near the edge.
        points: (N, 3) visible body centers, voxels (z, y, x), and ``levels`` (N,) their level indices.
    """

    center: Tensor
    center_weight: Tensor
    level: Tensor
    slices: Tensor
    presence: Tensor
    points: Tensor
    levels: Tensor


def make_targets(shape: tuple[int, int, int], points: Tensor, levels: Tensor, margin: Tensor) -> Targets:
    """Build all targets; arguments as in :class:`crops.Crop`."""
    device = points.device
    visible = margin > 0
    edge = margin.abs() < EDGE_MM
    center_distance = _distance(shape, points, 1)
    center = torch.zeros(shape, device=device)
    weight = torch.ones(shape, device=device)
    if visible.any():
        center = torch.exp(-(center_distance[visible].amin(0) ** 2) / (2 * CENTER_SIGMA_MM**2))
    if edge.any():
        weight = (center_distance[edge].amin(0) > BALL_MM).float()

    coarse = tuple(n // 2 for n in shape)
    level = torch.full(coarse, BACKGROUND, device=device)
    if visible.any():
        nearest, index = _distance(coarse, points[visible], 2).min(0)
        level = torch.where(nearest <= BALL_MM, levels[visible][index], level)
        level = torch.where((nearest > BALL_MM) & (nearest < RING_MM), torch.full_like(level, IGNORE), level)

    presence = torch.zeros(len(LEVELS), device=device)
    presence[levels[visible]] = 1.0
    presence[levels[edge]] = float(IGNORE)
    keep = visible & ~edge
    return Targets(
        center,
        weight,
        level,
        _slices(coarse[0], points[visible], levels[visible]),
        presence,
        points[keep],
        levels[keep],
    )


def _distance(shape: tuple[int, ...], points: Tensor, stride: int) -> Tensor:
    """(N, D, H, W) distance in mm from every voxel of a grid to every point; points in voxels of the fine grid."""
    squares = []
    for axis, size in enumerate(shape):
        position = (torch.arange(size, device=points.device) + 0.5) * stride - 0.5
        squares.append((position[None] - points[:, axis, None]) ** 2)
    z, y, x = squares
    return (z[:, :, None, None] + y[:, None, :, None] + x[:, None, None, :]).sqrt() * GRID_MM


def _slices(count: int, points: Tensor, levels: Tensor) -> Tensor:
    """Level of each 8 mm slice: that of the nearest center within 10 mm along z, none beyond 24 mm, else IGNORE."""
    result = torch.full((count,), BACKGROUND, device=points.device)
    if len(points):
        z = (torch.arange(count, device=points.device) + 0.5) * COARSE_MM
        nearest, index = ((z[None] - (points[:, 0, None] + 0.5) * GRID_MM).abs()).min(0)
        result = torch.where(nearest <= 24.0, torch.full_like(result, IGNORE), result)
        result = torch.where(nearest <= 10.0, levels[index], result)
    return result
