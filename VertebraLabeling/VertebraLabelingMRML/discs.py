"""Points of the discs as a list of their own, in step with the vertebrae that they are derived from.

The list is locked and bears the names ``C2/C3`` to ``L5/S1``; it is no list of vertebrae. It refers to the point list
of its vertebrae and never tells of others than these are now: what this module writes there brings it up to date, and
whatever else changes them does so too, at once from the points alone. Where a :class:`DiscFollower` keeps up with a
list, it waits until the user has let go of a vertebra and looks at the CT, too.
"""

from weakref import WeakSet

import slicer
import vtk
from slicer.util import VTKObservationMixin
from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.reading.discs import discs_of

from .levels import ctOf
from .points import checkIsPointList, levelPoints
from .translation import tr as _
from .volumes import checkInScene

VERTEBRAE = "VertebraLabeling.vertebrae"  # the role of a node reference, from the discs to the points of the vertebrae
COLOR = (0.95, 0.6, 0.85)  # apart from the regions of vertebrae and from amber
SETTLE_MS = 50
GLYPH_SCALE, TEXT_SCALE = 2.0, 2.5  # percent of the view: smaller than those of vertebrae

WATCHED = vtk.vtkCommand.UserEvent + 2511
"""Nobody invokes this event: a list of vertebrae that has an observer of it is watched. Python's own references to a
node come and go while it lives, so none of them could tell."""

_followed = WeakSet()  # lists of vertebrae with a follower, which holds them


def discPoints(pointsNode, onCt=True):
    """The discs between the vertebrae of a list, head to foot, as the engine's :class:`Disc`, world RAS mm.

    Args:
        onCt: use the end plates that the CT of the points shows, where it is in the scene, and leave out discs that
            lie outside of it; ``False`` asks the points alone.

    Raises:
        InputError: there are no vertebrae, two stand at one place, or two bear one level.

    Example::

        for disc in discs.discPoints(pointsNode):
            print(disc.name, disc.ras, disc.confidence, disc.seen)
    """
    labels = SpineLabels(tuple(each.point for each in levelPoints(pointsNode)))
    return discs_of(labels, ctOf(pointsNode) if onCt else None)


def discsNodeOf(pointsNode):
    """The list of discs that was made from a list of vertebrae, or ``None``."""
    nodes = slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode") if pointsNode is not None else []
    return next((node for node in reversed(nodes) if node.GetNodeReference(VERTEBRAE) is pointsNode), None)


def isDiscs(node):
    """Whether a node is a list of discs that was made here."""
    return node is not None and node.GetNodeReferenceID(VERTEBRAE) is not None


def writeDiscs(pointsNode):
    """Make the list of discs of a list of vertebrae, or bring it up to date; returns its node.

    Raises:
        InputError: as of :func:`discPoints`, or this is no list in the scene; a list that is there is as it was.
    """
    checkIsPointList(pointsNode)
    checkInScene(pointsNode)
    discs = discPoints(pointsNode)
    node = discsNodeOf(pointsNode)
    if node is None:
        node = _created(pointsNode)
    _write(node, discs)
    _watch(pointsNode)
    return node


def updateDiscs(pointsNode, onCt=True):
    """Bring the list of discs up to date where there is one; returns it, or ``None``.

    Where the vertebrae cannot be read now, the list is emptied: it must not tell of other vertebrae than these.

    Args:
        onCt: as of :func:`discPoints`.
    """
    node = discsNodeOf(pointsNode)
    if node is None:
        return None
    try:
        discs = discPoints(pointsNode, onCt)
    except InputError:
        discs = ()
    _write(node, discs)
    _watch(pointsNode)
    return node


def resume():
    """Bring all lists of discs in the scene up to date, and keep them so; after a scene was opened."""
    for node in slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode"):
        pointsNode = node.GetNodeReference(VERTEBRAE)
        if pointsNode is not None and not pointsNode.HasObserver(WATCHED):
            updateDiscs(pointsNode)


def _watch(pointsNode):
    """Hear of changes of a list of vertebrae for as long as it exists."""
    if not pointsNode.HasObserver(WATCHED):
        for event in (WATCHED, *_changes()):
            pointsNode.AddObserver(event, _onChanged)


def _onChanged(pointsNode, event):
    if pointsNode not in _followed and pointsNode.GetScene() is not None:
        updateDiscs(pointsNode, onCt=False)


def _changes():
    """The events by which a list of vertebrae tells that its points have changed or moved."""
    markups = slicer.vtkMRMLMarkupsNode
    return (
        markups.PointModifiedEvent,
        markups.PointAddedEvent,
        markups.PointRemovedEvent,
        markups.PointPositionDefinedEvent,
        slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
    )


def _created(pointsNode):
    name = slicer.mrmlScene.GenerateUniqueName(_("{name} discs").format(name=pointsNode.GetName()))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetNodeReferenceID(VERTEBRAE, pointsNode.GetID())
    display = node.GetDisplayNode()
    display.SetSelectedColor(*COLOR)
    display.SetGlyphScale(GLYPH_SCALE)
    display.SetTextScale(TEXT_SCALE)
    display.SetGlyphTypeFromString("Diamond2D")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if hierarchy is not None:
        item, beside = (hierarchy.GetItemByDataNode(each) for each in (node, pointsNode))
        if item and beside:  # 0 where the hierarchy does not know the node
            hierarchy.SetItemParent(item, hierarchy.GetItemParent(beside))
    return node


def _write(node, discs):
    """Make the control points the discs; those that are right are left alone."""
    if [_shown(node, index) for index in range(node.GetNumberOfControlPoints())] == [_wanted(disc) for disc in discs]:
        return
    with slicer.util.NodeModify(node):
        node.SetFixedNumberOfControlPoints(False)
        node.SetLocked(False)
        names = [node.GetNthControlPointLabel(index) for index in range(node.GetNumberOfControlPoints())]
        if names != [disc.name for disc in discs]:
            node.RemoveAllControlPoints()
            for disc in discs:
                node.AddControlPointWorld(list(disc.ras))
        for index, disc in enumerate(discs):
            node.SetNthControlPointPositionWorld(index, list(disc.ras))
            node.SetNthControlPointLabel(index, disc.name)
            node.SetNthControlPointDescription(index, disc.description)
        node.SetLocked(True)
        node.SetFixedNumberOfControlPoints(True)


def _wanted(disc):
    return disc.name, disc.description, tuple(round(value, 3) for value in disc.ras)


def _shown(node, index):
    ras = tuple(round(value, 3) for value in node.GetNthControlPointPositionWorld(index))
    return node.GetNthControlPointLabel(index), node.GetNthControlPointDescription(index), ras


class DiscFollower(VTKObservationMixin):
    """Keeps the discs of one list of vertebrae up to date, many changes at a time as one; while the mouse holds a
    vertebra they wait.

    Args:
        later: ``later(ms, function)`` calls a function from the event loop of the user interface.
    """

    def __init__(self, later):
        super().__init__()
        self._later, self._node, self._settling, self._held = later, None, False, False

    def follow(self, pointsNode):
        """Follow this list of vertebrae instead of the one before; ``None`` to stop."""
        if pointsNode is self._node:
            return
        self.removeObservers()
        if self._node is not None:
            _followed.discard(self._node)
            if self._settling or self._held:
                _onChanged(self._node, None)
        self._node, self._settling, self._held = pointsNode, False, False
        if pointsNode is None:
            return
        _followed.add(pointsNode)
        for event in _changes():
            self.addObserver(pointsNode, event, self._onChange)
        markups = slicer.vtkMRMLMarkupsNode
        self.addObserver(pointsNode, markups.PointStartInteractionEvent, self._onHeld)
        self.addObserver(pointsNode, markups.PointEndInteractionEvent, self._onReleased)
        self._onChange(pointsNode, None)

    def _onHeld(self, caller, event):
        self._held = True

    def _onReleased(self, caller, event):
        self._held = False
        self._onChange(caller, event)

    def _onChange(self, caller, event):
        if not self._settling and not self._held:
            self._settling = True
            self._later(SETTLE_MS, self._settle)

    def _settle(self):
        self._settling = False
        if self._node is not None and self._node.GetScene() is not None and not self._held:
            updateDiscs(self._node)
