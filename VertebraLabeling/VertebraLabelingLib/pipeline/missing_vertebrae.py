"""Where a vertebra should be that was not found, its place is looked at again.

Between two found ones none can be missing: small cervical bodies on thick slices run together in every map. Where a
chain passes over levels and its distances leave room for them, candidates are put between the neighbors;
:mod:`.centroid_refinement` then places them as it places any other. Where a vertebra is only possible, beyond an end of
the chain (:func:`.chain_ends.missing_at_ends`) or between neighbors that are far apart, the candidate stays only where
the centroid network settles on a body.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..core.anatomy import LEVEL_INDEX, LEVELS, USUAL_LEVELS
from ..core.evidence import MAX_COST, Evidence
from ..core.parameters import SHIPPED, MissingParameters, PipelineParameters
from ..core.spacing import EDGES, distance_from, distance_ratios, scale_of
from ..solver.chain import Chain, cheapest_chain
from ..solver.chain_ends import missing_at_ends

MOST = 2  # levels; a longer gap says that the chain is wrong, not that bodies were missed


def look_again(
    evidence: Evidence,
    place: Callable[[Evidence, int], Evidence],
    parameters: PipelineParameters = SHIPPED,
) -> tuple[Evidence, Chain]:
    """Evidence with what is found where a vertebra may be missing, and its chain.

    Args:
        place: places the candidates from a number on.
        parameters: the chosen numbers.
    """
    p = parameters.missing
    chain, found = cheapest_chain(evidence, parameters.chain), len(evidence.points)
    wider = with_skipped(evidence, chain, p)
    if wider is not evidence:
        evidence = place(wider, found)
        chain, found = cheapest_chain(evidence, parameters.chain), len(evidence.points)
    wider = with_possible(evidence, chain, p)
    if wider is not evidence:
        evidence = settled(place(wider, found), found, p)
        chain = cheapest_chain(evidence, parameters.chain)
    return evidence, chain


def with_skipped(evidence: Evidence, chain: Chain, p: MissingParameters = SHIPPED.missing) -> Evidence:
    """Evidence with a candidate for every level that its chain passes over between two found vertebrae."""
    points, levels = chain.points, chain.levels
    usual, places, likely = distance_from(), [], []
    for a, b, above, way in zip(levels, levels[1:], points, np.diff(points, axis=0)):
        skipped = [k for k in range(a + 1, b) if LEVELS[k] in USUAL_LEVELS]
        room = np.linalg.norm(way) / usual[a, b]
        if not 0 < len(skipped) <= MOST or not p.least_room <= room <= p.most_room:
            continue
        for level in skipped:
            share = usual[a, level] / usual[a, b]
            places.append(above + share * way)
            likely.append((level,))
    return _with_candidates(evidence, places, likely, p)


def with_possible(evidence: Evidence, chain: Chain, p: MissingParameters = SHIPPED.missing) -> Evidence:
    """Evidence with a candidate wherever a vertebra may have been missed without a gap in the names.

    That is beyond an end of the chain where the next level should be in view, and half-way between two neighbors that
    are too far apart for neighbors of this spine. C1, which has no body, lies at no usual distance.
    """
    points, levels = chain.points, chain.levels
    if len(points) < 2:
        return evidence
    ratio, scale = distance_ratios(points, levels), scale_of(points, levels)
    missing = missing_at_ends([LEVELS[k] for k in levels], points, scale, evidence)
    places = [place for *_, place in missing]
    likely = [(LEVEL_INDEX[level],) for level, *_ in missing]
    for row in np.flatnonzero(ratio > p.wide * scale):
        above, below = LEVELS[levels[row]], LEVELS[levels[row + 1]]
        if (above, below) in EDGES and above != "C1":
            places.append((points[row] + points[row + 1]) / 2)
            likely.append((levels[row], levels[row + 1]))
    return _with_candidates(evidence, places, likely, p)


def settled(evidence: Evidence, first: int, p: MissingParameters = SHIPPED.missing) -> Evidence:
    """Evidence without those candidates from ``first`` on that the centroid network took for hardly a body."""
    return evidence.kept((np.arange(len(evidence.points)) < first) | (evidence.detection >= p.detection))


def _with_candidates(
    evidence: Evidence, places: Sequence[np.ndarray], likely: Sequence[tuple[int, ...]], p: MissingParameters
) -> Evidence:
    """Evidence with further candidates, each at its place and of its likely levels; the same where there are none."""
    if not places:
        return evidence
    levels = np.arange(len(LEVELS))
    away = [np.abs(levels[:, None] - np.array(its)).min(axis=1) for its in likely]
    unary = np.minimum(p.step_cost * np.array(away), MAX_COST)
    return evidence.with_candidates(np.array(places), unary, np.full(len(places), p.detection))
