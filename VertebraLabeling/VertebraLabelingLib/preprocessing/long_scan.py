"""The part of a long scan by which is judged how the patient lies.

A whole-body scan holds legs, a head and arms, in which the detection network finds a little here and there: the spine
must not seem less sure for it. And looking again takes as long as what is looked at.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..core.evidence import Evidence, level_probabilities
from ..core.volume import Volume, ras_to_ijk
from .cropping import keep_slices

LONGEST_MM = 450.0  # eighteen thoracic levels
OUTWEIGH = 4  # power of a candidate's sureness: a few sure ones outweigh many doubtful ones


def spine_part(evidence: Evidence, grid: Volume) -> Volume:
    """As much of a scan as :data:`LONGEST_MM` along the patient, where the candidates are most and surest.

    Args:
        evidence: of the detection network.
        grid: what it saw, in canonical order.

    Returns:
        The grid itself where it is no longer; else some of its slices.
    """
    slices = grid.array.shape[0]
    kept = int(LONGEST_MM / grid.spacing[2])
    if slices <= kept:
        return grid
    slice_of = ras_to_ijk(grid, evidence.points)[:, 2]
    middle = (slices - 1) / 2
    if len(slice_of):
        sure = evidence.detection * level_probabilities(evidence.unary).max(axis=1)
        near = (slice_of[None] >= slice_of[:, None]) & (slice_of[None] < slice_of[:, None] + kept)
        most = slice_of[near[int((near * sure**OUTWEIGH).sum(axis=1).argmax())]]
        middle = (most.min() + most.max()) / 2
    first = int(np.clip(round(middle - (kept - 1) / 2), 0, slices - kept))
    return keep_slices(grid, first, first + kept)


def evidence_within(evidence: Evidence, scan: Volume) -> Evidence:
    """The candidates within the slices of a canonical part of the scan, which is their field of view then."""
    slice_of = ras_to_ijk(scan, evidence.points)[:, 2]
    keep = (slice_of >= -0.5) & (slice_of <= scan.array.shape[0] - 0.5)
    return replace(evidence.kept(keep), corners=scan.corners)
