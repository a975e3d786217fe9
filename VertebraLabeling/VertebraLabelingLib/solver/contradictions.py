"""Where single vertebrae look like landmarks that the names of a chain put elsewhere.

The solver weighs all signs against each other. What it decides against is told, with the name that the landmark alone
would give.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.count_rules import FROM_ABOVE, FROM_SACRUM
from ..core.counting import Count
from ..core.evidence import Evidence
from ..core.label_warning import COUNTS, DENS, FIRST_RIB, LAST_RIB, SACRUM, LabelWarning
from ..core.parameters import SHIPPED, ChainParameters
from . import landmark_costs
from .chain_ends import signs_at

_SIGNS = {DENS: landmark_costs.C2, FIRST_RIB: landmark_costs.FIRST_RIB, SACRUM: landmark_costs.LAST}
_CALLED = {DENS: "C2", FIRST_RIB: "T1", SACRUM: "L5"}  # by a usual spine


def contradictions(
    levels: Sequence[str], points: np.ndarray, evidence: Evidence, count: Count, p: ChainParameters = SHIPPED.chain
) -> list[LabelWarning]:
    """Warnings about landmarks that would give a chain, head to foot, other names, and about doubtful twelfth ribs.

    Args:
        levels: found levels from head to foot.
        points: (M, 3) their positions, world RAS mm.
        evidence: what single vertebrae look like.
        count: of the chain.
        p: how sure a sign must be.
    """
    signs, levels = signs_at(points, evidence), list(levels)
    said = []
    for landmark, column in _SIGNS.items():
        odds, own = signs[:, column], _row(levels, landmark, count)
        row = int(odds.argmax())
        if odds[row] > p.clear_sign and row != own and (own is None or odds[own] <= 0):
            said.append(LabelWarning(COUNTS, (levels[row],), (_CALLED[landmark],), (landmark,)))
    return said + _at_the_last_rib(levels, signs[:, landmark_costs.RIB], count, p)


def _row(levels: list[str], landmark: str, count: Count) -> int | None:
    """Where the names of a chain put a landmark; ``None`` where they put it nowhere."""
    level = levels[-1] if landmark == SACRUM and count.last else _CALLED[landmark]
    return levels.index(level) if level in levels else None


def _at_the_last_rib(levels: list[str], ribs: np.ndarray, count: Count, p: ChainParameters) -> list[LabelWarning]:
    """What (M,) log-odds of ribs say against T12 or a lumbar vertebra; the lowest one only.

    Where both rules of counting agree, the count needs no rib.
    """
    said = []
    above, below = count.offset_by(FROM_ABOVE), count.offset_by(FROM_SACRUM)
    unsettled = ribs.any() and count.more == 0 and (above is None or above != below)
    least = p.lone_rib if count.landmarks == (LAST_RIB,) else p.unsettled_rib
    for level, odds, above_odds in zip(levels, ribs, (-np.inf, *ribs)):
        if level.startswith("L") and odds > p.clear_sign:
            said.append(LabelWarning(COUNTS, (level,), ("T12",), (LAST_RIB,)))
        elif unsettled and (
            (level == "T12" and odds < least)
            or (level == "L1" and odds > -p.unsettled_rib and above_odds - odds < p.rib_step)
        ):
            said.append(LabelWarning(COUNTS, (level,), landmarks=(LAST_RIB,)))
    return said[-1:]
