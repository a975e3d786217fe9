"""A vertebra between two found ones cannot be missing: where the chain skips levels, its place is looked at again.

Small cervical bodies on thick slices run together in every map. Where a chain passes over levels and its distances
leave room for them, candidates are put between the neighbors; :mod:`.placing` then places them as it places any other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .anatomy import LEVELS, USUAL_LEVELS
from .candidates import MAX_COST
from .chain import cheapest_chain
from .labels import Evidence
from .spacing import distance_from

DETECTION = 0.5
STEP_COST = 2.0  # of each level away from the one that is missing
MOST = 2  # levels; a longer gap says that the chain is wrong, not that bodies were missed
LEAST_ROOM, MOST_ROOM = 0.7, 1.4  # measured over usual distance of the two neighbors, sizes of patients taken in


def with_skipped(evidence: Evidence) -> Evidence:
    """Evidence with a candidate for every level that the chain passes over between two found vertebrae."""
    points, levels = cheapest_chain(evidence)
    usual, places, costs = distance_from(), [], []
    for a, b, above, way in zip(levels, levels[1:], points, np.diff(points, axis=0)):
        skipped = [k for k in range(a + 1, b) if LEVELS[k] in USUAL_LEVELS]
        room = np.linalg.norm(way) / usual[a, b]
        if not 0 < len(skipped) <= MOST or not LEAST_ROOM <= room <= MOST_ROOM:
            continue
        for level in skipped:
            share = usual[a, level] / usual[a, b]
            places.append(above + share * way)
            costs.append(np.minimum(STEP_COST * np.abs(np.arange(len(LEVELS)) - level), MAX_COST))
    if not places:
        return evidence
    return replace(
        evidence,
        points=np.concatenate([evidence.points, places]),
        unary=np.concatenate([evidence.unary, costs]),
        detection=np.append(evidence.detection, np.full(len(places), DETECTION)),
    )
