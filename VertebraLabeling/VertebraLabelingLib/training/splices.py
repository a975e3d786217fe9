"""Who is joined to whom in a spliced spine, and below which level; see :mod:`.counting_samples`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..anatomy import LEVEL_INDEX, LEVEL_RANK
from .cases import Case

_T12, _L1 = LEVEL_INDEX["T12"], LEVEL_INDEX["L1"]


def drawn_spine(
    case: Case, cases: Sequence[Case], probabilities: np.ndarray, rng: np.random.Generator, shares: Sequence[float]
) -> tuple[list[Case], list[int]]:
    """Draw who is joined to a case, and where.

    Args:
        case: one of the spine.
        cases: with ``probabilities``, of which the others are drawn.
        shares: how often there is another, and how often another one then.

    Returns:
        cases from head to foot, and the last level of each but the last.
    """
    spine, seams = [case], []
    for share in shares:
        if rng.random() >= share:
            break
        on_top = bool(rng.random() < 0.5)
        drawn = _partner(spine[0 if on_top else -1], on_top, seams, cases, probabilities, rng)
        if drawn is None:
            break
        other, level = drawn
        spine.insert(0 if on_top else len(spine), other)
        seams.insert(0 if on_top else len(seams), level)
    return spine, seams


def index_of(case: Case, level: int) -> int:
    """The place of a level among those of a case."""
    return int((case.levels == level).nonzero()[0, 0])


def level_below(level: int) -> int:
    """The level that follows in a usual spine."""
    return _L1 if level == _T12 else level + 1


def _follow(case: Case, level: int) -> bool:
    """Whether the next level of a usual spine is the case's next, too."""
    return index_of(case, level_below(level)) == index_of(case, level) + 1


def _partner(
    case: Case,
    on_top: bool,
    seams: Sequence[int],
    cases: Sequence[Case],
    probabilities: np.ndarray,
    rng: np.random.Generator,
) -> tuple[Case, int] | None:
    """Another case and the last level of the upper one: in both, whole, the next one follows it without a T13.

    Args:
        case: the uppermost or the lowest of the spine.
        on_top: the other case is to lie above it.
        seams: of the spine; between two of them at least one vertebra is left.
    """
    own = set(case.levels[~case.cut].tolist())
    if seams and on_top:
        own = {k for k in own if LEVEL_RANK[k] <= LEVEL_RANK[seams[0]]}
    elif seams:
        own = {k for k in own if LEVEL_RANK[k] > LEVEL_RANK[seams[-1]]}
    for _ in range(6):
        other = cases[int(rng.choice(len(cases), p=probabilities))]
        both = sorted(own & set(other.levels[~other.cut].tolist()))
        pairs = [k for k in both if level_below(k) in both and all(_follow(c, k) for c in (case, other))]
        if other is not case and pairs:
            return other, int(rng.choice(pairs))
    return None
