"""Place the candidates once more, each in a cube around itself; see :mod:`.centroid_network`.

What does not settle there is hardly a vertebral body: between two of them, cut by the field of view, or none.
Such a candidate stays, with little detection left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..core.evidence import Evidence
from ..core.parameters import SHIPPED, CentroidParameters
from ..core.volume import Volume, ras_to_ijk
from ..networks.centroid_network import CELL_PLACES_MM, CentroidNetwork, has_phase, voxel_phase
from ..networks.layers import window
from ..preprocessing.interpolation import sample_around
from ..preprocessing.prepared_scan import PreparedScan
from ..preprocessing.resampling import block_factors, grid_axes, metal_free_block_mean
from ..preprocessing.upsampling import divisions, finer

ROUNDS = 2  # a third moves nothing: a candidate that settles has taken its last step
MARGIN_MM = 45.0  # of the box around the candidates: half the diagonal of a cube and the way to its center
View = tuple[float, float, float, bool]  # mm (z, y, x) from the point to the middle of the cube; mirrored
ONE_VIEW: tuple[View, ...] = ((0, 0, 0, False),)
TWO_VIEWS: tuple[View, ...] = ((0, 0, 0, False), (0, 0, 0, True))  # say whether a candidate settles
ASIDE: tuple[View, ...] = ((2, 2, 2, False), (2, 2, -2, True))  # by half a cell of the heat map: its phase averages out
BATCH = 32  # cubes at most; oneDNN is slower for each with fewer than 16 or more than 50
_FINE_MM = 2.0  # the cells of the cube: finer detail is averaged away there
_MIRRORED_PHASE = torch.tensor([[1.0], [-1.0], [1.0]])  # the sine changes its sign


def place(
    evidence: Evidence,
    scan: PreparedScan,
    network: CentroidNetwork,
    device: str = "cpu",
    first: int = 0,
    p: CentroidParameters = SHIPPED.centroids,
) -> Evidence:
    """Move each candidate to where the network sees the center of its body.

    Args:
        evidence: of the detection network; points and detection change.
        scan: the prepared scan; what is darker than ``lowest_hu`` is shown as that.
        network: in evaluation mode.
        first: candidates before this one stay as they are.
        p: the chosen numbers.
    """
    before = evidence.points[first:]
    if len(before) == 0:
        return evidence
    box = scan.box(before, MARGIN_MM)
    box = metal_free_block_mean(box, block_factors(box, _FINE_MM))
    divided, box = divisions(box), finer(Volume(np.maximum(box.array, round(p.lowest_hu)), box.ijk_to_ras))
    image = torch.from_numpy(np.ascontiguousarray(box.array)).to(device)
    points = before
    for _ in range(ROUNDS - 1):
        points = points + steps(network, image, box, divided, points, ONE_VIEW)[0][0]
    ways, spreads = steps(network, image, box, divided, points, TWO_VIEWS + ASIDE)
    step, aside = ways[: len(TWO_VIEWS)].mean(axis=0), ways[len(TWO_VIEWS) :].mean(axis=0)
    spread = spreads[: len(TWO_VIEWS)].mean(axis=0)
    alike = np.linalg.norm(aside - step, axis=1) <= p.alike_mm
    points = points + np.where(alike[:, None], (step + aside) / 2, step)
    near = np.linalg.norm(points - before, axis=1) <= p.farthest_mm
    settled = near & (np.linalg.norm(step, axis=1) <= p.last_step_mm) & (spread <= p.spread_mm)
    placed = np.where(near[:, None], points, before)
    kept = np.append(np.ones(first), np.where(settled, 1.0, p.unsettled))
    return replace(
        evidence, points=np.concatenate([evidence.points[:first], placed]), detection=evidence.detection * kept
    )


@torch.inference_mode()
def steps(
    network: CentroidNetwork, image: Tensor, box: Volume, divided: np.ndarray, points: np.ndarray, views: Sequence[View]
) -> tuple[np.ndarray, np.ndarray]:
    """(V, N, 3) mm, RAS, from each point to the center, and (V, N) spread, mm, of its heat map, in each of V views.

    Args:
        box: the volume that the cubes are sampled from; ``image`` are its voxels.
        divided: (3,) into how many of them the scan's voxels were divided along I, J, K.
        views: how the cubes lie around the points, and which of them are mirrored, left for right.
    """
    axes = grid_axes(box)
    cube = torch.from_numpy(_cube(box, axes)).to(image.device)
    middles = [ras_to_ijk(box, points + axes @ np.array(shift)[::-1])[:, ::-1] for *shift, _ in views]
    centers = np.concatenate(middles)
    sampled = window(sample_around(image, torch.from_numpy(centers.astype(np.float32)).to(image.device), cube))[:, None]
    flipped = np.repeat([view[3] for view in views], len(points))
    sampled[flipped] = sampled[flipped].flip(4)
    inputs = [sampled]
    if has_phase(box.spacing * divided).any() and _lie_along(box, axes):
        phase = _phase(centers, box, divided)
        phase[flipped, -3:] = phase[flipped, -3:].flip(2) * _MIRRORED_PHASE
        inputs.append(phase.to(image.device))
    network = network.to(image.device)
    batches = -(-len(sampled) // BATCH)
    placed = [network(*batch) for batch in zip(*(of_all.tensor_split(batches) for of_all in inputs))]
    offset, spread = (
        torch.cat(of_all).double().cpu().numpy() for of_all in zip(*((p.offset, p.spread) for p in placed))
    )
    shifts = np.array([view[:3] for view in views], dtype=float)[:, None]
    signs = np.array([(1, 1, -1 if mirrored else 1) for *_, mirrored in views])[:, None]
    ways = shifts + signs * offset.reshape(len(views), -1, 3)
    return ways[..., ::-1] @ axes.T, spread.reshape(len(views), -1)


def _lie_along(box: Volume, axes: np.ndarray) -> bool:
    """Whether the cubes lie along the voxels; in very oblique or sheared scans they do not."""
    return np.allclose(box.ijk_to_ras[:3, :3], axes * box.spacing, atol=1e-3)


def _phase(centers: np.ndarray, box: Volume, divided: np.ndarray) -> Tensor:
    """The phase of the scan's voxels in cubes around (N, 3) ``centers``, in voxels (z, y, x) of the box."""
    size, divided = box.spacing[::-1], divided[::-1]
    small = centers[:, :, None] + CELL_PLACES_MM / size[:, None]
    return voxel_phase((small + 0.5) / divided[:, None] - 0.5, size * divided)


def _cube(box: Volume, axes: np.ndarray) -> np.ndarray:
    """(CELLS, CELLS, CELLS, 3) voxels (z, y, x) from the middle of a cube to its cells, float32."""
    to_voxels = np.linalg.solve(box.ijk_to_ras[:3, :3], axes)[::-1, ::-1]
    z, y, x = (to_voxels * CELL_PLACES_MM[:, None, None]).transpose(2, 0, 1)
    return (z[:, None, None] + y[None, :, None] + x[None, None, :]).astype(np.float32)
