"""How vertebrae are named where their number is unusual: counted from the landmarks in view, named as what is seen.

A spine of thirteen or eleven rib-bearing, six or four lumbar vertebrae is made by joining two patients so that one
vertebra comes twice or not at all. What each vertebra *looks* like is known from the patient it is of; what it is
*called* follows from the landmarks that the piece shows.
"""

from __future__ import annotations

import numpy as np
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX

UNNAMED = -1
USUAL, DOUBLED, OMITTED = "usual", "doubled", "omitted"
_C1, _T1, _T12, _T13, _L1, _L5, _L6 = (LEVEL_INDEX[level] for level in ("C1", "T1", "T12", "T13", "L1", "L5", "L6"))
FIRST_LAST = {  # kind of joint -> last levels of the upper patient, from and to
    USUAL: (_C1, _L5 - 1),
    DOUBLED: (_T1 + 1, _L5 - 1),
    OMITTED: (_T1, _L5 - 2),
}


def below(level: int) -> int:
    """The level that follows in a usual spine."""
    return _L1 if level == _T12 else level + 1


def above(level: int) -> int:
    """The level before in a usual spine."""
    return _T12 if level == _L1 else level - 1


def first_of_lower(last: int, kind: str) -> int:
    """The first level of the lower patient at a joint below level ``last`` of the upper one."""
    return {USUAL: below(last), DOUBLED: last, OMITTED: below(below(last))}[kind]


def counted_names(looks: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Names of the vertebrae of one piece, head to foot.

    Where the neck or T1 is in view, thoracic vertebrae are counted from the first rib; else, where a lumbar one is,
    from the last rib, which is T12's. Lumbar vertebrae are counted from the last rib; where that is not in view, from
    the sacrum.

    Args:
        looks: (N,) level index of each vertebra in its own patient's spine.
        whole: (N,) whether it is in view; only these are landmarks.

    Returns:
        (N,) level indices, :data:`UNNAMED` where no landmark settles them.
    """
    if all(b == below(a) for a, b in zip(looks, looks[1:])):
        return looks
    names, seen = np.array(looks), looks[whole]
    thoracic = np.flatnonzero((looks >= _T1) & (looks <= _T13))
    lumbar = np.flatnonzero(looks >= _L1)
    last_rib = bool(((seen >= _T1) & (seen <= _T13)).any() and (seen >= _L1).any())
    if (seen <= _T1).any():
        names[thoracic] = _from_above(looks, thoracic, _T13)
    elif last_rib:
        names[thoracic] = _T12 - np.arange(len(thoracic))[::-1]
    elif _is_changed(looks[thoracic]):
        names[thoracic] = UNNAMED
    if last_rib:
        names[lumbar] = _from_above(looks, lumbar, _L6, _L1)
    elif (seen >= _L5).any():
        names[lumbar] = np.where(len(lumbar) > _L5 - _L1 + 1, UNNAMED, _L5 - np.arange(len(lumbar))[::-1])
    elif _is_changed(looks[lumbar]):
        names[lumbar] = UNNAMED
    return names


def _is_changed(looks: np.ndarray) -> bool:
    return bool((np.diff(looks) != 1).any())


def _from_above(looks: np.ndarray, own: np.ndarray, last: int, first: int | None = None) -> np.ndarray:
    """Names of one region counted from its first vertebra in view; unnamed where there are too many."""
    if not len(own):
        return own
    names = (looks[own[0]] if first is None else first) + np.arange(len(own))
    return names if names[-1] <= last else np.full(len(own), UNNAMED)
