"""Control points of a markups node: which of them bears which vertebra, and what the user did to them in Markups.

A vertebra keeps its control point across corrections and runs, and with it all that the user set there: lock,
visibility, color. Only what has no vertebra any more is removed, and only what has no control point yet is added.
"""

import json
import re
from dataclasses import dataclass

import numpy as np
import slicer
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.formats.limits import is_place
from VertebraLabelingLib.solver.fixed_points import REACH_MM

AMBER_SHOWN = "VertebraLabeling.amber"  # attribute: IDs of the control points that were last shown as uncertain
SAME_VERTEBRA_MM = REACH_MM  # a place that near to where a vertebra was is that vertebra

_TYPED_LEVEL = re.compile(r"\s*([CTL])\s*-?\s*([1-9][0-9]?)\s*", re.IGNORECASE | re.ASCII)


def levelOf(text):
    """The level that a name means, also typed as ``l1``, ``L 1`` or ``l-1``; ``None`` where it is none."""
    match = _TYPED_LEVEL.fullmatch(text.replace("\N{NO-BREAK SPACE}", " "))
    level = "".join(match.groups()).upper() if match else None
    return level if level in LEVEL_INDEX else None


def levelIndices(pointsNode):
    """(index, level, whether it stands somewhere) of each control point whose name is a level, in the node's order."""
    found = []
    for index in range(pointsNode.GetNumberOfControlPoints()):
        level = levelOf(pointsNode.GetNthControlPointLabel(index))
        if level is not None:
            defined = pointsNode.GetNthControlPointPositionStatus(index) == slicer.vtkMRMLMarkupsNode.PositionDefined
            placed = defined and is_place(pointsNode.GetNthControlPointPositionWorld(index))
            found.append((index, level, placed))
    return found


def mendNames(pointsNode):
    """Write names as they should be, ``l1`` as ``L1``, unless another control point bears that level already."""
    found = levelIndices(pointsNode)
    levels = [level for _, level, _ in found]
    for index, level, _ in found:
        if pointsNode.GetNthControlPointLabel(index) != level and levels.count(level) == 1:
            pointsNode.SetNthControlPointLabel(index, level)


@dataclass(frozen=True)
class Plan:
    """What is to become of the control points of a node.

    Attributes:
        indices: of each vertebra, the control point that bears it; ``None`` for a new one.
        strange: indices among these that bore another vertebra before.
        surplus: control points to remove.
    """

    indices: list
    strange: list
    surplus: list


def plan(pointsNode, points, places=None):
    """Which control points are to bear these :class:`LabeledPoint`: nearest first, then by level, then any.

    Args:
        places: level -> world RAS mm of the vertebrae before, where that is not where their control points stand: the
            volume was moved.

    Raises:
        InputError: the node cannot take that many points.
    """
    found = levelIndices(pointsNode)
    old = [(index, level) for index, level, placed in found if placed]
    unplaced = {level: index for index, level, placed in found if not placed}
    places = [(places or {}).get(level, pointsNode.GetNthControlPointPositionWorld(index)) for index, level in old]
    indices = _byPlace([index for index, _ in old], places, points)
    left = [(index, level) for index, level in old if index not in indices]
    _fill(indices, points, {level: index for index, level in left})
    _fill(indices, points, {level: index for level, index in unplaced.items()})
    left = [index for index, _ in left if index not in indices]
    strange = []
    for row, index in enumerate(indices):
        if index is None and left:
            indices[row] = left.pop(0)
            strange.append(indices[row])
    checkRoom(pointsNode, indices.count(None), len(left))
    return Plan(indices, strange, left)


def _byPlace(old, places, points):
    """The control point of each vertebra by the distance between them; ``None`` where none is near."""
    before = np.array(places).reshape(-1, 1, 3)
    after = np.array([point.ras for point in points]).reshape(1, -1, 3)
    apart = np.linalg.norm(before - after, axis=2)
    indices = [None] * len(points)
    for place in np.argsort(apart, axis=None, kind="stable"):
        row, column = np.unravel_index(place, apart.shape)
        if apart[row, column] > SAME_VERTEBRA_MM:
            break
        if indices[column] is None and old[row] not in indices:
            indices[column] = old[row]
    return indices


def _fill(indices, points, byLevel):
    for row, point in enumerate(points):
        if indices[row] is None:
            indices[row] = byLevel.pop(point.level, None)


def checkRoom(pointsNode, added, removed=0):
    """Raise InputError unless so many control points can be added to the node, and so many removed."""
    name, most = pointsNode.GetName(), pointsNode.GetMaximumNumberOfControlPoints()
    if (added or removed) and pointsNode.GetFixedNumberOfControlPoints():
        raise InputError(
            f"'{name}' has a fixed number of points, and the vertebrae need another: unlock the number of its points "
            "in Markups, or choose another point list."
        )
    total = pointsNode.GetNumberOfControlPoints() + added - removed
    if added and 0 <= most < total:
        raise InputError(f"'{name}' takes {most} points at most and would need {total}: choose another point list.")


def apply(pointsNode, plan, points):
    """Carry out a :func:`plan`; returns the index of each vertebra. They stand in the node in the given order."""
    ids = []
    for index, point in zip(plan.indices, points):
        index = pointsNode.AddControlPointWorld(list(point.ras)) if index is None else index
        ids.append(pointsNode.GetNthControlPointID(index))
    for index in plan.strange:
        _forgetMarks(pointsNode, index)
    for index in sorted(plan.surplus, reverse=True):
        pointsNode.RemoveNthControlPoint(index)
    slots = sorted(pointsNode.GetNthControlPointIndexByID(each) for each in ids)
    for slot, wanted in zip(slots, ids):
        index = pointsNode.GetNthControlPointIndexByID(wanted)
        if index != slot:
            pointsNode.SwapControlPoints(index, slot)
    return slots


def _forgetMarks(pointsNode, index):
    """What the user set was said of another vertebra."""
    pointsNode.SetNthControlPointLocked(index, False)
    pointsNode.SetNthControlPointVisibility(index, True)
    pointsNode.SetNthControlPointSelected(index, pointsNode.GetNthControlPointID(index) not in amberShown(pointsNode))


def amberShown(pointsNode):
    """IDs of the control points that were last shown as uncertain; empty where none were, or nothing was shown."""
    try:
        ids = json.loads(pointsNode.GetAttribute(AMBER_SHOWN) or "[]")
    except (ValueError, RecursionError):
        return set()
    return {each for each in ids if isinstance(each, str)} if isinstance(ids, list) else set()


def showAmber(pointsNode, uncertain):
    """Show control points in amber, which is how those that are not selected look; the others in the usual color.

    Only a change is shown: a control point that the user has selected or unselected in Markups stays so.

    Args:
        uncertain: index -> whether the vertebra is uncertain.
    """
    before, first = amberShown(pointsNode), pointsNode.GetAttribute(AMBER_SHOWN) is None
    for index, amber in uncertain.items():
        if first or amber != (pointsNode.GetNthControlPointID(index) in before):
            pointsNode.SetNthControlPointSelected(index, not amber)
    now = json.dumps([pointsNode.GetNthControlPointID(index) for index, amber in uncertain.items() if amber])
    if now != pointsNode.GetAttribute(AMBER_SHOWN):
        pointsNode.SetAttribute(AMBER_SHOWN, now)
