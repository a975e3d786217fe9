"""Take the ribs of one vertebra out of a straightened spine, leave stubs of them, or give them to the next one too.

Rudimentary and missing twelfth ribs are what a last thoracic vertebra is mistaken for a lumbar one by, and lumbar ribs
the reverse. Cells of bone that hang together with the rib heads are painted with the soft tissue around them, or copied
to the next vertebra.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor
from VertebraLabelingLib.preprocessing.straightening import CELL_MM, SIDE_CELLS, STEP_MM

RIB_HU = 150.0
HEAD_MM, BODY_MM = 34.0, 18.0  # a rib's head lies as far to the side as between these
STUMP_MM = 24.0  # what is nearer to the middle is vertebra
MOST_MM3 = 16000.0  # of one rib within the sections; more is contrast medium that touches it
_TISSUE_HU = (-150.0, 130.0)
_SMOOTH_CELLS = (0.7, 0.7, 1.0)
_SIDE_MM = (np.arange(SIDE_CELLS) - (SIDE_CELLS - 1) / 2) * CELL_MM


def without_ribs(image: Tensor, row: float, gap: float, beyond_mm: float, rng: np.random.Generator) -> Tensor | None:
    """The straightened spine without what its ribs show beyond ``beyond_mm`` to either side.

    Args:
        image: (S, A, R) HU.
        row: section of the vertebra's center.
        gap: sections between it and the next one.
        beyond_mm: 24 takes the ribs away, more leaves stubs.

    Returns:
        ``None`` where no rib was found on some side, or it cannot be told from what it touches.
    """
    ribs = _ribs_of(image, row, gap)
    if ribs is None:
        return None
    (low, high), bone = ribs
    part = image[low:high].numpy()
    hidden = _grown(bone) & (np.abs(_SIDE_MM) > max(beyond_mm, STUMP_MM))
    tissue = part[(part > _TISSUE_HU[0]) & (part < _TISSUE_HU[1]) & ~hidden]
    if len(tissue) < 100:
        return None
    filled = part.copy()
    filled[hidden] = rng.choice(tissue, int(hidden.sum()))
    smooth = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(filled), _SMOOTH_CELLS))
    result = image.clone()
    result[low:high] = torch.from_numpy(np.where(hidden, smooth, part))
    return result


def with_ribs_below(image: Tensor, row: float, gap: float) -> Tensor | None:
    """The straightened spine with the ribs of a vertebra at the next one below as well.

    Args:
        image, row, gap: see :func:`without_ribs`.

    Returns:
        ``None`` where it has none to copy, or the image ends too early.
    """
    ribs, way = _ribs_of(image, row, gap), round(gap)
    if ribs is None or ribs[0][1] + way > len(image):
        return None
    (low, high), bone = ribs
    copied = _grown(bone) & (np.abs(_SIDE_MM) > STUMP_MM)
    there = image[low + way : high + way].numpy()
    result = image.clone()
    result[low + way : high + way] = torch.from_numpy(np.where(copied, image[low:high].numpy(), there))
    return result


def _ribs_of(image: Tensor, row: float, gap: float) -> tuple[tuple[int, int], np.ndarray] | None:
    """First and last section around a vertebra, and which of their cells are bone of its ribs, all of it."""
    low, high = (round(row + share * gap) for share in (-0.5, 0.9))
    low, high = max(low, 0), min(high, len(image))
    if high - low < gap:
        return None
    away = np.abs(_SIDE_MM)
    bone = (image[low:high].numpy() > RIB_HU) & (away > BODY_MM)
    names = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(bone.astype(np.uint8)), True))
    heads = names[round(row - 0.5 * gap) - low : round(row + 0.1 * gap) - low, 6:14]
    ribs = np.zeros(bone.shape, dtype=bool)
    for side in (_SIDE_MM < 0, _SIDE_MM > 0):
        near = heads[:, :, side & (away > BODY_MM) & (away < HEAD_MM)]
        found = np.isin(names, np.unique(near[near > 0])) & side
        if not 0 < found.sum() * STEP_MM * CELL_MM**2 < MOST_MM3:
            return None
        ribs |= found
    return (low, high), ribs


def _grown(mask: np.ndarray) -> np.ndarray:
    """A mask with the cells that touch it by a face."""
    grown = sitk.BinaryDilate(sitk.GetImageFromArray(mask.astype(np.uint8)), (1, 1, 1), sitk.sitkCross)
    return sitk.GetArrayFromImage(grown) > 0
