"""Held-out scans whose twelfth ribs are made rudimentary: stubs are left, the rest becomes soft tissue.

Other than in the straightened pieces that training draws, ribs are followed in the scan itself, at its own resolution.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from VertebraLabelingLib.core.volume import Volume, apply_affine
from VertebraLabelingLib.formats.mrk_json import MarkupPoint

STUB_MM = 38.0  # from the middle: about 2 cm of rib, as long as a transverse process of L1
RIB_HU = 150.0
SEED_MM = 30.0  # from the middle, where the neck of the rib is
LEAST_MM3, MOST_MM3 = 200.0, 16000.0  # of one rib beyond the stub; more is fused with another one
REACH_MM = 150.0  # to the side and to the back
GROWN_MM = 2.0  # partial volume around bone
_TISSUE_HU = (-150.0, 130.0)
SMOOTH_MM = 1.5  # noise of a low dose is no bone


def with_rudimentary_ribs(volume: Volume, truth: Sequence[MarkupPoint], seed: int = 0) -> Volume | None:
    """The scan with stubs of the ribs of T12.

    Args:
        volume: a CT, canonical.
        truth: its vertebrae; T11, T12 and L1 must be whole.
        seed: of the noise of the tissue that takes the place of bone.

    Returns:
        ``None`` where they are not, no rib is longer than that, or one cannot be told from its neighbor.
    """
    at = {point.level: np.array(point.ras) for point in truth if not point.cut}
    if not {"T11", "T12", "L1"} <= set(at):
        return None
    up, down = at["T11"][2] - at["T12"][2], at["T12"][2] - at["L1"][2]
    z, y, x = _axes(volume)
    beside = np.abs(x - at["T12"][0])
    rows = (z < at["T12"][2] + 0.6 * up) & (z > at["T12"][2] - 3.0 * down)
    lines = np.abs(y - at["T12"][1]) < REACH_MM
    columns = beside < REACH_MM
    box = np.ix_(np.flatnonzero(rows), np.flatnonzero(lines), np.flatnonzero(columns))
    part = np.asarray(volume.array)[box].astype(np.float32)
    z, y, x, beside = z[rows][:, None, None], y[lines][:, None], x[columns], beside[columns]
    neck = (np.abs(z - at["T12"][2]) < 0.4 * np.where(z > at["T12"][2], up, down)) & (y < at["T12"][1])
    hidden, bone = np.zeros(part.shape, dtype=bool), _smoothed(part, volume.spacing) > RIB_HU
    for side in (x < at["T12"][0], x > at["T12"][0]):
        ribs = sitk.GetImageFromArray((bone & side & (beside > SEED_MM - 6.0)).astype(np.uint8))
        names = sitk.GetArrayFromImage(sitk.ConnectedComponent(ribs))
        seeds = np.unique(names[neck & side & (beside < SEED_MM + 6.0)])
        found = np.isin(names, seeds[seeds > 0]) & (beside > STUB_MM)
        if not LEAST_MM3 < found.sum() * np.prod(volume.spacing) < MOST_MM3:
            return None
        hidden |= found
    array = np.array(volume.array)
    array[box] = _as_tissue(part, hidden, beside, volume.spacing, np.random.default_rng(seed))
    return Volume(array, volume.ijk_to_ras)


def _axes(volume: Volume) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """World z, y and x (mm) of the slices, lines and columns of a canonical volume."""
    k, j, i = np.asarray(volume.array).shape
    middle = np.array([i, j, k]) / 2
    places = []
    for axis, count in ((2, k), (1, j), (0, i)):
        index = np.tile(middle, (count, 1))
        index[:, axis] = np.arange(count)
        places.append(apply_affine(volume.ijk_to_ras, index)[:, axis])
    return tuple(places)


def _as_tissue(
    part: np.ndarray, hidden: np.ndarray, beside: np.ndarray, spacing: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The part with soft tissue like that around it in the place of what is hidden."""
    radius = [max(1, round(GROWN_MM / mm)) for mm in spacing]
    grown = sitk.BinaryDilate(sitk.GetImageFromArray(hidden.astype(np.uint8)), radius)
    hidden = (sitk.GetArrayFromImage(grown) > 0) & (beside > STUB_MM)
    around = sitk.GetArrayFromImage(sitk.BinaryDilate(grown, [2 * cells for cells in radius])) > 0
    tissue = part[around & ~hidden & (part > _TISSUE_HU[0]) & (part < _TISSUE_HU[1])]
    filled = np.where(hidden, rng.choice(tissue, part.shape).astype(np.float32), part)
    return np.where(hidden, _smoothed(filled, spacing), part)


def _smoothed(part: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    image = sitk.GetImageFromArray(part)
    image.SetSpacing([float(mm) for mm in spacing])
    return sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(image, [SMOOTH_MM] * 3))
