"""Name the candidates a second time, by counting along the straightened spine; see :mod:`.counting_network`.

The first network finds the bodies and a first chain. Through that chain the spine is straightened, the counting
network names every row of it, and each candidate's level costs become a weighted mean of both networks'. A body that
the counting network sees where there is no candidate becomes one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional

from .anatomy import LEVELS
from .candidates import MAX_COST
from .chain import solve
from .counting_network import STRIDE, CountingNet
from .errors import NoSpineError
from .grid_crop import crop_around
from .labels import Evidence
from .network import window
from .straightened import STEP_MM, Sections, sections_through, straighten
from .volume import AIR_HU, Volume, ijk_to_ras, ras_to_ijk, to_canonical, to_working_grid

GRID_MM = 2.0
MARGIN_MM = 100.0  # of the box around the candidates: wider than the sections, at any tilt
WEIGHT = 0.5  # of the counting network's costs in the mean
FARTHEST_MM = 25.0  # candidates farther from the curve are no part of the straightened spine
NEW_MM, NEW_PROBABILITY = 8.0, 0.5  # a body becomes a candidate where none is this near, and it is this likely
_MULTIPLE = 8  # sections are padded with air to a multiple of this


@dataclass(frozen=True)
class Count:
    """What the counting network says along one spine; R rows of :data:`STRIDE` sections.

    Attributes:
        level: (R, 27) log-probability of the level that each row shows (last: no vertebra).
        center: (R,) probability of a body centre.
        ras: (R, 3) where the curve passes, world RAS mm.
        row: (N,) fractional row at which each candidate lies.
        apart: (N,) distance of each candidate from the curve, mm.
    """

    level: np.ndarray
    center: np.ndarray
    ras: np.ndarray
    row: np.ndarray
    apart: np.ndarray


def recount(evidence: Evidence, volume: Volume, network: CountingNet, device: str = "cpu") -> Evidence:
    """Evidence of both networks.

    Args:
        evidence: of the first network.
        volume: the scan, HU.
        network: the counting network, in evaluation mode.

    Returns:
        The evidence as it is where the first network's chain has fewer than two vertebrae.
    """
    count = count_along(evidence, volume, network, device)
    return evidence if count is None else with_count(evidence, count)


def count_along(evidence: Evidence, volume: Volume, network: CountingNet, device: str = "cpu") -> Count | None:
    """Straighten the spine along the first network's chain and run the counting network on it."""
    try:
        chain = np.array([point.ras for point in solve(evidence).points])
    except NoSpineError:
        return None
    if len(chain) < 2:
        return None
    box = crop_around(to_canonical(volume), evidence.points, MARGIN_MM)
    grid = to_working_grid(box, GRID_MM)
    sections = sections_through(_to_mm(grid, chain))
    level, center = count_rows(network, grid, sections, device)
    mm = _to_mm(grid, evidence.points)
    at = (np.arange(len(level)) + 0.5) * STRIDE - 0.5
    curve = np.stack([np.interp(at, np.arange(len(sections)), axis) for axis in sections.center.T], axis=1)
    apart = np.linalg.norm(mm[:, None] - sections.center[None], axis=2).min(axis=1)
    row = (sections.rows_of(mm) + 0.5) / STRIDE - 0.5
    return Count(level, center, ijk_to_ras(grid, curve[:, ::-1] / GRID_MM), row, apart)


@torch.inference_mode()
def count_rows(
    network: CountingNet, grid: Volume, sections: Sections, device: str = "cpu"
) -> tuple[np.ndarray, np.ndarray]:
    """Run the network on a straightened spine and its mirror image.

    Returns:
        (R, 27) log-probability of the level, and (R,) probability of a body centre.
    """
    image = straighten(torch.from_numpy(np.ascontiguousarray(grid.array)).to(device), grid.spacing[::-1], sections)
    image = functional.pad(image, (0, 0, 0, 0, 0, -len(image) % _MULTIPLE), value=AIR_HU)
    both = window(torch.stack([image, image.flip(2)]))[:, None]
    counted = network.to(device)(both)
    level = functional.log_softmax(counted.level, dim=2).mean(0)
    rows = -(-len(sections) // STRIDE)
    return level[:rows].double().cpu().numpy(), counted.center.mean(0).sigmoid()[:rows].double().cpu().numpy()


def with_count(evidence: Evidence, count: Count, weight: float = WEIGHT, new: float = NEW_PROBABILITY) -> Evidence:
    """Mix a count into the evidence that it was made from."""
    modes = center_modes(count.center, new)
    near = np.abs(modes[:, None] - count.row[None]) * STRIDE * STEP_MM
    near[:, count.apart > FARTHEST_MM] = np.inf
    added = modes[near.min(axis=1) >= NEW_MM] if near.size else modes
    rows = np.concatenate([count.row, added])
    places = np.stack([np.interp(added, np.arange(len(count.ras)), axis) for axis in count.ras.T], axis=1)
    counted = level_costs(count.level, rows)
    far = np.append(count.apart, np.zeros(len(added))) > FARTHEST_MM
    counted[far] = counted[far].mean(axis=1, keepdims=True)
    first = np.concatenate([evidence.unary, counted[len(count.row) :]])
    return replace(
        evidence,
        points=np.concatenate([evidence.points, places]),
        unary=(1 - weight) * first + weight * counted,
        detection=np.append(evidence.detection, np.interp(added, np.arange(len(count.center)), count.center)),
    )


def level_costs(level: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(N, 26) negative log-likelihood of each level at fractional rows; (R, 27) log-probabilities."""
    at = np.clip(rows, 0, len(level) - 1)
    low = np.minimum(at.astype(int), len(level) - 2)
    share = (at - low)[:, None]
    named = ((1 - share) * level[low] + share * level[low + 1])[:, : len(LEVELS)]
    named = named - np.logaddexp.reduce(named, axis=1, keepdims=True)
    return np.clip(-named, 0, MAX_COST)


def center_modes(center: np.ndarray, least: float) -> np.ndarray:
    """(M,) fractional rows of the maxima of the body-centre probability, each the vertex of a parabola."""
    padded = np.pad(center, 1, constant_values=0)
    before, here, after = padded[:-2], padded[1:-1], padded[2:]
    rows = np.flatnonzero((here >= before) & (here > after) & (here >= least))
    bend = before[rows] - 2 * here[rows] + after[rows]
    return rows + np.clip(0.5 * (before[rows] - after[rows]) / np.where(bend == 0, -1, bend), -0.5, 0.5)


def _to_mm(grid: Volume, ras: np.ndarray) -> np.ndarray:
    """World RAS to (z, y, x) mm in the grid."""
    return ras_to_ijk(grid, ras)[:, ::-1] * GRID_MM
