"""Which level of the spine a place or a slice view shows, and slice views along a vertebra or disc.

All of it in world space, so it holds in any volume of the same frame of reference, for points under any transform. It
is read from the points as they are now: a correction changes it at once.
"""

import json
from weakref import WeakKeyDictionary

import numpy as np
import slicer
from VertebraLabelingLib.core.labels import LabeledPoint
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.reading.end_plates import with_end_plates
from VertebraLabelingLib.reading.level_reader import LevelReader
from VertebraLabelingLib.reading.planes import AXIAL
from VertebraLabelingLib.reading.report import report
from VertebraLabelingLib.reading.spine import Spine

from .control_points import levelIndices
from .node_attributes import jsonOf
from .points import checkIsPointList, readLabels, sourceVolume
from .stands_apart import standApart
from .translation import tr as _
from .volumes import volumeFromNode

TURNED_FROM = "VertebraLabeling.turnedFrom"  # attribute of a slice node: its axes before it was turned

SKEWED = 0.01  # of a product of two axes: more is none of a view's orientation

_readers = WeakKeyDictionary()  # points node -> (its points, reader or None): prepared once for a state of the points


def levelReader(pointsNode):
    """The engine's :class:`LevelReader` of the points as they are now; ``None`` where no level can be read from them.

    That is where there are no vertebrae, or where two stand at one place or bear one level. Prepared anew only when a
    point has changed; asking again takes a fraction of a millisecond.
    """
    found = tuple(
        (level, tuple(pointsNode.GetNthControlPointPositionWorld(index)))
        for index, level, placed in levelIndices(pointsNode)
        if placed
    )
    known = _readers.get(pointsNode)
    if known is None or known[0] != found:
        known = _readers[pointsNode] = found, _prepared(found)
    return known[1]


def _prepared(found):
    if len({level for level, _ in found}) < len(found):
        return None
    try:
        return LevelReader(Spine.of([LabeledPoint(level, ras) for level, ras in found]))
    except InputError:
        return None


def levelAt(pointsNode, rasWorld):
    """The level of a place, world RAS mm, as the engine's :class:`Reading`; ``None`` where none can be read.

    Example::

        reading = levels.levelAt(pointsNode, (3.0, -20.0, 310.0))
        print(reading.text(), reading.kind, reading.levels, reading.fraction)  # T8, upper third
    """
    reader = levelReader(pointsNode)
    return reader.at(rasWorld) if reader is not None and np.isfinite(rasWorld).all() else None


def levelOfView(pointsNode, sliceNode, rasWorld=None):
    """The level that a slice view shows.

    A slice across the spine is at the level where it cuts it, wherever in the slice one looks. A slice along the spine
    shows many: then it is that of a place in it.

    Args:
        sliceNode: vtkMRMLSliceNode.
        rasWorld: the place, e.g. that of the crosshair; by default the middle of the view.

    Returns:
        :class:`Reading`, or ``None`` where none can be read.
    """
    reader = levelReader(pointsNode)
    if reader is None:
        return None
    matrix = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())
    return reader.on_slice(matrix) or levelAt(pointsNode, matrix[:3, 3] if rasWorld is None else rasWorld)


def textOf(reading):
    """What the corner of a view says, in the user's language; empty for ``None``."""
    return reading.text(_) if reading is not None else ""


def reportText(pointsNode):
    """Three sentences for a report, in the user's language: levels seen, how counted, what is unusual or uncertain.

    Raises:
        InputError: there is no point list, or no vertebrae in it, or a level is used twice.
    """
    checkIsPointList(pointsNode)
    return report(readLabels(pointsNode), translate=_)


def planeNames(pointsNode):
    """All that have a plane, head to foot, to go through by keys: ``["C2", "C2/C3", "C3", ...]``."""
    reader = levelReader(pointsNode)
    if reader is None:
        return []
    names, discs = [], list(reader.spine.discs)
    for level in reader.spine.levels:
        names += [level, *(name for name in discs if name.split("/")[0] == level)]
    return names


def planeOf(pointsNode, name, onCt=True):
    """The engine's :class:`Plane` of a vertebra (``T8``) or disc (``T8/T9``), world RAS mm.

    It stands across the spine, and on the end plates where the CT of the points is in the scene and shows them.

    Args:
        onCt: ``False`` asks the points alone.

    Raises:
        InputError: there is no such vertebra or disc.
    """
    reader = levelReader(pointsNode)
    if reader is None:
        raise InputError(_("There is no spine to turn to: label a CT, or correct points that stand at one place."))
    spine, levels = reader.spine, name.split("/")
    if name not in planeNames(pointsNode):
        raise InputError(_("There is no vertebra or disc {name} among these points: choose another.").format(name=name))
    volume = ctOf(pointsNode) if onCt else None
    if volume is not None:
        spine = with_end_plates(spine, volume, levels[:1] if len(levels) > 1 else levels)
    return spine.discs[name] if len(levels) > 1 else spine.vertebrae[spine.levels.index(name)].plane


def vertebraPlane(pointsNode, level, onCt=True):
    """:func:`planeOf` a vertebra; its origin is the point."""
    return planeOf(pointsNode, level, onCt)


def discPlane(pointsNode, name, onCt=True):
    """:func:`planeOf` a disc, e.g. ``"L4/L5"``; its origin is the middle of the disc."""
    return planeOf(pointsNode, name, onCt)


def ctOf(pointsNode):
    """The CT of the points as the engine's :class:`Volume` in world space.

    ``None`` where it is not there, is bent, or does not stand where its points do.
    """
    volumeNode = sourceVolume(pointsNode) if not standApart(pointsNode) else None
    try:
        return volumeFromNode(volumeNode) if volumeNode is not None else None
    except InputError:
        return None


def turnTo(sliceNode, plane, orientation=AXIAL):
    """Turn a slice view to a plane: into it, or along the spine through its middle.

    Args:
        plane: of :func:`planeOf`.
        orientation: ``"Axial"``, ``"Sagittal"`` or ``"Coronal"``, as the vertebra has them.
    """
    matrix = plane.slice_to_ras(orientation)  # first: where there is none, the view is not marked as turned
    if not sliceNode.GetAttribute(TURNED_FROM):
        axes = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())[:3, :3]
        sliceNode.SetAttribute(TURNED_FROM, json.dumps(axes.ravel().tolist()))
    _turn(sliceNode, matrix)


def turnBack(sliceNode):
    """Turn a view that was turned as it was before, at the place where it is now; others are left alone."""
    if not sliceNode.GetAttribute(TURNED_FROM):
        return
    before = axesBefore(sliceNode)
    sliceNode.SetAttribute(TURNED_FROM, None)
    if before is None:
        return
    matrix = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())
    matrix[:3, :3] = before
    if np.abs(matrix[:3, :3].T @ matrix[:3, :3] - np.eye(3)).max() < SKEWED:
        _turn(sliceNode, matrix)


def axesBefore(sliceNode):
    """(3, 3) axes of a view before it was turned; ``None`` where it was not, or a damaged scene does not tell them."""
    before = jsonOf(sliceNode, TURNED_FROM, [])
    if len(before) != 9 or not all(type(number) in (int, float) for number in before):
        return None
    return np.reshape(before, (3, 3))


def _turn(sliceNode, matrix):
    with slicer.util.NodeModify(sliceNode):
        slicer.util.updateVTKMatrixFromArray(sliceNode.GetSliceToRAS(), matrix)
        sliceNode.UpdateMatrices()
