"""Tune the chain solver's weights on any scans with evidence and truth.

Coordinate search from a start: in a random order (seeded), each weight is tried larger and smaller. A value is kept
that names more vertebrae rightly (then: more scans fully) and is not worse on either half of the scans; the steps
shrink when a round brings nothing. Within a round only scans whose chain is wrong or unsettled are solved again.
Tune on evidence from networks that have not seen the patients, else the weights trust it too much.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.metrics import HIT_MM, CaseScore, score_case
from VertebraLabelingLib.errors import NoSpineError
from VertebraLabelingLib.solver.chain import solve
from VertebraLabelingLib.solver.chain_graph import ChainGraph
from VertebraLabelingLib.solver.chain_parameters import ChainParameters
from VertebraLabelingLib.solver.spine_curve import spine_curve

log = logging.getLogger(__name__)

SEARCHED = (
    *("appearance", "missed", "false_positive", "detection", "spacing_sd", "spacing_cap", "scale_sd", "bend"),
    *("no_t12", "t13", "l6"),
)
PRESENCE_SEARCHED = ("presence", "absence", "unseen")
"""More weights to search where the evidence tells presence and the field of view."""

FIRST_FACTOR, LAST_FACTOR = 2.0, 1.2
CAUTION = 3.0  # temperature at which a chain must be certain to be left alone for a round
TEMPERATURES = np.geomspace(0.5, 12.0, 17)

Points = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Sample:
    """A scan to tune on: its evidence, the true points (level -> world RAS mm), and which of them the image cuts."""

    evidence: Evidence
    truth: Points
    cut: frozenset[str] = frozenset()
    name: str = ""


def samples(pairs: Iterable[tuple[Evidence, Points]]) -> list[Sample]:
    """Samples from (evidence, truth) pairs."""
    return [Sample(evidence, truth) for evidence, truth in pairs]


class Scan:
    """A sample made ready for many trials: what no weight changes is computed once."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample
        given = sample.evidence
        whole = [level for level in sample.truth if level not in sample.cut]
        self.n_vertebrae = len(whole)
        self.evidence = given
        if not len(given.points):
            return
        self.curve = spine_curve(given.points, given.detection, given.unary)
        rows = self.curve.order
        self.curve = replace(self.curve, order=np.arange(len(rows)))
        self.evidence = replace(
            given, points=given.points[rows], unary=given.unary[rows], detection=given.detection[rows]
        )
        self.right_level = np.full(len(rows), -1)  # the level that would make a strict hit of the candidate
        if sample.truth:
            names = list(sample.truth)
            places = np.array([sample.truth[level] for level in names], dtype=float)
            distance = np.linalg.norm(places[:, None] - self.evidence.points[None], axis=2)
            for n, row in enumerate(distance.argmin(axis=0)):
                if distance[row, n] <= HIT_MM and names[row] in whole:
                    self.right_level[n] = LEVEL_INDEX[names[row]]

    def graph(self, parameters: ChainParameters) -> ChainGraph:
        """The solver's graph without fixed points."""
        count = len(self.evidence.points)
        return ChainGraph(self.evidence, self.curve, np.full(count, -1), np.zeros(count, bool), parameters)

    def best_chain(self, parameters: ChainParameters) -> tuple[tuple[int, int], ...]:
        """(candidate, level) pairs of the best chain; empty where no vertebra is accepted."""
        if not len(self.evidence.points):
            return ()
        graph = self.graph(parameters)
        path = graph.best_path()
        return () if path is None or path.cost >= graph.rejected_cost else path.nodes

    def hits(self, parameters: ChainParameters) -> int:
        """How many of the whole vertebrae are strict hits."""
        return sum(int(self.right_level[n] == k) for n, k in self.best_chain(parameters))


def score(scans: Sequence[Sample], parameters: ChainParameters) -> list[CaseScore]:
    """Score every scan's best chain in full."""
    cases = []
    for sample in scans:
        scan = Scan(sample)
        points = {LEVELS[k]: tuple(scan.evidence.points[n]) for n, k in scan.best_chain(parameters)}
        cases.append(score_case(sample.name, points, sample.truth, sample.cut))
    return cases


def objective(cases: Sequence[CaseScore]) -> tuple[float, float]:
    """Strict identification rate, and the share of scans whose vertebrae are all named rightly."""
    found = [vertebra.strict for case in cases for vertebra in case.vertebrae]
    return float(np.mean(found)), float(np.mean([not case.missed for case in cases]))


def tune(
    scans: Sequence[Sample],
    start: ChainParameters,
    searched: Sequence[str] = SEARCHED,
    rounds: int = 3,
    seed: int = 0,
    report: Callable[[str], None] = log.info,
) -> tuple[ChainParameters, tuple[float, float]]:
    """Search weights that name the most vertebrae rightly.

    Args:
        scans: evidence with truth.
        start: where to begin; weights that are not searched stay as they are.
        searched: names of the weights to change; zero weights start from 1.
        rounds: most passes over all of them.
        seed: of the halves and of the order in which the weights are tried.
        report: receives a line for each improvement.

    Returns:
        The best weights and their objective.
    """
    rng = np.random.default_rng(seed)
    ready = [Scan(sample) for sample in scans]
    half = rng.permutation(len(ready)) % 2
    best, table = start, _hits(ready, start)
    report(f"start: {_objective(ready, table)}")
    factor = FIRST_FACTOR
    for _ in range(rounds):
        round_start, uncertain = best, [_is_uncertain(scan, best, hits) for scan, hits in zip(ready, table)]
        for name in rng.permutation(list(searched)):
            for step in (factor, 1 / factor):
                tried = replace(best, **{str(name): (getattr(best, str(name)) or 1.0) * float(step)})
                changed = _hits(ready, tried, uncertain, table)
                if _is_better(ready, changed, table, half):
                    best, table = tried, changed
                    report(f"{name} = {getattr(best, str(name)):.4g}: {_objective(ready, table)}")
        full = _hits(ready, best)  # scans that were thought certain count again
        if best != round_start and not _is_better(ready, full, before := _hits(ready, round_start), half):
            best, full = round_start, before
        if best == round_start:
            factor = float(np.sqrt(factor))
            if factor < LAST_FACTOR:
                break
        table = full
    return best, _objective(ready, table)


def _hits(
    scans: Sequence[Scan], parameters: ChainParameters, again: Sequence[bool] | None = None, known: Sequence[int] = ()
) -> list[int]:
    """Strict hits of every scan; those not to be tried ``again`` keep their ``known`` count."""
    if again is None:
        return [scan.hits(parameters) for scan in scans]
    return [scan.hits(parameters) if retry else hits for scan, retry, hits in zip(scans, again, known)]


def _objective(scans: Sequence[Scan], hits: Sequence[int]) -> tuple[float, float]:
    total = sum(scan.n_vertebrae for scan in scans)
    right = [found == scan.n_vertebrae for scan, found in zip(scans, hits)]
    return round(sum(hits) / max(total, 1), 5), round(float(np.mean(right)), 5)


def _is_better(scans: Sequence[Scan], new: Sequence[int], old: Sequence[int], half: np.ndarray) -> bool:
    """Better on all scans and not worse on either half: a gain that one half alone shows is chance."""
    gains = np.bincount(half, np.subtract(new, old), 2)
    if gains.min() < 0:
        return False
    return _objective(scans, new) > _objective(scans, old)


def _is_uncertain(scan: Scan, parameters: ChainParameters, hits: int) -> bool:
    """Whether other weights may change this scan's chain: it is wrong now, or a level in it is not settled."""
    if hits < scan.n_vertebrae:
        return True
    chain = scan.best_chain(parameters)
    if not chain:
        return True
    posterior = scan.graph(replace(parameters, temperature=CAUTION)).posterior()
    return min(posterior[node] for node in chain) < 0.99


def calibrate(scans: Sequence[Sample], parameters: ChainParameters, flagged_right: float = 0.15) -> ChainParameters:
    """Set the temperature and the margin below which a shift is warned of.

    The temperature is the one under which the confidences give the truth the highest likelihood. The margin is the
    highest at which at most ``flagged_right`` of the scans without a shift are flagged.
    """
    ready = [Scan(sample) for sample in scans]
    likelihood = []
    for temperature in TEMPERATURES:
        confidence, right = _confidence(ready, replace(parameters, temperature=float(temperature)))
        confidence = np.clip(confidence, 1e-4, 1 - 1e-4)
        likelihood.append(np.log(np.where(right, confidence, 1 - confidence)).mean())
    parameters = replace(parameters, temperature=round(float(TEMPERATURES[int(np.argmax(likelihood))]), 2))
    margins, shifted = shift_margins(scans, parameters)
    return replace(parameters, shift_warning=round(float(np.quantile(margins[~shifted], flagged_right)), 2))


def reliability(scans: Sequence[Sample], parameters: ChainParameters) -> tuple[np.ndarray, np.ndarray]:
    """(P,) confidence of every placed point that lies on a whole true vertebra, and whether its level is right."""
    return _confidence([Scan(sample) for sample in scans], parameters)


def shift_margins(scans: Sequence[Sample], parameters: ChainParameters) -> tuple[np.ndarray, np.ndarray]:
    """(S,) margin of each labeled scan against the shifted chain, and whether the scan is in truth shifted by one."""
    margins, shifted = [], []
    for sample in scans:
        try:
            labels = solve(sample.evidence, parameters=parameters)
        except NoSpineError:
            continue
        predicted = {point.level: point.ras for point in labels.points}
        margins.append(float(labels.provenance["shift_margin"]))
        shifted.append(bool(score_case(sample.name, predicted, sample.truth, sample.cut).shifted))
    return np.array(margins), np.array(shifted)


def _confidence(scans: Sequence[Scan], parameters: ChainParameters) -> tuple[np.ndarray, np.ndarray]:
    confidence, right = [], []
    for scan in scans:
        chain = scan.best_chain(parameters)
        if not chain:
            continue
        posterior = scan.graph(parameters).posterior()
        for n, k in chain:
            if scan.right_level[n] >= 0:
                confidence.append(posterior[n, k])
                right.append(scan.right_level[n] == k)
    return np.array(confidence), np.array(right, dtype=bool)
