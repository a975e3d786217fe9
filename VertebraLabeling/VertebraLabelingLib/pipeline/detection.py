"""From network output to evidence: body-center candidates placed by the local integral, and what each could be."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..core.evidence import MAX_COST, Evidence
from ..core.parameters import SHIPPED, DetectionParameters
from ..core.volume import AIR_HU, Volume, ijk_to_ras
from ..networks.detection_network import BACKGROUND, GRID_MM, NO_CENTER, STRIDE, DetectionNetwork, Prediction
from ..networks.layers import window
from ..networks.soft_argmax import block_mass, local_integral, log_heat
from ..preprocessing.cropping import AIR_MARGIN
from .reporting import Reporter

LOCAL_RADIUS = 3  # voxels; the window of the coordinate loss that the network was trained with
MAX_CANDIDATES = 80  # three times the vertebrae of a spine: bounds the time that a scan full of maxima takes


def evidence_from(
    prediction: Prediction,
    temperature: Tensor,
    grid: Volume,
    scan: Volume,
    p: DetectionParameters = SHIPPED.detection,
) -> Evidence:
    """Turn the network's output for one scan into the solver's evidence.

    Args:
        prediction: output for a batch of one; arrays on the grid of ``grid``.
        temperature: the network's level-map temperature.
        grid: the working-grid volume that the network saw (its affine places the points).
        scan: the whole scan (its corners are the field of view).
        p: the chosen numbers.
    """
    center = prediction.center[0]
    level = functional.log_softmax(prediction.level, dim=1)[:, :BACKGROUND]
    heat = log_heat(block_mass(prediction.center), level, prediction.null, temperature)[0][0]
    modes = find_modes(center, p)
    points, _ = local_integral(center, modes, LOCAL_RADIUS, rivals=modes)
    for mode, k in level_modes(modes, center, heat, prediction.presence[0].sigmoid(), p):
        modes = torch.cat([modes, mode[None]])
        own = center + functional.interpolate(temperature * level[:, k, None], scale_factor=2, mode="trilinear")[0, 0]
        points = torch.cat([points, local_integral(own, mode[None], LOCAL_RADIUS, rivals=modes)[0]])
    unary = level_costs(level[0], prediction.slices[0], heat, points, p)
    detection = center[tuple(modes.T)].sigmoid()
    ras = ijk_to_ras(grid, points.flip(1).cpu().double().numpy())
    presence = prediction.presence[0].sigmoid()
    arrays = (value.cpu().double().numpy() for value in (unary, detection, presence))
    return Evidence(ras, *arrays, scan.corners)


def find_modes(center: Tensor, p: DetectionParameters = SHIPPED.detection) -> Tensor:
    """(N, 3) voxels (z, y, x) of the maxima of the center map, strongest first, at least ``min_distance_mm`` apart."""
    bodies = (center > math.log(p.threshold / (1 - p.threshold))).nonzero()
    if len(bodies) == 0:
        return bodies
    low = bodies.amin(0)
    part = center[tuple(slice(int(a), int(b) + 1) for a, b in zip(low, bodies.amax(0)))]  # all others are lower
    peak = part[None, None]
    for kernel in ((3, 1, 1), (1, 3, 1), (1, 1, 3)):  # the maximum over a cube, axis by axis
        peak = functional.max_pool3d(peak, kernel, 1, [size // 2 for size in kernel])
    voxels = bodies[(part >= peak[0, 0])[tuple((bodies - low).T)]]
    order = torch.argsort(center[tuple(voxels.T)], descending=True, stable=True)
    kept: list[Tensor] = []
    for voxel in voxels[order[: 4 * MAX_CANDIDATES]]:
        if all((voxel - other).float().norm() * GRID_MM >= p.min_distance_mm for other in kept):
            kept.append(voxel)
        if len(kept) == MAX_CANDIDATES:
            break
    return torch.stack(kept)


def level_modes(
    modes: Tensor, center: Tensor, heat: Tensor, presence: Tensor, p: DetectionParameters = SHIPPED.detection
) -> list[tuple[Tensor, int]]:
    """The mode of each level's own heat map where no class-free mode is near.

    Two bodies that the class-free map runs together (small cervical vertebrae, thick slices) are still apart in the
    heat maps of their levels, and the local integral of such a candidate runs over that heat map.

    Args:
        modes: (N, 3) voxels of :func:`find_modes`.
        center: (D, H, W) body-center logits.
        heat: (26, D/2, H/2, W/2) log-probability of each level's heat map over the field of view and the null cell.
        presence: (26,) probability of each level.

    Returns:
        further voxels (z, y, x), each with the index of its level.
    """
    added: list[tuple[Tensor, int]] = []
    for k in (presence > p.level_presence).nonzero()[:, 0].tolist():
        block = 2 * _argmax(heat[k])
        voxel = block + _argmax(center[block[0] : block[0] + 2, block[1] : block[1] + 2, block[2] : block[2] + 2])
        others = (*modes, *(other for other, _ in added))
        apart = all((voxel - other).float().norm() * GRID_MM >= p.level_distance_mm for other in others)
        if apart and center[tuple(voxel)].sigmoid() > p.threshold:
            added.append((voxel, k))
    return added


def _argmax(values: Tensor) -> Tensor:
    """(3,) index of the largest value of a (D, H, W) array."""
    index = np.unravel_index(int(values.argmax()), values.shape)
    return torch.tensor(index, device=values.device)


def level_costs(
    level: Tensor, slices: Tensor, heat: Tensor, points: Tensor, p: DetectionParameters = SHIPPED.detection
) -> Tensor:
    """(N, 26) negative log-likelihood of each candidate being each level.

    A weighted mean of three views: the level map at the candidate, the share of the level's heat map (over the whole
    field of view) that lies around the candidate, and the Bi-LSTM's level of the candidate's slice.

    Args:
        level: (26, D/2, H/2, W/2) log-probability of the level at each coarse voxel.
        slices: (D/2, 27) logits of the level that each coarse slice shows.
        heat: (26, D/2, H/2, W/2) as for :func:`level_modes`.
        points: (N, 3) candidates (z, y, x), fractional voxels of the fine grid.
    """
    slices = functional.log_softmax(slices, dim=1)[:, :BACKGROUND]
    coarse = (points + 0.5) / 2 - 0.5
    here = functional.log_softmax(_interpolate(level, coarse), dim=1)
    mass = _nearby_mass(heat, coarse, p.heat_reach_mm)
    slice_level = functional.log_softmax(slices[coarse[:, 0].round().long().clamp(0, len(slices) - 1)], dim=1)
    terms = zip((p.level_weight, p.heat_weight, p.slice_weight), (here, mass, slice_level))
    cost = sum(weight * (-term).clamp(0, MAX_COST) for weight, term in terms)
    return cost.clamp(0, MAX_COST)


def _interpolate(maps: Tensor, points: Tensor) -> Tensor:
    """Trilinear value of (C, D, H, W) maps at (N, 3) fractional voxels (z, y, x): (N, C)."""
    size = torch.tensor(maps.shape[1:], device=maps.device)
    unit = ((points + 0.5) / size * 2 - 1).flip(1).view(1, -1, 1, 1, 3).to(maps.dtype)
    sampled = functional.grid_sample(maps[None], unit, padding_mode="border", align_corners=False)
    return sampled[0, :, :, 0, 0].T


def _nearby_mass(log_probability: Tensor, points: Tensor, reach_mm: float) -> Tensor:
    """(N, K) log of the probability mass of (K, D, H, W) within ``reach_mm`` of each point."""
    axes = [torch.arange(n, device=points.device, dtype=points.dtype) for n in log_probability.shape[1:]]
    reach = reach_mm / (2 * GRID_MM)
    rows = []
    for point in points:
        parts = [slice(max(0, int(np.ceil(float(p) - reach))), int(float(p) + reach) + 1) for p in point]
        local = log_probability[:, parts[0], parts[1], parts[2]]
        near = (
            sum(
                (axis[part] - p).pow(2).view([-1 if a == place else 1 for a in range(3)])
                for place, (axis, part, p) in enumerate(zip(axes, parts, point))
            )
            <= reach**2
        )
        rows.append(torch.logsumexp(local[:, near], dim=1) if near.any() else local.flatten(1).amax(1))
    return torch.stack(rows) if rows else log_probability.new_zeros((0, len(log_probability)))


@torch.inference_mode()
def run_network(
    network: DetectionNetwork,
    grid: Volume,
    volume: Volume,
    device: str,
    report: Reporter,
    span: tuple[float, float] = (0.0, 1.0),
    p: DetectionParameters = SHIPPED.detection,
) -> Evidence:
    """One pass of the network over the whole working grid; see :func:`detection.evidence_from`.

    Args:
        span: the part of the progress, 0..1, that this pass fills.
        p: the chosen numbers.
    """
    image = torch.from_numpy(np.ascontiguousarray(grid.array))
    pads = [(-size) % STRIDE + (STRIDE if (-size) % STRIDE < AIR_MARGIN else 0) for size in image.shape]
    image = functional.pad(image, (0, pads[2], 0, pads[1], 0, pads[0]), value=AIR_HU)
    # oneDNN convolves fastest with the channels last in memory
    network = network.to(device, memory_format=torch.channels_last_3d if device == "cpu" else torch.contiguous_format)
    hooks = _report_layers(network, report, span)
    try:
        prediction: Prediction = network(window(image.to(device))[None, None])
    finally:
        for hook in hooks:
            hook.remove()
    # The padding may not hold candidates or heat.
    prediction.center[:, grid.array.shape[0] :] = NO_CENTER
    prediction.center[:, :, grid.array.shape[1] :] = NO_CENTER
    prediction.center[:, :, :, grid.array.shape[2] :] = NO_CENTER
    return evidence_from(prediction, network.temperature, grid, volume, p)


_SHARES = {
    **{"stem": 0.08, "e1": 0.14, "e2": 0.1, "e3": 0.03, "e4": 0.02},
    **{"u3": 0.05, "u2": 0.13, "u1": 0.25, "fine_fuse": 0.2},
}
"""Share of each block in the time of a pass, measured on two cores."""


def _report_layers(network: DetectionNetwork, report: Reporter, span: tuple[float, float]) -> list:
    """Report (and allow to cancel) before each of the network's blocks, weighted by the time each takes."""
    done, hooks = span[0], []

    def before(module, inputs, fraction: float) -> None:
        report(fraction, "finding vertebrae")

    for name, part in _SHARES.items():
        hooks.append(getattr(network, name).register_forward_pre_hook(lambda m, i, f=done: before(m, i, f)))
        done += (span[1] - span[0]) * part
    return hooks
