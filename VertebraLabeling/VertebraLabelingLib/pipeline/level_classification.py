"""Name the candidates a second time, by reading levels along the straightened spine; see :mod:`.level_network`.

The detection network finds the bodies and a first chain. Through that chain the spine is straightened, and the level
network names every row of it. The mean row of a level (integral regression along the curve) tells where its center is:
where no candidate is near, one is added. Each candidate's level costs become a weighted mean of both networks', at the
row where it lies once it has been placed (:mod:`.centroid_refinement`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..core.anatomy import LEVEL_INDEX, LEVELS
from ..core.evidence import MAX_COST, Evidence
from ..core.parameters import SHIPPED, ChainParameters, LevelParameters
from ..core.volume import AIR_HU, Volume, ijk_to_ras, ras_to_ijk
from ..networks.layers import window
from ..networks.level_network import MULTIPLE, NO_RIB, SHORT_RIB, STRIDE, LevelNetwork
from ..preprocessing.prepared_scan import PreparedScan
from ..preprocessing.resampling import block_factors, grid_axes, metal_free_block_mean, to_working_grid
from ..preprocessing.straightening import STEP_MM, Sections, along, rows_on, sections_through, straighten
from ..solver.chain import cheapest_chain
from ..solver.landmark_costs import RIB

GRID_MM = 2.0  # half a cell of the sections: finer detail is averaged away there
MARGIN_MM = 100.0  # of the box around the candidates: wider than the sections, at any tilt
CENTERED = LEVEL_INDEX["T1"]  # levels above: farther down the borders between levels drift when the network is unsure
TISSUE_HU = -500.0  # half-way from air to water
ROW_MM = STRIDE * STEP_MM
_SPINE = (slice(4, 11), slice(12, 20))  # cells 12 mm in front of the curve to 16 mm behind it, 16 mm to either side


@dataclass(frozen=True)
class RowLevels:
    """What the level network says along one spine; R rows of :data:`STRIDE` sections.

    Attributes:
        level: (R, 27) log-probability of the level that each row shows (last: no vertebra).
        landmarks: (R, 4) log-odds of :data:`.evidence.LANDMARK_SIGNS` at each row, from its surroundings alone.
        ras: (R, 3) where the curve passes, world RAS mm.
        last: fractional row at which the field of view ends below the chain; infinite where it does not.
        gap: distance of the last two vertebrae of the chain above its last one, rows.
    """

    level: np.ndarray
    landmarks: np.ndarray
    ras: np.ndarray
    last: float = np.inf
    gap: float = 0.0

    def rows_of(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N,) fractional row at which each of (N, 3) points lies, and (N,) its distance from the curve, mm."""
        way = np.gradient(self.ras, axis=0)
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        return rows_on(self.ras, way, points, ROW_MM)


def classify_along(
    evidence: Evidence,
    scan: PreparedScan,
    network: LevelNetwork,
    device: str = "cpu",
    chain_parameters: ChainParameters = SHIPPED.chain,
) -> RowLevels | None:
    """Straighten the spine along the detection network's chain and run the level network on it.

    Args:
        evidence: of the detection network.
        scan: the prepared scan.
        network: the level network, in evaluation mode.
        chain_parameters: weights of the solver.

    Returns:
        ``None`` where the detection network's chain has fewer than two vertebrae.
    """
    chain = cheapest_chain(evidence, chain_parameters).points
    if len(chain) < 2:
        return None
    grid, sections, image = straighten_along(scan, chain, evidence.points, device)
    level, landmarks = classify_rows(network.to(device), image)
    at = (np.arange(len(level)) + 0.5) * STRIDE - 0.5
    curve = along(sections.center, np.arange(len(sections)), at)
    own = _to_row(sections, to_mm(grid, chain))
    gap = own[-2] - own[-3] if len(own) > 2 else own[-1] - own[-2]
    last = _lower_end(image, own[-1])
    return RowLevels(level, landmarks, ijk_to_ras(grid, curve[:, ::-1] / grid.spacing), last, float(gap))


def straighten_along(
    scan: PreparedScan, chain: np.ndarray, candidates: np.ndarray, device: str = "cpu"
) -> tuple[Volume, Sections, Tensor]:
    """Straighten the spine of a scan along a chain of bodies.

    Args:
        scan: the prepared scan.
        chain: (M, 3) bodies from head to foot, M >= 2, world RAS mm.
        candidates: (N, 3) all that are to lie within the grid.

    Returns:
        the grid around the candidates (its spacing is the scan's own), the sections in its mm (:func:`to_mm`), and
        the straightened spine.
    """
    grid = _grid_around(scan, candidates)
    sections = sections_through(to_mm(grid, chain))
    image = torch.from_numpy(np.ascontiguousarray(grid.array)).to(device)
    return grid, sections, straighten(image, grid.spacing[::-1], sections)


def _grid_around(scan: PreparedScan, candidates: np.ndarray) -> Volume:
    """The scan around the candidates, its voxels averaged to 2 mm where they are finer; larger ones stay as they are.

    Only a scan that lies askew is laid on a grid of its own, of 2 mm, before the sections are sampled.
    """
    part = scan.box(candidates, MARGIN_MM)
    if np.allclose(grid_axes(part), part.ijk_to_ras[:3, :3] / part.spacing):
        return metal_free_block_mean(part, block_factors(part, GRID_MM))
    return to_working_grid(part, GRID_MM)


@torch.inference_mode()
def classify_rows(network: LevelNetwork, image: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """What a straightened spine (S, A, R) shows at each of R rows: the mean of it and its mirror image.

    Returns:
        (R, 27) log-probability of the level, and (R, 4) log-odds of :data:`.evidence.LANDMARK_SIGNS`.
    """
    rows = -(-len(image) // STRIDE)
    image = functional.pad(image, (0, 0, 0, 0, 0, -len(image) % MULTIPLE), value=AIR_HU)
    read = network(window(torch.stack([image, image.flip(2)]))[:, None])
    level = functional.log_softmax(read.level, dim=2).mean(0)[:rows]
    bears = torch.logsumexp(read.rib[..., SHORT_RIB:], dim=3) - read.rib[..., NO_RIB]
    signs = [*read.landmark.mean(0).unbind(1), bears.mean(dim=(0, 2))]
    c2, first_rib, last, rib = (sign[:rows].double().cpu().numpy() for sign in signs)
    return level.double().cpu().numpy(), np.stack([c2, first_rib, rib, last], axis=1)


def with_level_bodies(evidence: Evidence, rows: RowLevels, p: LevelParameters = SHIPPED.levels) -> Evidence:
    """Evidence with a candidate at the mean row of each level where none is near."""
    row, apart = rows.rows_of(evidence.points)
    known = np.where(apart > p.farthest_mm, np.inf, row)
    centers = level_centers(rows.level, p)
    added = np.array([row for row in centers[np.isfinite(centers)] if (abs(known - row) * ROW_MM >= p.new_mm).all()])
    places = along(rows.ras, np.arange(len(rows.ras)), added)
    return evidence.with_candidates(places, level_costs(rows.level, added), np.full(len(added), p.new_detection))


def named_by_rows(evidence: Evidence, rows: RowLevels, p: LevelParameters = SHIPPED.levels) -> Evidence:
    """Mix the level costs of the rows, at the places of the candidates, into theirs.

    Candidates on the curve nearer to a lower end of the field of view than ``end_room`` are left out: of a body
    that is cut in its middle, the middle of the visible part would be taken for its center.
    """
    row, apart = rows.rows_of(evidence.points)
    read = (level_costs(rows.level, row) + off_center_costs(level_centers(rows.level, p), row, p)) / p.temperature
    far = apart > p.farthest_mm
    read[far] = read[far].mean(axis=1, keepdims=True)
    keep = far | (row <= rows.last - p.end_room * rows.gap)
    unary = ((1 - p.weight) * evidence.unary + p.weight * read).clip(0, MAX_COST)
    landmarks = between(rows.landmarks, row)
    landmarks[landmarks.any(axis=1), RIB] += p.rib_prior  # a model without heads for landmarks says nothing of ribs
    landmarks[far] = 0.0
    return replace(evidence, unary=unary, landmarks=landmarks).kept(keep)


def level_centers(level: np.ndarray, p: LevelParameters = SHIPPED.levels) -> np.ndarray:
    """(26,) mean row of each level; NaN where it is not in view, or not told from its neighbors.

    Args:
        level: (R, 27) log-probabilities.
    """
    share = np.exp(level[:, : len(LEVELS)])
    row, mass = np.arange(len(level))[:, None], share.sum(axis=0)
    mean = (share * row).sum(axis=0) / np.maximum(mass, 1e-6)
    sd = np.sqrt((share * (row - mean) ** 2).sum(axis=0) / np.maximum(mass, 1e-6))
    clear = (mass >= p.fewest_rows) & (sd <= p.compact * mass) & (np.arange(len(LEVELS)) < CENTERED)
    return np.where(clear, mean, np.nan)


def off_center_costs(centers: np.ndarray, rows: np.ndarray, p: LevelParameters = SHIPPED.levels) -> np.ndarray:
    """(N, 26) cost of lying at ``rows`` (N,) away from the mean row of a level; 0 for levels without one."""
    away = (rows[:, None] - centers[None]) * ROW_MM / p.center_sd_mm
    return np.where(np.isnan(away), 0.0, np.minimum(0.5 * away**2, p.off_center_cost))


def level_costs(level: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(N, 26) negative log-likelihood of each level at fractional rows; (R, 27) log-probabilities."""
    named = between(level, rows)[:, : len(LEVELS)]
    named = named - np.logaddexp.reduce(named, axis=1, keepdims=True)
    return np.clip(-named, 0, MAX_COST)


def between(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(N, C) values (R, C) of rows at fractional ones, limited to the ends."""
    at = np.clip(rows, 0, len(values) - 1)
    low = np.clip(at.astype(int), 0, max(len(values) - 2, 0))
    share = (at - low)[:, None]
    return (1 - share) * values[low] + share * values[np.minimum(low + 1, len(values) - 1)]


def _lower_end(image: Tensor, below: float) -> float:
    """The row below ``below`` at which nothing but air is left of the spine; infinite where there is none."""
    middle = image[:, _SPINE[0], _SPINE[1]] > TISSUE_HU
    empty = middle.flatten(1).float().mean(1).cpu().numpy() < 0.5
    sections = np.flatnonzero(empty & (np.arange(len(empty)) > below * STRIDE))
    return float(sections[0]) / STRIDE - 0.5 if len(sections) else np.inf


def _to_row(sections: Sections, mm: np.ndarray) -> np.ndarray:
    """Fractional rows at which points (N, 3), mm, lie."""
    return (sections.rows_of(mm) + 0.5) / STRIDE - 0.5


def to_mm(grid: Volume, ras: np.ndarray) -> np.ndarray:
    """World RAS to (z, y, x) mm in the grid."""
    return (ras_to_ijk(grid, ras) * grid.spacing)[:, ::-1]
