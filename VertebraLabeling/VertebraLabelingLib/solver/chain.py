"""The anatomical chain solver: names candidates so that they form one ordered, anatomically consistent spine.

Candidates in order along the spine and the 26 levels span a graph; a chain is a path through it. Its cost is a sum of
negative log-likelihoods: appearance of each vertebra as its level, distances between neighbors given one scale for
the whole scan, missed vertebrae, false positives, enumeration variants (T13, no T12, L6), and what the network says
about which levels are present in the field of view. Dynamic programming finds the cheapest chain; summing over all
chains gives each point's probability. See docs/decisions/0004-chain-solver.md for sources and measurements.

numpy only: a result can be named again around a correction in a Slicer without PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ..core.anatomy import LEVEL_INDEX, LEVELS
from ..core.count_rules import AS_SEEN
from ..core.counting import COUNT, Count
from ..core.evidence import PER_CANDIDATE, Evidence
from ..core.labels import PREDICTED, LabeledPoint, SpineLabels
from ..core.parameters import SHIPPED, ChainParameters
from ..core.spacing import EDGES
from ..core.tuned_numbers import group_from_json, group_to_json
from ..errors import InputError, NoSpineError
from .chain_ends import count_of, landmarks_in_view
from .chain_graph import FORBIDDEN, ChainGraph, Path
from .confidence import calibrated, strongest_sign, terms
from .corrected_evidence import after_removal, follow_fixed
from .fixed_points import (
    FixedPoint,
    check_kept,
    check_order,
    drop_removed,
    fixed_points_for_relabel,
    join,
    new_fixed_points,
    reach_mm,
    with_places,
)
from .landmark_costs import contradiction
from .naming import as_seen, count_in, in_names, reading_of, seen_as
from .spine_curve import SpineCurve, spine_curve
from .warnings import warnings_for, warnings_of_places, without_solver_warnings

DEFAULT = SHIPPED.chain
HIGHEST_MARGIN = 99.0  # natural log units: beyond any doubt, and two digits in a table
MOST_CANDIDATES = 48  # the surest are considered: twice the vertebrae of a spine; time grows with their square
RECOUNT = 3.0  # cost of assuming that a deleted point had been counted as a vertebra: 1 in 20 are

_PARAMETERS = "chain_parameters"
_NO_SPINE = "No vertebra was found in this volume: check that it is a CT that shows the spine."


def solve(
    evidence: Evidence,
    fixed: Mapping[str, Sequence[float]] | None = None,
    parameters: ChainParameters = DEFAULT,
    rule: str = AS_SEEN,
) -> SpineLabels:
    """Name the candidates of a scan.

    Args:
        evidence: candidates with their costs; see :class:`evidence.Evidence`.
        fixed: level -> world RAS mm of points that are known. Each takes the place of the nearest candidate within
            12 mm (less where vertebrae are closer), or becomes a candidate of its own; level and position stay.
        parameters: weights of the solver.
        rule: by which the vertebrae are named, one of :data:`.count_rules.RULES`; ``fixed`` bears such names.

    Returns:
        Points from head to foot, each with its calibrated probability as confidence (1 where fixed); warnings;
        ``provenance["shift_margin"]``, the log-likelihood ratio (natural log, at most 99) of this chain to the best
        chain that is shifted by one level; ``provenance["strongest_sign"]``, see :func:`sign_of` (99 where a level
        is fixed); ``provenance["count"]``, a :class:`.Count` as JSON; and ``evidence`` for :func:`relabel`.

    Raises:
        NoSpineError: no candidate is accepted as a vertebra.
        InputError: the fixed points contradict each other (order along the spine, two levels at one place).
    """

    def seen(count: Count) -> SpineLabels:
        given = {seen_as(name, count): ras for name, ras in (fixed or {}).items()}
        return _to_labels(_search(evidence, new_fixed_points(given), None, parameters))

    return in_names(reading_of(SpineLabels(()), rule), seen)


class Chain(NamedTuple):
    """Places and levels of the points that :func:`solve` would give, head to foot.

    Attributes:
        points: (M, 3) world RAS mm.
        levels: (M,) level indices.
        rows: (M,) which candidates of the evidence they are.
    """

    points: np.ndarray
    levels: np.ndarray
    rows: np.ndarray


def cheapest_chain(evidence: Evidence, parameters: ChainParameters = DEFAULT) -> Chain:
    """Only the chain of :func:`solve`; empty where no candidate is accepted."""
    try:
        solution = _search(evidence, [], None, parameters)
    except NoSpineError:
        return Chain(np.empty((0, 3)), np.empty(0, dtype=int), np.empty(0, dtype=int))
    nodes, levels = (np.array(column) for column in zip(*solution.path.nodes))
    return Chain(solution.ordered.points[nodes], levels, solution.candidate[nodes])


def relabel(
    labels: SpineLabels,
    fixed: Mapping[str, Sequence[float]],
    removed: Sequence[Sequence[float]] = (),
    parameters: ChainParameters | None = None,
    placed: Sequence[Sequence[float]] = (),
) -> SpineLabels:
    """Name a scan again after a correction, from its evidence alone and in a fraction of a second.

    Serves "this is L1", shifting up or down, adding a missed vertebra (all through ``fixed``), deleting a false one
    (``removed``) and dragging a point (which makes it a moved one).

    Earlier corrections stay: a confirmed point keeps its place and its level, a moved point its place. The name of a
    moved point is kept as well, and the others are named around it, unless a new fixed point gives a vertebra another
    name than it had (then the moved point follows the renamed chain). But nobody has said that the name is correct:
    confidences, margin and warnings are those of the evidence, whatever was moved. An earlier correction gives way
    where a new fixed point claims its level or its place. One that contradicts otherwise (it stands in the wrong order
    to another, or no chain leads through both) is an error. To shift a spine with several confirmed points, give them
    all with their new levels.

    The names are those of the rule that ``labels`` follow (:mod:`.naming`), given ones and those of the answer. Where
    vertebrae are counted one by one, the others follow the given names, also against the landmarks.

    Args:
        labels: an earlier result with evidence.
        fixed: level -> world RAS mm; kept exactly, as confirmed points with confidence 1.
        removed: (R, 3) world RAS mm of points that are no vertebrae; their candidates leave the evidence for good. If
            the distances then say that such a point had been counted as a vertebra, one side is renamed by one.
        parameters: weights of the solver; those that the scan was labeled with by default.
        placed: (P, 3) world RAS mm where vertebrae are for certain, whichever they are; they become moved points and
            bear the names that the chain gives them.

    Raises:
        InputError: the labels hold no evidence, the fixed points contradict each other or earlier corrections, or the
            rule has no such name.
        NoSpineError: nothing is left.
    """
    if labels.evidence is None:
        raise InputError("These points hold no labeling evidence: label the scan again, then correct it.")
    parameters = parameters or parameters_of(labels)

    def seen(count: Count) -> SpineLabels:
        given = {seen_as(name, count): ras for name, ras in fixed.items()}
        return _seen_again(as_seen(labels, count), given, removed, parameters, placed)

    return in_names(count_in(labels), seen)


def _seen_again(
    labels: SpineLabels,
    fixed: Mapping[str, Sequence[float]],
    removed: Sequence[Sequence[float]],
    parameters: ChainParameters,
    placed: Sequence[Sequence[float]],
) -> SpineLabels:
    """:func:`relabel` of vertebrae that are all named as what is seen."""
    kept = fixed_points_for_relabel(labels, fixed, removed)
    fixed_points = with_places(kept, placed)
    counts = after_removal(labels, drop_removed(labels.evidence, labels, removed), removed)
    solutions = [_search(evidence, fixed_points, labels, parameters) for evidence in counts]
    costs = [solution.path.cost + (RECOUNT if row else 0.0) for row, solution in enumerate(solutions)]
    result = _to_labels(solutions[int(np.argmin(costs))])
    check_kept(kept, labels, result)
    others = warnings_of_places(without_solver_warnings(labels.warnings), labels.points, result.points)
    warnings = result.warnings + others
    return replace(result, warnings=warnings, provenance={**labels.provenance, **result.provenance})


def with_parameters(labels: SpineLabels, parameters: ChainParameters) -> SpineLabels:
    """The result with the weights that it was solved with, where they are not the shipped model's."""
    if parameters == DEFAULT:
        return labels
    return replace(labels, provenance={**labels.provenance, _PARAMETERS: group_to_json(parameters)})


def parameters_of(labels: SpineLabels) -> ChainParameters:
    """The weights that a result was solved with; the shipped model's where it tells none, or damaged ones."""
    try:
        return group_from_json(ChainParameters, labels.provenance.get(_PARAMETERS, {}))
    except ValueError:
        return DEFAULT


@dataclass(frozen=True)
class _Solution:
    """The cheapest chain of one scan and what it was found in; rows of ``ordered`` and ``owner`` go head to foot.

    ``candidate`` holds the row of the evidence that each row of ``ordered`` comes from; of points placed by hand it
    means nothing.
    """

    evidence: Evidence
    ordered: Evidence
    fixed_points: list[FixedPoint]
    owner: np.ndarray
    clamp: np.ndarray  # levels that are settled
    graph: ChainGraph
    path: Path  # as it costs in the graph
    candidate: np.ndarray


def _search(
    evidence: Evidence, fixed_points: list[FixedPoint], before: SpineLabels | None, parameters: ChainParameters
) -> _Solution:
    kept = _strongest(evidence, MOST_CANDIDATES)
    strongest = _reorder(evidence, kept)
    joined, owner = join(strongest, fixed_points, [reach_mm(fixed_point.level, before) for fixed_point in fixed_points])
    if len(joined.points) == 0:
        raise NoSpineError(_NO_SPINE)
    curve = spine_curve(joined.points, joined.detection, joined.unary)
    named = check_order(fixed_points, owner, curve)
    settled = np.array([row >= 0 and fixed_points[row].settled for row in owner[curve.order]], dtype=bool)
    clamp = np.where(settled, named, -1)
    held = {(int(n), int(named[n])) for n in np.flatnonzero((named >= 0) & ~settled)}
    ordered, owner = _reorder(joined, curve.order), owner[curve.order]
    placed_by_hand = curve.order >= len(kept)
    candidate = np.append(kept, np.full(len(curve.order) - len(kept), -1))[curve.order]
    curve = replace(curve, order=np.arange(len(owner)))
    if (clamp >= 0).any():
        free = ChainGraph(ordered, curve, np.full(len(clamp), -1), np.zeros(len(clamp), bool), parameters)
        alone = free.best_path(np.where(placed_by_hand[:, None], FORBIDDEN, free.node))
        ordered = follow_fixed(ordered, curve.position, clamp, alone.nodes if alone else ())
    graph = ChainGraph(ordered, curve, clamp, owner >= 0, parameters)
    path = graph.best_path()
    if path is not None and not held <= set(path.nodes):
        graph, path = _holding(held, ordered, curve, clamp, owner >= 0, path, parameters)
    if path is None or (path.cost >= graph.rejected_cost and not fixed_points):
        raise NoSpineError(_NO_SPINE)
    return _Solution(evidence, ordered, fixed_points, owner, clamp, graph, path, candidate)


def _holding(
    held: set[tuple[int, int]],
    ordered: Evidence,
    curve: SpineCurve,
    clamp: np.ndarray,
    certain: np.ndarray,
    path: Path,
    parameters: ChainParameters,
) -> tuple[ChainGraph, Path]:
    """The chain around names that are held against the cheapest one (``path``), in the graph that holds none of them.

    So its margin and its probabilities are those that the evidence gives it.
    """
    holding = clamp.copy()
    for n, k in held:
        holding[n] = k
    followed = follow_fixed(ordered, curve.position, holding, path.nodes)
    around = ChainGraph(followed, curve, holding, certain, parameters).best_path()
    graph = ChainGraph(ordered, curve, clamp, certain, parameters, every_hop=True)
    if around is None:
        return graph, path
    return graph, replace(around, cost=graph.path_cost(list(around.nodes)))


def _to_labels(solution: _Solution) -> SpineLabels:
    graph, path, ordered = solution.graph, solution.path, solution.ordered
    margin = shift_margin(graph, path) / graph.parameters.temperature
    rows, levels = (np.array(column) for column in zip(*path.nodes))
    fixed = solution.clamp[rows] >= 0
    sign = HIGHEST_MARGIN if fixed.any() else sign_of(ordered, rows, levels, graph.parameters)
    posterior = graph.posterior()[rows, levels]
    against = contradiction(ordered.landmarks[rows], levels, graph.parameters)
    signs = terms(posterior, ordered.detection[rows], margin, sign, against)
    confidence = calibrated(posterior, signs, graph.parameters.calibration)
    confidence[fixed] = 1.0
    points = []
    for (n, k), sure in zip(path.nodes, confidence):
        fixed_point = solution.fixed_points[solution.owner[n]] if solution.owner[n] >= 0 else None
        ras = fixed_point.ras if fixed_point else tuple(float(value) for value in ordered.points[n])
        points.append(LabeledPoint(LEVELS[k], ras, float(sure), fixed_point.status if fixed_point else PREDICTED))
    found, places = [point.level for point in points], np.array([point.ras for point in points])
    scale = float(np.exp(path.log_scale))
    may_be_shifted = sign < graph.parameters.shift_sign
    warnings = warnings_for(found, places, scale, ordered, may_be_shifted, graph.parameters)
    count = replace(count_of(found, places, scale, ordered), by_user=bool(fixed.any()))
    counted = {"shift_margin": round(margin, 2), "strongest_sign": round(sign, 2), COUNT: count.to_json()}
    return SpineLabels(tuple(points), warnings, counted, solution.evidence)


def sign_of(evidence: Evidence, rows: np.ndarray, levels: np.ndarray, parameters: ChainParameters) -> float:
    """The strongest sign against a shift of a chain, (M,) rows of the evidence with (M,) level indices, head to foot.

    It is that of :func:`confidence.strongest_sign`, plus ``landmark_sign`` where a spine can be counted from one of the
    names.
    """
    seen = landmarks_in_view([LEVELS[k] for k in levels], evidence.points[rows], evidence)
    return strongest_sign(evidence.unary[rows], levels) + parameters.landmark_sign * bool(seen)


def shift_margin(graph: ChainGraph, path: Path) -> float:
    """How much more the best chain costs in which every vertebra is named one level higher, or one lower.

    A vertebra may drop out of the shifted chain (at the cost of a false positive) where it has no level to go to.
    """
    costs = [HIGHEST_MARGIN * graph.parameters.temperature + path.cost]
    for step in (-1, 1):
        node = graph.node.copy()
        for n, k in path.nodes:
            free = [LEVEL_INDEX[pair[step > 0]] for pair in EDGES if LEVEL_INDEX[pair[step < 0]] == k]
            node[n] = FORBIDDEN
            node[n, free] = graph.node[n, free]
        shifted = graph.best_path(node)
        if shifted is not None:
            costs.append(shifted.cost)
    return max(min(costs) - path.cost, 0.0)


def _strongest(evidence: Evidence, most: int) -> np.ndarray:
    """Rows of the ``most`` candidates with the highest detection, in their given order."""
    return np.sort(np.argsort(-evidence.detection, kind="stable")[:most])


def _reorder(evidence: Evidence, rows: np.ndarray) -> Evidence:
    return replace(evidence, **{name: getattr(evidence, name)[rows] for name in PER_CANDIDATE})
