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
from VertebraLabelingLib.reading.planes import AXIAL, ORIENTATIONS, Plane
from VertebraLabelingLib.reading.report import report
from VertebraLabelingLib.reading.spine import Spine

from .control_points import SAME_VERTEBRA_MM, levelIndices
from .node_attributes import checkIsNode, jsonOf
from .points import checkIsPointList, readLabels, sourceVolume
from .stands_apart import standApart
from .translation import tr as _
from .volumes import volumeFromNode

TURNED_FROM = "VertebraLabeling.turnedFrom"  # attribute of a slice node: its axes before it was turned
TURNED_TO = "VertebraLabeling.turnedTo"  # attribute of a slice node: axes and origin to which it was turned
TURNED_BY = "VertebraLabeling.turnedBy"  # role of a node reference: the points whose plane that is

SKEWED = 0.01  # of a product of two axes: more is none of a view's orientation

_readers = WeakKeyDictionary()  # points node -> (its points, reader or None): prepared once for a state of the points


def levelReader(pointsNode):
    """The engine's :class:`LevelReader` of the points as they are now; ``None`` where no level can be read from them.

    That is where there are no vertebrae, or where two stand at one place or bear one level. Prepared anew only when a
    point has changed; asking again takes a fraction of a millisecond.

    Raises:
        InputError: this is no point list.
    """
    checkIsPointList(pointsNode)
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

    Raises:
        InputError: this is no point list, or no place.
    """
    reader, place = levelReader(pointsNode), _placeOf(rasWorld)
    return reader.at(place) if reader is not None and np.isfinite(place).all() else None


def levelOfView(pointsNode, sliceNode, rasWorld=None):
    """The level that a slice view shows.

    A slice across the spine is at the level where it cuts it, wherever in the slice one looks. A slice along the spine
    shows many: then it is that of a place in it.

    Args:
        sliceNode: vtkMRMLSliceNode.
        rasWorld: the place, e.g. that of the crosshair; by default the middle of the view.

    Returns:
        :class:`Reading`, or ``None`` where none can be read.

    Raises:
        InputError: this is no point list, or no slice view.
    """
    reader = levelReader(pointsNode)
    _checkIsSliceView(sliceNode)
    if reader is None:
        return None
    matrix = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())
    return reader.on_slice(matrix) or levelAt(pointsNode, matrix[:3, 3] if rasWorld is None else rasWorld)


def placeOfView(pointsNode, sliceNode):
    """Where a slice view cuts the line through the vertebrae, world RAS mm; ``None`` where it runs along the spine, or
    beside it, or no level can be read.

    Raises:
        InputError: this is no point list, or no slice view.
    """
    _checkIsSliceView(sliceNode)
    reader = levelReader(pointsNode)
    place = reader.cut(slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())) if reader is not None else None
    return tuple(place.tolist()) if place is not None else None


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


def planeAt(pointsNode, rasWorld):
    """The name of the vertebra or disc in whose plane a view stands that was turned to a place, world RAS mm.

    A level read there may be another: the end plates that the CT shows put the middle of a disc into the vertebra that
    the points alone tell. Empty where none is near.
    """
    reader = levelReader(pointsNode)
    if reader is None:
        return ""
    middles = {each.level: each.center for each in reader.spine.vertebrae}
    middles |= {name: plane.origin for name, plane in reader.spine.discs.items()}
    name = min(middles, key=lambda each: np.linalg.norm(middles[each] - rasWorld))
    return name if np.linalg.norm(middles[name] - rasWorld) < SAME_VERTEBRA_MM else ""


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
    if name not in planeNames(pointsNode):
        raise InputError(_("There is no vertebra or disc {name} among these points: choose another.").format(name=name))
    spine, levels = reader.spine, name.split("/")
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


def turnTo(sliceNode, plane, orientation=AXIAL, pointsNode=None):
    """Turn a slice view to a plane: into it, or along the spine through its middle.

    Args:
        plane: of :func:`planeOf`.
        orientation: ``"Axial"``, ``"Sagittal"`` or ``"Coronal"``, as the vertebra has them.
        pointsNode: the points whose plane it is, so that the panel names it, also in a scene that was saved.

    Raises:
        InputError: one of them is something else.
    """
    _checkIsSliceView(sliceNode)
    if not isinstance(plane, Plane) or orientation not in ORIENTATIONS:
        raise InputError(f"A view is turned to a plane of levels.planeOf, as {', '.join(ORIENTATIONS)}: give both so.")
    if pointsNode is not None:
        checkIsPointList(pointsNode)
    matrix = plane.slice_to_ras(orientation)
    if not sliceNode.GetAttribute(TURNED_FROM):
        axes = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())[:3, :3]
        sliceNode.SetAttribute(TURNED_FROM, json.dumps(axes.ravel().tolist()))
    sliceNode.SetAttribute(TURNED_TO, json.dumps(matrix[:3].ravel().tolist()))
    sliceNode.SetNodeReferenceID(TURNED_BY, pointsNode.GetID() if pointsNode is not None else None)
    _turn(sliceNode, matrix)


def turnBack(sliceNode):
    """Turn a view that was turned as it was before, at the place where it is now; others are left alone."""
    _checkIsSliceView(sliceNode)
    if not sliceNode.GetAttribute(TURNED_FROM):
        return
    before = axesBefore(sliceNode)
    for attribute in (TURNED_FROM, TURNED_TO):
        sliceNode.SetAttribute(attribute, None)
    sliceNode.SetNodeReferenceID(TURNED_BY, None)
    if before is None:
        return
    matrix = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())
    matrix[:3, :3] = before
    if np.abs(matrix[:3, :3].T @ matrix[:3, :3] - np.eye(3)).max() < SKEWED:
        _turn(sliceNode, matrix)


def axesBefore(sliceNode):
    """(3, 3) axes of a view before it was turned; ``None`` where it was not, or a damaged scene does not tell them."""
    return _numbersOf(sliceNode, TURNED_FROM, (3, 3))


def turnedTo(sliceNode):
    """(points, place): whose plane a view shows, ``None`` where that is not known, and where, world RAS mm.

    ``None`` where the view was not turned, or has been turned otherwise since.
    """
    matrix = _numbersOf(sliceNode, TURNED_TO, (3, 4))
    now = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())[:3, :3]
    if axesBefore(sliceNode) is None or matrix is None or np.abs(matrix[:, :3] - now).max() > SKEWED:
        return None
    return sliceNode.GetNodeReference(TURNED_BY), tuple(matrix[:, 3].tolist())


def _checkIsSliceView(sliceNode):
    checkIsNode(sliceNode)
    if not sliceNode.IsA("vtkMRMLSliceNode"):
        raise InputError(f"'{sliceNode.GetName()}' is not a slice view: give a vtkMRMLSliceNode.")


def _placeOf(rasWorld):
    try:
        place = np.asarray(rasWorld, dtype=float)
    except (TypeError, ValueError):
        place = None
    if place is None or place.shape != (3,):
        raise InputError("A place is three numbers, R, A and S in mm: give these.")
    return place


def _numbersOf(sliceNode, attribute, shape):
    """An array that a view remembers; ``None`` where there is none, or a damaged scene does not tell it."""
    numbers = jsonOf(sliceNode, attribute, [])
    if len(numbers) != np.prod(shape) or not all(type(each) in (int, float) for each in numbers):
        return None
    return np.reshape(numbers, shape)


def _turn(sliceNode, matrix):
    with slicer.util.NodeModify(sliceNode):
        slicer.util.updateVTKMatrixFromArray(sliceNode.GetSliceToRAS(), matrix)
        sliceNode.UpdateMatrices()
