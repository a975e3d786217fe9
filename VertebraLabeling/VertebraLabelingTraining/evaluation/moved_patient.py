"""A patient who was scanned again: a real CT with the spine bent and moved by a known way, and shown as an MR.

Every vertebra moves rigidly, the discs give way. What is around follows the vertebra next to it. An MR made of a CT
has the contrast of tissues by their HU, a bias field and noise; it lacks what only an MR shows (marrow, cord, chemical
shift), so its scores are those of simulated MR.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.core.straight_spine import straight_spine
from VertebraLabelingLib.core.volume import AIR_HU, Volume, apply_affine, ras_to_ijk
from VertebraLabelingLib.review.curved_planar_reformation import sample

RIGID_SHARE = 0.38  # of the way to the next body, to either side, that moves as one; the disc takes the rest
_STEP = 8  # of the curve's places that are looked at for the nearest one

CONTRASTS = {
    "CT": None,
    "T1": (
        [-1000, -400, -120, -60, 20, 80, 150, 300, 600, 1200],
        [0, 0.02, 0.95, 0.85, 0.35, 0.4, 0.55, 0.6, 0.25, 0.05],
    ),
    "T2": (
        [-1000, -400, -120, -60, 0, 30, 80, 150, 300, 600, 1200],
        [0, 0.02, 0.8, 0.7, 0.95, 0.5, 0.25, 0.35, 0.45, 0.15, 0.02],
    ),
    "STIR": (
        [-1000, -400, -120, -60, 0, 30, 80, 150, 300, 600, 1200],
        [0, 0.02, 0.1, 0.15, 0.9, 0.6, 0.4, 0.3, 0.2, 0.1, 0.02],
    ),
    "inverted": ([-1000, 1500], [1, 0]),
}
"""Signal 0..1 of tissues by their HU, as (HU, signal) of a line in pieces; ``None`` for the CT as it is."""


@dataclass(frozen=True)
class Pose:
    """How the patient lies the second time.

    Attributes:
        turn_deg: (3,) about right, anterior and superior.
        shift_mm: (3,).
        bend_deg: (2,) from the first to the last vertebra: forward (kyphosis), and to the side.
    """

    turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    bend_deg: tuple[float, float] = (0.0, 0.0)


def rotation(turn_deg) -> np.ndarray:
    """(3, 3) by angles about x, y and z, in that order."""
    a, b, c = np.radians(turn_deg)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def moved_vertebrae(points: np.ndarray, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) places of (N, 3) bodies in the new pose, and (N, 3, 3) how each has turned."""
    part = np.linspace(-0.5, 0.5, len(points))
    whole = rotation(pose.turn_deg)
    turns = np.array([whole @ rotation((pose.bend_deg[0] * p, pose.bend_deg[1] * p, 0.0)) for p in part])
    places = [np.zeros(3)]
    for row, step in enumerate(np.diff(points, axis=0)):
        left, _, right = np.linalg.svd(turns[row] + turns[row + 1])
        places.append(places[-1] + left @ right @ step)
    places = np.array(places)
    return places - places.mean(axis=0) + points.mean(axis=0) + pose.shift_mm, turns


def scanned_again(volume: Volume, labels: SpineLabels, pose: Pose, voxel_mm: float = 3.0) -> tuple[Volume, SpineLabels]:
    """The CT (HU) as large as before but in the new pose, and where the vertebrae are then; two or more of them."""
    points = np.array([point.ras for point in labels.points])
    places, turns = moved_vertebrae(points, pose)
    truth = SpineLabels(tuple(type(p)(p.level, tuple(ras)) for p, ras in zip(labels.points, places.tolist())))
    spine = straight_spine(truth.points)
    heights = spine.to_straight(places)[:, 2]
    whole, middle = turns[len(turns) // 2], points.mean(axis=0)
    center = (volume.corners.mean(axis=0) - middle) @ whole.T + middle + pose.shift_mm
    extent = np.ptp(volume.corners, axis=0)
    size = np.ceil(extent / voxel_mm).astype(int)
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = center - (size - 1) / 2 * voxel_mm
    out = np.empty(size[::-1], dtype=np.float32)
    i, j = (each.ravel() for each in np.meshgrid(np.arange(size[0]), np.arange(size[1])))
    for k in range(size[2]):
        ras = apply_affine(affine, np.stack([i, j, np.full(i.size, k)], axis=1))
        before = _before(ras, _height(spine, ras), points, places, turns, heights)
        out[k] = np.nan_to_num(sample(volume, before), nan=AIR_HU).reshape(size[1], size[0])
    return Volume(out, affine), truth


def _before(ras, up, points, places, turns, heights) -> np.ndarray:
    """(M, 3) where places of the new pose were before."""
    row = np.clip(np.interp(-up, -heights, np.arange(len(heights))), 0, len(heights) - 1)
    low = np.minimum(row.astype(int), len(heights) - 2)
    share = np.clip((row - low - RIGID_SHARE) / (1 - 2 * RIGID_SHARE), 0, 1)[:, None]
    share = share * share * (3 - 2 * share)
    ends = (np.einsum("ncd,nc->nd", turns[at], ras - places[at]) + points[at] for at in (low, low + 1))
    return sum(weight * end for weight, end in zip((1 - share, share), ends))


def _height(spine, ras: np.ndarray) -> np.ndarray:
    center, up = spine.center[::_STEP], spine.up[::_STEP]
    away = (ras**2).sum(axis=1)[:, None] - 2 * ras @ center.T + (center**2).sum(axis=1)
    near = away.argmin(axis=1)
    heights = np.linspace(spine.lowest, spine.highest, len(spine.center))[::_STEP]
    return heights[near] + np.einsum("nc,nc->n", ras - center[near], up[near])


def as_mr(volume: Volume, contrast: str, rng: np.random.Generator, noise: float = 0.05, bias: float = 0.5) -> Volume:
    """A CT (HU) with the contrast of an MR, int16.

    Args:
        contrast: key of :data:`CONTRASTS`.
        noise: standard deviation in either channel, of the brightest tissue.
        bias: largest coefficient of the exponent of the bias field, a polynomial of second degree.
    """
    if CONTRASTS[contrast] is None:
        return volume
    signal = np.interp(volume.array, *CONTRASTS[contrast])
    k, j, i = np.meshgrid(*(np.linspace(-1, 1, size) for size in volume.array.shape), indexing="ij", sparse=True)
    terms = (k, j, i, k * k, j * j, i * i)
    signal *= np.exp(sum(factor * term for factor, term in zip(rng.uniform(-bias, bias, len(terms)), terms)))
    real, imaginary = (rng.normal(0, noise, signal.shape) for _ in range(2))
    return Volume((np.hypot(signal + real, imaginary) * 800).astype(np.int16), volume.ijk_to_ras)


def part_around(volume: Volume, places: np.ndarray, reach_mm=(38.0, 60.0, 25.0)) -> Volume:
    """A field of view around some vertebrae only, as of an MR in sagittal slices: (3,) mm right, front and up."""
    ijk = ras_to_ijk(volume, [places.min(axis=0) - reach_mm, places.max(axis=0) + reach_mm])
    low = np.maximum(np.floor(ijk.min(axis=0)).astype(int), 0)
    high = np.ceil(ijk.max(axis=0)).astype(int) + 1
    affine = volume.ijk_to_ras.copy()
    affine[:3, 3] = apply_affine(affine, [low])[0]
    (i, j, k), (i2, j2, k2) = low, high
    return Volume(volume.array[k:k2, j:j2, i:i2], affine)
