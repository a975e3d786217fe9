"""Random crops: affine and elastic deformation, random field of view, slice thickness; the truth moves along."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from VertebraLabelingLib.core.volume import AIR_HU
from VertebraLabelingLib.networks.detection_network import GRID_MM

from ..data.cases import Case


@dataclass(frozen=True)
class CropSettings:
    """How strongly geometry varies. Angles in degrees (standard deviations), lengths in mm."""

    rotation: float = 7.0
    zoom: float = 0.11  # sd of the logarithm of the isotropic zoom, limited to 0.78..1.28
    stretch: float = 0.04  # sd of the logarithm of each axis' own zoom
    height: float = 0.12  # the same for z alone: vertebrae are 20 to 28 mm high in chests of one width
    elastic: float = 4.0  # sd of the displacement at control points about 80 mm apart
    center_jitter: float = 25.0  # sd of the in-plane distance of the crop from the spine
    anywhere: float = 0.1  # share of crops placed anywhere in the body
    cut_field: float = 0.4  # share of crops whose field of view is cut in z, down to three vertebrae
    narrow_field: float = 0.15  # share of crops with a narrow in-plane field of view
    thick_slices: float = 0.35  # share of crops with simulated slices of up to 7 mm


@dataclass
class Crop:
    """An augmented piece of a case on the working grid.

    Attributes:
        image: (D, H, W) HU.
        points: (N, 3) body centers (z, y, x), fractional voxel indices of ``image``; all truth points of the case.
        levels: (N,) level indices.
        margin: (N,) distance in mm from the point to the nearest face of the field of view, negative outside;
            minus 1000 for vertebrae that the scan itself cuts.
    """

    image: Tensor
    points: Tensor
    levels: Tensor
    margin: Tensor


def random_crop(case: Case, shape: tuple[int, int, int], rng: np.random.Generator, settings: CropSettings) -> Crop:
    """Draw a crop of ``shape`` (z, y, x) voxels of the 4 mm grid from a case."""
    matrix = _random_matrix(rng, settings).to(case.image.device)
    control = torch.from_numpy(rng.normal(0, settings.elastic, (1, 3, 5, 3, 3)).astype(np.float32)).to(
        case.image.device
    )
    center = _random_center(case, shape, rng, settings)
    image = _sample(case, shape, center, matrix, control)
    points = _points_in_crop(case, shape, center, matrix, control)
    margin = _margin(points, torch.zeros(3), torch.tensor(shape, dtype=torch.float32))
    if rng.random() < settings.thick_slices:
        image = _thick_slices(image, rng.uniform(4.0, 7.0))
    if rng.random() < settings.cut_field:
        image, margin = _cut_field(image, points, margin, rng)
    if rng.random() < settings.narrow_field:
        image = _narrow_field(image, points, margin, rng)
    margin = torch.where(case.cut, torch.full_like(margin, -1000.0), margin)
    return Crop(image, points, case.levels, margin)


def _random_matrix(rng: np.random.Generator, settings: CropSettings) -> Tensor:
    """(3, 3) map from crop mm to scan mm: rotation, zoom, stretch, left-right flip (the spine is symmetric)."""
    rz, ry, rx = np.radians(rng.normal(0, settings.rotation, 3))
    about_x = np.array([[np.cos(rx), -np.sin(rx), 0], [np.sin(rx), np.cos(rx), 0], [0, 0, 1]])
    about_y = np.array([[np.cos(ry), 0, -np.sin(ry)], [0, 1, 0], [np.sin(ry), 0, np.cos(ry)]])
    about_z = np.array([[1, 0, 0], [0, np.cos(rz), -np.sin(rz)], [0, np.sin(rz), np.cos(rz)]])
    zoom = np.clip(rng.normal(0, settings.zoom), -0.25, 0.25) + rng.normal(0, settings.stretch, 3)
    zoom[0] += np.clip(rng.normal(0, settings.height), -0.25, 0.25)
    flip = np.array([1, 1, -1 if rng.random() < 0.5 else 1])
    return torch.from_numpy((about_z @ about_y @ about_x @ np.diag(np.exp(zoom) * flip)).astype(np.float32))


def _random_center(case: Case, shape: tuple[int, int, int], rng: np.random.Generator, settings: CropSettings) -> Tensor:
    """Crop center (z, y, x), mm in the scan: along the spine, so that at least a few vertebrae are inside."""
    size = (torch.tensor(case.image.shape, device=case.spacing.device) - 1) * case.spacing
    if rng.random() < settings.anywhere:
        return torch.from_numpy(rng.uniform(0, 1, 3).astype(np.float32)).to(size.device) * size
    landmark = case.points[int(rng.integers(len(case.points)))]
    reach = 0.35 * shape[0] * GRID_MM
    z = landmark[0] + rng.uniform(-reach, reach)
    near = case.points[(case.points[:, 0] - z).abs().argmin()]
    shift = torch.from_numpy(rng.normal(0, settings.center_jitter, 2).astype(np.float32)).to(size.device)
    return torch.cat([z.view(1), near[1:] + shift])


def _displacement(control: Tensor, unit: Tensor) -> Tensor:
    """Elastic displacement (mm) at crop positions ``unit`` (..., 3) as (z, y, x) in [-1, 1]."""
    grid = unit.flip(-1).view(1, -1, 1, 1, 3)
    field = functional.grid_sample(control, grid, mode="bilinear", padding_mode="border", align_corners=True)
    return field[0, :, :, 0, 0].T.view(*unit.shape)


def _sample(case: Case, shape: tuple[int, int, int], center: Tensor, matrix: Tensor, control: Tensor) -> Tensor:
    """Resample the case, averaging 2 samples along each axis whose voxels are finer than 3 mm (a 4 mm block mean)."""
    device = case.image.device
    fine = [2 if s < 3.0 else 1 for s in case.spacing.tolist()]
    counts = [n * f for n, f in zip(shape, fine)]
    axes = [(torch.arange(n, device=device, dtype=torch.float32) + 0.5) / n * 2 - 1 for n in counts]
    half = torch.tensor(shape, device=device) * GRID_MM / 2
    coarse_axes = [torch.linspace(-1, 1, max(2, n // 8), device=device) for n in counts]
    lattice = torch.stack(torch.meshgrid(*coarse_axes, indexing="ij"), dim=-1)
    # the map is smooth: evaluate it on a lattice and interpolate, instead of at every sample
    offsets = (lattice * half) @ matrix.T + _displacement(control, lattice)
    size = (torch.tensor(case.image.shape, device=device) - 1) * case.spacing
    target = ((center + offsets) / size * 2 - 1).permute(3, 0, 1, 2)[None]
    query = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flip(-1)[None]
    grid = functional.grid_sample(target, query, mode="bilinear", padding_mode="border", align_corners=True)
    grid = grid.permute(0, 2, 3, 4, 1).flip(-1)
    # read only the part of the scan that the crop touches
    low, high = grid.amin((0, 1, 2, 3)).flip(0), grid.amax((0, 1, 2, 3)).flip(0)
    extent = torch.tensor(case.image.shape, device=device)
    first = ((low + 1) / 2 * (extent - 1)).floor().long().clamp(min=0).minimum(extent - 2)
    last = (((high + 1) / 2 * (extent - 1)).ceil().long() + 1).maximum(first + 2).minimum(extent)
    part = case.image[first[0] : last[0], first[1] : last[1], first[2] : last[2]].float()
    index = (grid.flip(-1) + 1) / 2 * (extent - 1) - first
    local = (index / (last - first - 1) * 2 - 1).flip(-1)
    sampled = functional.grid_sample(
        (part - AIR_HU)[None, None], local, mode="bilinear", padding_mode="zeros", align_corners=True
    )
    return functional.avg_pool3d(sampled, tuple(fine))[0, 0] + AIR_HU


def _points_in_crop(case: Case, shape: tuple[int, int, int], center: Tensor, matrix: Tensor, control: Tensor) -> Tensor:
    """The truth in voxel indices of the crop: inverse of the sampling map by fixed-point iteration."""
    half = torch.tensor(shape, device=case.points.device) * GRID_MM / 2
    inverse = torch.linalg.inv(matrix)
    relative = case.points - center
    position = relative @ inverse.T
    for _ in range(8):
        position = (relative - _displacement(control, (position / half).clamp(-1, 1))) @ inverse.T
    return (position + half) / GRID_MM - 0.5


def _margin(points: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Distance (mm) of points to the faces of the box [low, high) in voxels; negative outside."""
    low, high = low.to(points.device), high.to(points.device)
    return torch.minimum(points + 0.5 - low, high - 0.5 - points).amin(1) * GRID_MM


def _thick_slices(image: Tensor, thickness: float) -> Tensor:
    """Average to slices of ``thickness`` mm and interpolate back, as a thick-slice scan would come in."""
    d, h, w = image.shape
    slices = max(4, round(d * GRID_MM / thickness))
    thick = functional.interpolate(image[None, None], (slices, h, w), mode="area")
    return functional.interpolate(thick, (d, h, w), mode="trilinear")[0, 0]


def _cut_field(image: Tensor, points: Tensor, margin: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Blank everything above and below a random run of at least three visible vertebrae."""
    inside = torch.sort(points[margin > 0, 0]).values
    if len(inside) < 3:
        return image, margin
    count = int(rng.integers(3, len(inside) + 1))
    start = int(rng.integers(0, len(inside) - count + 1))
    low = max(0, int((inside[start] + 0.5 - rng.uniform(0, 6)).floor()))
    high = min(image.shape[0], int((inside[start + count - 1] + 0.5 + rng.uniform(0, 6)).ceil()))
    image = image.clone()
    image[:low], image[high:] = AIR_HU, AIR_HU
    along = torch.minimum(points[:, 0] + 0.5 - low, high - 0.5 - points[:, 0]) * GRID_MM
    return image, torch.minimum(margin, along)


def _narrow_field(image: Tensor, points: Tensor, margin: Tensor, rng: np.random.Generator) -> Tensor:
    """Blank the outside of a cylinder around the spine, as in a reconstruction zoomed to the spine."""
    inside = points[margin > 0]
    if len(inside) == 0:
        return image
    radius = rng.uniform(45, 90) / GRID_MM
    cy, cx = (inside[:, 1:].mean(0) + torch.from_numpy(rng.normal(0, 2.5, 2)).to(points.device)).tolist()
    y = torch.arange(image.shape[1], device=image.device)[:, None] - cy
    x = torch.arange(image.shape[2], device=image.device)[None] - cx
    keep = (y.abs() < radius) & (x.abs() < radius) if rng.random() < 0.5 else y**2 + x**2 < radius**2
    return torch.where(keep[None], image, torch.full_like(image, AIR_HU))
