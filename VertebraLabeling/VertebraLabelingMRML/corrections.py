"""Correcting the labels of a node: the user says one thing, the solver names the rest again.

Each function reads the labels from the node, asks ``chain.relabel`` (numpy only, well under a second, from the
evidence kept with the node) and writes the answer back. If it raises, the node is as it was.
"""

from dataclasses import replace

import numpy as np
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS, USUAL_LEVELS
from VertebraLabelingLib.core.counting import Count
from VertebraLabelingLib.core.label_warning import SHIFT
from VertebraLabelingLib.core.labels import CONFIRMED
from VertebraLabelingLib.errors import InputError, NoSpineError
from VertebraLabelingLib.solver.chain import relabel
from VertebraLabelingLib.solver.naming import count_in, counted_by, counted_by_user
from VertebraLabelingLib.solver.warnings import warnings_after_renaming

from . import found_in
from .points import levelPoints, placesAsWritten, readLabels, sourceVolume, updateStatus, writeLabels

UNSURE = 0.5  # confidence of a name that the user asked for and the solver would not have chosen
ROUNDING_MM = 0.02  # more than the evidence's positions are rounded by
USUAL = Count()  # of a spine with twelve ribs, named as what is seen
BETWEEN_MM = 8.0  # a candidate this near to the middle between two points is taken for the missed vertebra


def nameAs(pointsNode, index, level):
    """ "This is L1": name a control point; the others are named again around it.

    Args:
        pointsNode: the labeled markups node.
        index: index of the control point in the node.
        level: its correct level.

    Raises:
        InputError: no evidence, an unknown level, or names that contradict the order of the spine or what was moved or
            confirmed before.
    """
    labels, point = _labelsAndPoint(pointsNode, index)
    _writeSolved(pointsNode, labels, relabel(labels, {level: point.ras}))


def follow(pointsNode):
    """Name the others again around a point that was dragged, which keeps its name and its new place.

    A drag says where a vertebra is, not which: confidences and warnings stay what the evidence says.

    Raises:
        InputError: a moved or confirmed point would have to go, or a confirmed one to change its level: it lies beyond
            the dragged one, or at its place.
    """
    labels = readLabels(pointsNode)
    if labels.evidence is None:
        updateStatus(pointsNode)
        return
    _writeSolved(pointsNode, labels, relabel(labels, {}))


def countBy(pointsNode, rule):
    """Give all vertebrae the names of a rule; nothing is named again, and places, statuses and confirmed points stay.

    Args:
        rule: one of ``core.count_rules.RULES``; ``solver.naming.alternative_names`` tells which would change names.

    Raises:
        InputError: an unknown rule, or a vertebra bears a name that does not exist by the present one.
    """
    writeLabels(pointsNode, counted_by(readLabels(pointsNode), rule))


def shift(pointsNode, step):
    """Name every vertebra one level further down (``step`` = 1) or up (-1): the count was off by one.

    The point that the solver was surest of becomes confirmed and so holds the count in later runs. Where the solver
    would rather have kept another name, the point gets confidence 0.5. Warnings speak of the new names, and none says
    any more that levels may be shifted.

    Raises:
        InputError: the spine would pass C1 or L5, or the node holds no points.
    """
    labels = readLabels(pointsNode)
    if not labels.points:
        raise InputError("There are no vertebrae to shift: label a CT first.")
    levels = shifted([point.level for point in labels.points], step, count_in(labels))
    renamed = dict(zip((point.level for point in labels.points), levels))
    surest = max(labels.points, key=lambda point: (point.is_named, point.confidence))
    held = [point for point in labels.points if point.is_named or point is surest]
    solved = {}
    if labels.evidence is not None:
        solved = relabel(labels, {renamed[point.level]: point.ras for point in held}).by_level
    points = []
    for point in labels.points:
        level = renamed[point.level]
        agreed = level in solved and np.allclose(solved[level].ras, point.ras, atol=0.1)
        confidence = solved[level].confidence if agreed else UNSURE
        said = replace(point, level=level, status=CONFIRMED if point is surest else point.status)
        points.append(replace(said, confidence=1.0 if said.is_named else confidence))
    warnings = warnings_after_renaming(labels.warnings, renamed)
    writeLabels(pointsNode, counted_by_user(replace(labels, points=tuple(points), warnings=warnings)))


def shifted(levels, step, count=USUAL):
    """The names of consecutive vertebrae moved by ``step`` levels; gaps stay gaps, T13 and L6 count as vertebrae.

    Args:
        levels: head to foot.
        step: 1 or -1.
        count: of these levels. Where it has seen no T12, that is no gap; where it names vertebrae one by one, there is
            an L6 below L5.
    """
    names = _namesOneByOne(count)
    absent = ("T12",) if count.offset is None and count.more < 0 else ()
    present = [level for level in LEVELS if (level in names and level not in absent) or level in levels]
    first = names.index(levels[0]) if levels[0] in names else None
    if first is None:
        raise InputError(f"{levels[0]} cannot be shifted: name one vertebra instead.")
    places = [first + step + present.index(level) - present.index(levels[0]) for level in levels]
    if places[0] < 0 or places[-1] >= len(names):
        end = "above C1" if places[0] < 0 else f"below {names[-1]}"
        raise InputError(f"The levels cannot be shifted {end}: name one vertebra instead.")
    return [names[place] for place in places]


def _namesOneByOne(count):
    """The names that one vertebra after the other can have."""
    return USUAL_LEVELS if count.offset is None else (*USUAL_LEVELS, "L6")


def addBelow(pointsNode, index):
    """Add a missed vertebra between a control point and the next one; those below are named again.

    The new point stands where the network saw a body that the solver left out, else halfway. Returns its level.

    Raises:
        InputError: there is no next vertebra, no level for the new one, or no room for what was moved or confirmed.
    """
    labels, point = _labelsAndPoint(pointsNode, index)
    place = labels.points.index(point)
    if place + 1 == len(labels.points):
        raise InputError(f"There is no vertebra below {point.level} to add one before: place a point by hand instead.")
    below = labels.points[place + 1]
    level = nextLevel(point.level, count_in(labels))
    if labels.evidence is None:
        raise InputError("These points hold no labeling evidence: label the scan again, then correct it.")
    ras = _between(labels.evidence.points, point.ras, below.ras)
    _writeSolved(pointsNode, labels, relabel(labels, {level: ras}))
    return level


def nextLevel(level, count=USUAL):
    """The level below in the usual spine; where vertebrae are named one by one, there is an L6 below L5.

    Raises:
        InputError: there is none.
    """
    below = [other for other in _namesOneByOne(count) if LEVEL_INDEX[other] > LEVEL_INDEX[level]]
    if not below:
        raise InputError(f"No level follows {level}.")
    return below[0]


def delete(pointsNode, index):
    """Delete a point that is no vertebra; the others are named again without it.

    Raises:
        InputError: the control point is no vertebra of the node; moved or confirmed points contradict each other.
    """
    labels, point = _labelsAndPoint(pointsNode, index)
    others = labels.with_points(tuple(other for other in labels.points if other is not point))
    if labels.evidence is not None:
        try:
            others = relabel(labels, {}, removed=[point.ras])
        except NoSpineError:
            others = labels.with_points(())  # it was the last one
    _writeSolved(pointsNode, labels, others)


def confirm(pointsNode, indices):
    """Accept points as they are: later runs and corrections keep their level and place.

    One accepted level settles the count, so no warning says any more that levels may be shifted. Where the voxels have
    changed since, confirming all settled points says that they hold in these voxels.
    """
    wanted = {each.point.level for each in levelPoints(pointsNode) if each.index in set(indices)}
    labels = readLabels(pointsNode)
    points = (
        replace(point, status=CONFIRMED, confidence=1.0) if point.level in wanted else point for point in labels.points
    )
    warnings = tuple(warning for warning in labels.warnings if not (wanted and warning.kind == SHIFT))
    labels = replace(labels, points=tuple(points), warnings=warnings)
    writeLabels(pointsNode, found_in.affirmed(labels, placesAsWritten(pointsNode), sourceVolume(pointsNode), wanted))


def _labelsAndPoint(pointsNode, index):
    for each in levelPoints(pointsNode):
        if each.index == index:
            labels = readLabels(pointsNode)
            return labels, labels.by_level[each.point.level]
    raise InputError("No vertebra is chosen: choose one in the table.")


def _writeSolved(pointsNode, before, after):
    """Write what the solver answered; points that only lost digits (the evidence is rounded) stay where they are."""
    places = [point.ras for point in before.points]
    points = []
    for point in after.points:
        near = [ras for ras in places if np.abs(np.subtract(ras, point.ras)).max() < ROUNDING_MM]
        points.append(replace(point, ras=near[0]) if near else point)
    writeLabels(pointsNode, after.with_points(tuple(points)))


def _between(candidates, above, below):
    middle = (np.array(above) + np.array(below)) / 2
    distance = np.linalg.norm(candidates - middle, axis=1) if len(candidates) else np.array([np.inf])
    nearest = candidates[distance.argmin()] if distance.min() < BETWEEN_MM else middle
    return tuple(float(value) for value in nearest)
