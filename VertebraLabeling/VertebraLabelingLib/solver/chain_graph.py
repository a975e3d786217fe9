"""The graph that the chain solver searches: states (candidate, level, scale) joined by hops.

One graph serves three questions: the cheapest path (dynamic programming), the cheapest path under a constraint
(shifted by one), and the posterior probability of every (candidate, level) (forward pass, then the flow of
probability back along the same edges, which equals forward-backward).

Axes used throughout: N candidates in order along the spine, K = 26 levels, S scales, H hops sorted by target level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.anatomy import LEVELS
from ..core.evidence import Evidence
from ..core.field_of_view import distance_along, distances_to_faces
from ..core.parameters import ChainParameters
from ..core.spacing import L6, NO_T12, T13, Hops, all_hops, distance_from
from .landmark_costs import MAY_BE_LAST, below_costs, end_costs, node_costs
from .level_confusion import confused
from .spine_curve import SpineCurve

FORBIDDEN = 1e6  # far above any sum of costs, and still a number that can be added
EXIT_MM, NO_EXIT_MM = 15.0, 30.0  # from a face of the field of view: half a vertebra and a whole one
CERTAIN = 30.0  # cost of leaving out a vertebra that is certain: more than a chain through it, less than forbidden
MOST_MISSED = 6  # vertebrae passed over at once, without limit where points are fixed: a longer hop costs time only
SPACING_CAP = 30.0  # cost of one hop, beyond all other costs: a collapsed or fused vertebra must not break the chain
UNSEEN = 1.0  # cost of each level beyond the ends that should lie in view: it is e times likelier to be seen
UNSEEN_MOST = 3  # levels that cost so: farther away it is uncertain where a bent spine goes
VARIANT_COSTS = {T13: 4.0, NO_T12: 4.0, L6: 3.0}  # minus the logarithm of 2, 2 and 5 of 100; VerSe: 3, 4, 5
SCALE_SDS = np.linspace(-2.5, 2.5, 13)  # sizes of the spine that are tried: 99 of 100 people, in steps below 4 %
SCALE_COST = 0.5 * SCALE_SDS**2 + np.log(np.exp(-0.5 * SCALE_SDS**2).sum())  # (S,) their priors sum to one
_K = len(LEVELS)
_VARIANT = np.isin(LEVELS, ("T13", "L6"))
_FROM_LAST = np.isin(np.arange(_K), MAY_BE_LAST)


@dataclass(frozen=True)
class Path:
    """A chain: (candidate, level) index pairs from head to foot, and its cost summed over the scales."""

    nodes: tuple[tuple[int, int], ...]
    cost: float
    log_scale: float = 0.0


class ChainGraph:
    """Costs of all chains over the candidates of one scan.

    Attributes:
        node: (N, K) cost of candidate n being level k; ``FORBIDDEN`` where it must not.
        reject: (N,) cost of candidate n being no vertebra.
        start, end: (N, K, S) cost of the chain beginning, ending there.
    """

    def __init__(
        self,
        evidence: Evidence,
        curve: SpineCurve,
        clamp: np.ndarray,
        certain: np.ndarray,
        parameters: ChainParameters,
        every_hop: bool = False,
    ) -> None:
        """Set up the costs.

        Args:
            evidence: candidates, already in the order of ``curve``.
            curve: the spine's line; ``curve.order`` is 0..N-1.
            clamp: (N,) level index that a candidate is fixed to, -1 where it is free.
            certain: (N,) bool, the candidate is a vertebra for certain, whatever its level.
            parameters: weights.
            every_hop: however many vertebrae were missed between two; so it is wherever a candidate is fixed.
        """
        p = self.parameters = parameters
        hops = all_hops()
        self.hops = hops if every_hop or (clamp >= 0).any() else hops.pick(hops.steps <= MOST_MISSED + 1)
        self.node, self.reject = _node_costs(evidence, clamp, certain, p)
        self.pairs = _pair_costs(evidence, curve, self.hops, p)
        self.start, self.end = _terminal_costs(evidence, curve, p)
        self._skipped = np.concatenate([[0.0], np.cumsum(self.reject)])
        self._first_hop = np.flatnonzero(np.diff(self.hops.target, prepend=-1))
        self._reached = self.hops.target[self._first_hop]
        order = np.argsort(self.hops.source, kind="stable")
        self._by_source = order
        self._first_by_source = np.flatnonzero(np.diff(self.hops.source[order], prepend=-1))
        self._left = self.hops.source[order][self._first_by_source]

    @property
    def rejected_cost(self) -> float:
        """Cost of no chain at all: every candidate is a false positive."""
        return float(self._skipped[-1])

    def _before(self, n: int) -> float:
        return self._skipped[n]

    def _after(self, n: int) -> float:
        return self._skipped[-1] - self._skipped[n + 1]

    def _edges_into(self, n: int) -> np.ndarray:
        """(n, H, S) cost of each hop from every earlier candidate, the candidates jumped over included."""
        jumped = self._skipped[n] - self._skipped[1 : n + 1]
        first = n * (n - 1) // 2
        return self.pairs[first : first + n] + jumped[:, None, None]

    def best_path(self, node: np.ndarray | None = None) -> Path | None:
        """The cheapest chain; ``node`` replaces :attr:`node` for a constrained search. None: all are forbidden."""
        node = self.node if node is None else node
        count, scales = len(node), len(SCALE_SDS)
        value = np.empty((count, _K, scales))
        for n in range(count):
            best = self.start[n] + self._before(n)
            if n:
                reach = (value[:n, self.hops.source] + self._edges_into(n)).min(axis=0)
                reach = np.minimum.reduceat(reach, self._first_hop, axis=0)
                best[self._reached] = np.minimum(best[self._reached], reach)
            value[n] = best + node[n][:, None]
        tail = np.array([self._after(n) for n in range(count)])
        final = value + self.end + tail[:, None, None] + SCALE_COST
        n, k, s = np.unravel_index(int(final.argmin()), final.shape)
        if final[n, k, s] >= FORBIDDEN:
            return None
        nodes = self._trace(value, int(n), int(k), int(s))
        return Path(tuple(nodes), self.path_cost(nodes, node), float(SCALE_SDS[s] * self.parameters.scale_sd))

    def _trace(self, value: np.ndarray, n: int, k: int, s: int) -> list[tuple[int, int]]:
        nodes = [(n, k)]
        while True:
            into = np.flatnonzero(self.hops.target == k)
            if n == 0 or not len(into):
                break
            cost = value[:n, self.hops.source[into], s] + self._edges_into(n)[:, into, s]
            m, h = np.unravel_index(int(cost.argmin()), cost.shape)
            if self.start[n, k, s] + self._before(n) <= cost[m, h]:
                break
            n, k = int(m), int(self.hops.source[into[h]])
            nodes.append((n, k))
        return nodes[::-1]

    def path_cost(self, nodes: list[tuple[int, int]], node: np.ndarray | None = None) -> float:
        """Cost of one chain, summed over the scales as probabilities at temperature 1."""
        node = self.node if node is None else node
        (n, k), (last, level) = nodes[0], nodes[-1]
        cost = self.start[n, k] + self._before(n) + self.end[last, level] + self._after(last) + SCALE_COST
        cost = cost + sum(node[pair] for pair in nodes)
        for (m, j), (n, k) in zip(nodes, nodes[1:]):
            rows = (self.hops.source == j) & (self.hops.target == k)
            cost = cost + self._edges_into(n)[m, rows].min(axis=0)
        low = cost.min()
        return float(low - np.log(np.exp(low - cost).sum()))

    def posterior(self) -> np.ndarray:
        """(N, K) probability of candidate n being level k, over all chains, scales and the empty chain.

        A row sums to the probability that the candidate belongs to the chain at all; the rest is a false positive.
        """
        heat = 1.0 / self.parameters.temperature
        count, scales = len(self.node), len(SCALE_SDS)
        log_value = np.empty((count, _K, scales))
        share: list[np.ndarray] = []  # per candidate: probability of having come by each hop, given its state
        for n in range(count):
            log_start = -heat * (self.start[n] + self._before(n))
            total = log_start.copy()
            if n:
                log_hop = log_value[:n, self.hops.source] - heat * self._edges_into(n)
                peak = np.maximum.reduceat(log_hop.max(axis=0), self._first_hop, axis=0)
                peak_full = np.full((_K, scales), -np.inf)
                peak_full[self._reached] = peak
                top = np.maximum(peak_full, log_start)
                hop = np.exp(log_hop - top[self.hops.target])
                summed = np.exp(log_start - top)
                summed[self._reached] += np.add.reduceat(hop.sum(axis=0), self._first_hop, axis=0)
                share.append(hop / summed[self.hops.target])
                total = top + np.log(summed)
            else:
                share.append(np.empty((0, len(self.hops.source), scales)))
            log_value[n] = total - heat * self.node[n][:, None]
        tail = np.array([self._after(n) for n in range(count)])
        final = log_value - heat * (self.end + tail[:, None, None] + SCALE_COST)
        top = max(final.max(), -heat * self.rejected_cost)
        flow = np.exp(final - top)
        flow /= flow.sum() + np.exp(-heat * self.rejected_cost - top)
        for n in range(count - 1, 0, -1):
            back = flow[n][self.hops.target] * share[n]
            flow[:n, self._left] += np.add.reduceat(back[:, self._by_source], self._first_by_source, axis=1)
        return flow.sum(axis=2)


def _node_costs(
    evidence: Evidence, clamp: np.ndarray, certain: np.ndarray, p: ChainParameters
) -> tuple[np.ndarray, np.ndarray]:
    odds = np.clip(evidence.detection, 1e-4, 1 - 1e-4)
    reject = np.maximum(p.false_positive + p.detection * np.log(odds / (1 - odds)), 0.0)
    node = p.appearance * confused(evidence.unary, p.confusion) + node_costs(evidence.landmarks, p)
    reject[certain] += CERTAIN
    fixed = np.flatnonzero(clamp >= 0)
    reject[fixed] = FORBIDDEN
    node[fixed] = FORBIDDEN
    node[fixed, clamp[fixed]] = 0.0
    return node - _log_presence(evidence.presence, p)[0], reject


def _log_presence(presence: np.ndarray, p: ChainParameters) -> tuple[np.ndarray, np.ndarray]:
    """(26,) weighted log(2p) of a level in the chain, and log(2(1-p)) of one that is not; zero at p = 0.5.

    Of T13 and L6 nothing is taken: how rare they are is told by :data:`VARIANT_COSTS`, and networks that have seen few
    know no more.
    """
    q = np.where(_VARIANT, 0.5, np.clip(presence, 1e-3, 1 - 1e-3))
    return p.presence * np.log(2 * q), p.presence * np.log(2 * (1 - q))


def _hop_costs(hops: Hops, presence: np.ndarray, p: ChainParameters) -> tuple[np.ndarray, np.ndarray]:
    """(H,) cost of a hop besides its length and of missed vertebrae: variants, and (H,) that of missed vertebrae.

    They are there, so presence counts.
    """
    variants = sum(cost * hops.variants[name] for name, cost in VARIANT_COSTS.items())
    return variants, p.missed * (hops.steps - 1.0) - hops.passed @ _log_presence(presence, p)[0]


def _pair_costs(evidence: Evidence, curve: SpineCurve, hops: Hops, p: ChainParameters) -> np.ndarray:
    """(N(N-1)/2, H, S) cost of each hop between two candidates, ordered by the later one."""
    points = evidence.points
    later, earlier = np.tril_indices(len(points), -1)
    vector = points[later] - points[earlier]
    distance = np.maximum(np.linalg.norm(vector, axis=1), 1e-3)
    expected = np.log(hops.distance)[:, None] + SCALE_SDS * p.scale_sd
    off = (np.log(distance)[:, None, None] - expected) ** 2
    off *= (0.5 / p.spacing_sd**2 * hops.steps)[:, None]
    np.minimum(off, SPACING_CAP, out=off)
    variants, missed = _hop_costs(hops, evidence.presence, p)
    off += (variants + missed)[:, None]
    off += np.where(_FROM_LAST[hops.source], below_costs(evidence.landmarks, p)[earlier][:, None], 0.0)[:, :, None]
    outside = _outside(evidence, later, earlier)
    pairs = np.flatnonzero(outside)
    off[pairs] -= (outside[pairs, None] * missed)[:, :, None]
    return off


def _outside(evidence: Evidence, later: np.ndarray, earlier: np.ndarray) -> np.ndarray:
    """(pairs,) 0..1, how far a bent spine may lie outside of the field of view between two of its vertebrae.

    It does where both are near the same face: what lies between them can be neither found nor missed.
    """
    apart = distances_to_faces(evidence.points, evidence.corners)
    nearest = np.maximum(apart[later], apart[earlier]).min(axis=1)
    return np.clip((NO_EXIT_MM - nearest) / (NO_EXIT_MM - EXIT_MM), 0.0, 1.0)


def _terminal_costs(evidence: Evidence, curve: SpineCurve, p: ChainParameters) -> tuple[np.ndarray, np.ndarray]:
    """(N, K, S) costs of the first and of the last vertebra: levels beyond it that should be in view but are not.

    A chain that begins with T13 or L6 is as rare as one that comes to it.
    """
    table = distance_from()
    scale = np.exp(SCALE_SDS * p.scale_sd)
    index = np.arange(_K)
    costs = []
    for sign, beyond in ((-1.0, index[None] < index[:, None]), (1.0, index[None] > index[:, None])):
        room = distance_along(evidence.points, sign * curve.tangent, evidence.corners)
        place = np.where(beyond, table, np.inf)[:, :, None] * scale  # (level, level beyond, S)
        seen = place[None] < room[:, None, None, None]
        absent = -np.einsum("nkjs,j->nks", seen, _log_presence(evidence.presence, p)[1])
        unseen = UNSEEN * np.minimum(seen.sum(axis=2), UNSEEN_MOST)
        costs.append(absent + unseen)
    begins = np.zeros(_K)
    begins[_VARIANT] = VARIANT_COSTS[T13], VARIANT_COSTS[L6]  # no hop leads to it that would cost so
    return costs[0] + begins[:, None], costs[1] + end_costs(evidence.landmarks, p)[:, :, None]
