"""What the user is told about a solved chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..core.evidence import Evidence
from ..core.label_warning import BEYOND, CUT, END, FURTHER, GAP, OF_PLACES, SHIFT, SOLVER_KINDS, LabelWarning
from ..core.labels import LabeledPoint
from ..core.parameters import SHIPPED, ChainParameters
from ..core.spacing import lacks_t12, twice_apart
from .chain_ends import (
    count_of,
    cut_levels,
    end_of,
    has_further_bodies,
    landmarks_in_view,
    missing_at_ends,
    next_to,
    skipped,
)
from .contradictions import contradictions
from .fixed_points import REACH_MM


def warnings_for(
    levels: Sequence[str],
    points: np.ndarray,
    scale: float,
    evidence: Evidence,
    may_be_shifted: bool,
    p: ChainParameters = SHIPPED.chain,
) -> tuple[LabelWarning, ...]:
    """Warnings about a chain. What another count makes of it is told with its names: :mod:`.naming`.

    Args:
        levels: found levels from head to foot.
        points: (M, 3) their positions, world RAS mm.
        scale: size of the spine relative to the spacing statistics.
        evidence: tells where the field of view ends.
        may_be_shifted: the shifted chain is nearly as likely.
        p: how sure a landmark must be that stands against the names.
    """
    said = []
    if may_be_shifted:
        said.append(LabelWarning(SHIFT, landmarks=tuple(landmarks_in_view(levels, points, evidence))))
    count = count_of(levels, points, scale, evidence)
    said += contradictions(levels, points, evidence, count, p)
    said += _gaps(levels, lacks_t12(levels, points, scale))
    said += [LabelWarning(GAP, beside=pair) for pair in twice_apart(levels, points, scale)]
    missing = missing_at_ends(levels, points, scale, evidence)
    said += [LabelWarning(END, (level,), (end,)) for level, end, _ in missing if end != count.last]
    said += [LabelWarning(CUT, (level,)) for level in cut_levels(levels, points, scale, evidence)]
    if has_further_bodies(points, evidence):
        said.append(LabelWarning(FURTHER))
    return tuple(said)


def without_solver_warnings(warnings: Sequence[LabelWarning]) -> tuple[LabelWarning, ...]:
    """Those that a new solution does not replace."""
    return tuple(warning for warning in warnings if warning.kind not in SOLVER_KINDS)


def warnings_of_places(
    warnings: Sequence[LabelWarning], before: Sequence[LabeledPoint], after: Sequence[LabeledPoint]
) -> tuple[LabelWarning, ...]:
    """The warnings of what is seen at certain vertebrae, under the names that these bear now; the others as they are.

    Args:
        warnings: said of the points ``before``.
        before, after: the points of a scan; a vertebra that stands in none of ``after`` has no warning any more.
    """
    names = _names_by_place(before, after)
    renamed = (
        replace(warning, levels=tuple(names[level] for level in warning.levels if level in names))
        if warning.kind in OF_PLACES
        else warning
        for warning in warnings
    )
    ends = {point.level for point in (*after[:1], *after[-1:])}
    kept = (warning for warning in renamed if warning.levels or warning.kind not in OF_PLACES)
    return tuple(warning for warning in kept if warning.kind != BEYOND or ends.issuperset(warning.levels))


def _names_by_place(before: Sequence[LabeledPoint], after: Sequence[LabeledPoint]) -> dict[str, str]:
    """Old level -> new level of the vertebrae that are each other's nearest."""
    if not before or not after:
        return {}
    old, new = (np.array([point.ras for point in points]) for points in (before, after))
    apart = np.linalg.norm(old[:, None] - new[None], axis=2)
    nearest, back = apart.argmin(axis=1), apart.argmin(axis=0)
    pairs = [(row, column) for row, column in enumerate(nearest) if back[column] == row]
    return {before[row].level: after[column].level for row, column in pairs if apart[row, column] < REACH_MM}


def warnings_after_renaming(warnings: Sequence[LabelWarning], names: Mapping[str, str]) -> tuple[LabelWarning, ...]:
    """The warnings that hold once the user has given every vertebra of a chain a new name.

    The user's count settles a possible shift, so that warning goes. The vertebrae that the field of view cuts are
    the same ones under their new names, a vertebra that is missing at an end is the next one, and what is not named
    still is not. Warnings that :func:`warnings_for` did not write stay, under the new names
    where they are of certain vertebrae.

    Args:
        warnings: the warnings before.
        names: old level -> new level, from head to foot.
    """
    cut = [LabelWarning(CUT, (new,)) for old, new in names.items() if LabelWarning(CUT, (old,)) in warnings]
    further = [warning for warning in warnings if warning.kind == FURTHER]
    between = [
        LabelWarning(GAP, beside=(names[warning.beside[0]], names[warning.beside[1]]))
        for warning in warnings
        if warning.kind == GAP and not warning.levels and set(warning.beside) <= set(names)
    ]
    before, after = (list(its) for its in (names, names.values()))
    ends = [
        LabelWarning(END, (new,), (end_of(after, step),))
        for step in ((-1, 1) if names else ())
        if (old := next_to(before, step)) and (new := next_to(after, step))
        if LabelWarning(END, (old,), (end_of(before, step),)) in warnings
    ]
    others = [
        replace(warning, levels=tuple(names.get(level, level) for level in warning.levels))
        if warning.kind in OF_PLACES
        else warning
        for warning in without_solver_warnings(warnings)
    ]
    return (*_gaps(after), *between, *ends, *cut, *further, *others)


def _gaps(levels: Sequence[str], no_t12: bool = False) -> list[LabelWarning]:
    """Warnings about missed vertebrae of a chain from head to foot; a T12 that is not there is not missed."""
    missed = [each for each in skipped(levels) if not (no_t12 and each[:2] == ("T11", "L1"))]
    return [LabelWarning(GAP, tuple(between), (above, below)) for above, below, between in missed]
