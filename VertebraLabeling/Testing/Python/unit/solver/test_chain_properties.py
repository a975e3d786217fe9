"""What holds for every evidence, and the graph against brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.labels import MOVED
from VertebraLabelingLib.core.parameters import ChainParameters
from VertebraLabelingLib.errors import InputError, NoSpineError
from VertebraLabelingLib.solver import chain_graph
from VertebraLabelingLib.solver.chain import relabel, solve
from VertebraLabelingLib.solver.chain_graph import ChainGraph
from VertebraLabelingLib.solver.spine_curve import spine_curve

BOX = np.array(np.meshgrid((-100, 100), (-100, 100), (-10, 600), indexing="ij")).reshape(3, 8).T.astype(float)


def random_evidence(count: int, seed: int, spread: float = 60.0) -> Evidence:
    rng = np.random.default_rng(seed)
    points = rng.uniform((-spread, -spread, 0.0), (spread, spread, 590.0), (count, 3))
    unary = rng.choice([0.0, 3.0, 12.0]) * rng.random((count, len(LEVELS)))
    return Evidence(points, unary, rng.random(count), rng.random(len(LEVELS)), BOX)


@settings(max_examples=120, deadline=None)
@given(count=st.integers(0, 14), seed=st.integers(0, 2**32 - 1))
def test_levels_are_never_repeated_or_unordered(count, seed):
    evidence = random_evidence(count, seed)
    try:
        labels = solve(evidence)
    except NoSpineError:
        return
    index = [LEVEL_INDEX[point.level] for point in labels.points]
    assert index == sorted(set(index)) and index
    order = spine_curve(evidence.points, evidence.detection, evidence.unary).order
    place = {tuple(evidence.points[n]): row for row, n in enumerate(order)}
    rows = [place[point.ras] for point in labels.points]
    assert rows == sorted(set(rows))
    assert all(0.0 <= point.confidence <= 1.0 for point in labels.points)
    assert 0.0 <= labels.provenance["shift_margin"] <= 99.0
    again = solve(evidence)
    assert (again.points, again.warnings, again.provenance) == (labels.points, labels.warnings, labels.provenance)


@settings(max_examples=80, deadline=None)
@given(count=st.integers(0, 12), seed=st.integers(0, 2**32 - 1), fixed_count=st.integers(1, 4), moved=st.booleans())
def test_fixed_points_survive_or_are_refused(count, seed, fixed_count, moved):
    rng = np.random.default_rng(seed)
    evidence = random_evidence(count, seed)
    levels = rng.choice(len(LEVELS), fixed_count, replace=False)
    fixed = {LEVELS[level]: tuple(rng.uniform((-60, -60, 0), (60, 60, 590))) for level in sorted(levels)}
    try:
        labels = solve(evidence, fixed)
    except InputError as error:
        assert fixed_count > 1 and str(error).endswith(".")
        return
    for level, ras in fixed.items():
        assert labels.by_level[level].ras == ras
        assert labels.by_level[level].confidence == 1.0
    if moved:
        labels = labels.with_points(tuple(type(p)(p.level, p.ras, p.confidence, MOVED) for p in labels.points))
    first = labels.points[0]
    other = next(level for level in LEVELS if level not in labels.by_level)
    try:
        again = relabel(labels, {other: first.ras})
    except InputError as error:
        assert len(labels.points) > 1 and "does not fit together any more" in str(error)
        return
    assert again.by_level[other].ras == first.ras
    places = {point.ras for point in again.points}
    kept = [point for point in labels.points if point.status == MOVED or point.level in fixed]
    assert {point.ras for point in kept} <= places
    confirmed = [point for point in kept if point.status != MOVED and point is not first]
    assert all(again.by_level[point.level].ras == point.ras for point in confirmed)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_best_chain_and_posterior_agree_with_enumerating_all_chains(seed, temperature, monkeypatch):
    scales = np.linspace(-2.5, 2.5, 5)  # fewer than the solver tries: all chains are enumerated
    monkeypatch.setattr(chain_graph, "SCALE_SDS", scales)
    monkeypatch.setattr(chain_graph, "SCALE_COST", 0.5 * scales**2 + np.log(np.exp(-0.5 * scales**2).sum()))
    rng = np.random.default_rng(seed)
    points = np.array([(0, 0, 90), (3, 2, 60), (-2, 1, 28)]) + rng.normal(0, 3, (3, 3))
    evidence = Evidence(points, rng.uniform(0, 4, (3, 26)), rng.uniform(0.3, 0.9, 3), rng.random(26), BOX)
    parameters = ChainParameters(temperature=temperature, false_positive=2.0)
    graph = _graph(evidence, parameters, every_hop=True)
    chains = list(_all_chains(graph))
    best = min(chains, key=lambda chain: chain[1])
    assert graph.best_path().nodes == best[0]
    weight = np.exp([-cost / temperature for _, cost in chains])
    empty = np.exp(-graph.rejected_cost / temperature)
    expected = np.zeros((3, 26))
    for (nodes, _), mass in zip(chains, weight):
        for node in nodes:
            expected[node] += mass
    np.testing.assert_allclose(graph.posterior(), expected / (weight.sum() + empty), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 10), seed=st.integers(0, 2**32 - 1))
def test_the_posterior_of_every_candidate_and_of_every_level_is_a_probability(count, seed):
    posterior = _graph(random_evidence(count, seed), ChainParameters()).posterior()
    assert posterior.min() >= 0.0
    assert posterior.sum(axis=1).max() <= 1.0 + 1e-9, "a candidate is one level or none"
    assert posterior.sum(axis=0).max() <= 1.0 + 1e-9, "a level is one candidate or none"


def test_the_posterior_sums_to_one_where_no_candidate_may_be_left_out():
    evidence = random_evidence(8, 11, spread=10.0)
    certain = Evidence(evidence.points, evidence.unary, np.ones(8), evidence.presence, BOX)
    posterior = _graph(certain, ChainParameters(false_positive=200.0)).posterior()
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0, atol=1e-9)


def _graph(evidence: Evidence, parameters: ChainParameters, every_hop: bool = False) -> ChainGraph:
    curve = spine_curve(evidence.points, evidence.detection, evidence.unary)
    order, count = curve.order, len(evidence.points)
    evidence = Evidence(
        evidence.points[order], evidence.unary[order], evidence.detection[order], evidence.presence, evidence.corners
    )
    return ChainGraph(evidence, curve, np.full(count, -1), np.zeros(count, bool), parameters, every_hop)


def _all_chains(graph: ChainGraph):
    """Every non-empty chain, by every hop and at every scale, with its cost: an enumeration without any recursion."""
    count, hops = len(graph.node), graph.hops
    between = {
        (j, k): np.flatnonzero((hops.source == j) & (hops.target == k)) for j, k in zip(hops.source, hops.target)
    }
    row = {pair: index for index, pair in enumerate(zip(*np.tril_indices(count, -1)))}
    for size in range(1, count + 1):
        for chosen in combinations(range(count), size):
            left_out = sum(graph.reject[n] for n in range(count) if n not in chosen)
            for levels in combinations(range(len(LEVELS)), size):
                nodes = tuple(zip(chosen, levels))
                fixed = left_out + sum(graph.node[node] for node in nodes)
                fixed = fixed + graph.start[nodes[0]] + graph.end[nodes[-1]] + chain_graph.SCALE_COST
                ways = [fixed]
                for (m, j), (n, k) in zip(nodes, nodes[1:]):
                    ways = [way + graph.pairs[row[n, m], hop] for way in ways for hop in between[j, k]]
                for way in ways:
                    for cost in way:
                        yield nodes, cost
