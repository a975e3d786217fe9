"""In which views the points are projected: along the spine all of them, across it none but those of the slice.

Projected onto a slice across the spine, all vertebrae would lie over one another, and one far away could be dragged by
mistake. Markups are projected by display node, so the points have two: one for the views along the spine, and one
without projection for the views across it. The same holds for the balls behind the points, which are models.
"""

import numpy as np
import slicer
import vtk
from slicer.util import VTKObservationMixin

from .display import copyLook, regionModels
from .points import placesOf
from .slice_names import SliceNames

ACROSS = "VertebraLabeling.across"  # marks the display node for the views across the spine
ARRANGED = "VertebraLabeling.views"  # in which views the two display nodes are shown
ACROSS_DEG = 45.0  # a slice whose normal is nearer to the spine's direction cuts across
SETTLE_MS = 20


def arrange(pointsNode):
    """Show points and balls projected in the views along the spine, and in their own slice in those across it.

    Points that are not projected at all are left alone; so is what the user chose since, until a view turns.
    Returns the IDs of the slice views across the spine.
    """
    display = pointsNode.GetDisplayNode()
    places = placesOf(pointsNode)
    if display is None or not len(places) or not (display.GetSliceProjection() or _across(pointsNode)):
        return []
    slices = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    across = [each.GetID() for each in slices if isAcross(each, places)]
    others = [each.GetID() for each in (*slices, *slicer.util.getNodesByClass("vtkMRMLViewNode"))]
    others = [each for each in others if each not in across]
    _dropForeign(pointsNode)
    for each in (pointsNode, *regionModels(pointsNode).values()):
        _split(each, across, others)
    mirror(pointsNode)
    return across


def isAcross(sliceNode, places):
    """Whether a slice cuts across the spine rather than runs along it.

    Args:
        sliceNode: vtkMRMLSliceNode, of any orientation.
        places: (N, 3) world RAS mm, head to foot; the direction of the spine is that at the vertebra nearest the slice.
    """
    matrix = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())
    normal = matrix[:3, 2] / np.linalg.norm(matrix[:3, 2])
    nearest = np.abs((places - matrix[:3, 3]) @ normal).argmin()
    spine = places[max(nearest - 1, 0)] - places[min(nearest + 1, len(places) - 1)]
    length = np.linalg.norm(spine)
    spine = spine / length if length > 0 else np.array([0.0, 0.0, 1.0])  # a single vertebra: as in one that lies
    return bool(abs(normal @ spine) > np.cos(np.radians(ACROSS_DEG)))


def mirror(pointsNode):
    """Make the points look across the spine as they do along it: what the user sets in Markups is the first's."""
    display, second = pointsNode.GetDisplayNode(), _across(pointsNode)
    if second is not None:
        copyLook(display, second)


class SliceViewFollower(VTKObservationMixin):
    """Arranges the points of one node anew when a slice view turns, a view comes or goes, or the look is changed.

    In the views across the spine it also names the vertebra that the slice passes (:mod:`slice_names`).

    Args:
        later: ``later(ms, function)`` calls a function from the event loop of the user interface.
    """

    def __init__(self, later):
        super().__init__()
        self._later, self._settling = later, False
        self._node, self._observed, self._names = None, (), SliceNames()

    def follow(self, pointsNode):
        """Follow the views for this node instead of the one before, as its points are now; ``None`` to stop."""
        if pointsNode is not self._node:
            self.removeObservers()
            self._names.clear()
            self._node, self._observed, self._settling = pointsNode, (), False
            if pointsNode is not None:
                for event in (slicer.mrmlScene.NodeAddedEvent, slicer.mrmlScene.NodeRemovedEvent):
                    self.addObserver(slicer.mrmlScene, event, self._onViewEvent)
        if pointsNode is not None:
            self._names.show(pointsNode, arrange(pointsNode))
            self._observe()

    def _observe(self):
        modified = vtk.vtkCommand.ModifiedEvent
        display = self._node.GetDisplayNode()
        views = tuple(slicer.util.getNodesByClass("vtkMRMLSliceNode"))
        if (display, *views) == self._observed:
            return
        for each in self._observed:
            self.removeObserver(each, modified, self._onViewEvent if each is not self._observed[0] else self._onLook)
        if display is not None:
            self.addObserver(display, modified, self._onLook)
        for each in views:
            self.addObserver(each, modified, self._onViewEvent)
        self._observed = (display, *views)

    def _onLook(self, caller, event):
        mirror(self._node)
        self._onViewEvent(caller, event)

    def _onViewEvent(self, caller, event):
        if not self._settling:
            self._settling = True
            self._later(SETTLE_MS, self._settle)

    def _settle(self):
        self._settling = False
        if self._node is not None and self._node.GetScene() is not None:
            self.follow(self._node)


def _across(displayableNode):
    """The display node for the views across the spine, or ``None``."""
    displays = (displayableNode.GetNthDisplayNode(index) for index in range(displayableNode.GetNumberOfDisplayNodes()))
    return next((each for each in displays if each is not None and each.GetAttribute(ACROSS)), None)


def _split(displayableNode, across, others):
    """Show a node by a second display node in the views ``across`` (IDs), and in the others by the first."""
    display, second = displayableNode.GetDisplayNode(), _across(displayableNode)
    arranged = f"{' '.join(others)} | {' '.join(across)}"
    if display.GetAttribute(ARRANGED) == arranged and (second is not None) == bool(across):
        return
    if second is None and across:
        second = _addSecond(displayableNode)
    elif second is not None and not across:
        slicer.mrmlScene.RemoveNode(second)
    with slicer.util.NodeModify(display):
        display.SetAttribute(ARRANGED, arranged)
        display.SetViewNodeIDs(others if across else [])
    if across:
        second.SetViewNodeIDs(across)


def _addSecond(displayableNode):
    display = displayableNode.GetDisplayNode()
    second = slicer.mrmlScene.CreateNodeByClass(display.GetClassName())
    second.UnRegister(None)
    second.Copy(display)
    second.SetName(f"{display.GetName()} across")
    second.SetAttribute(ACROSS, "1")
    second.SetAttribute(ARRANGED, None)
    if second.IsA("vtkMRMLMarkupsDisplayNode"):
        second.SetSliceProjection(False)
    else:
        second.SetSliceDisplayModeToIntersection()
    slicer.mrmlScene.AddNode(second)
    displayableNode.AddAndObserveDisplayNodeID(second.GetID())
    return second


def _dropForeign(displayableNode):
    """A clone made in the subject hierarchy may show itself by a display node of the original: let it go."""
    second = _across(displayableNode)
    if second is None:
        return
    same = slicer.util.getNodesByClass(displayableNode.GetClassName())
    if any(each is not displayableNode and _across(each) is second for each in same):
        for index in reversed(range(displayableNode.GetNumberOfDisplayNodes())):
            if displayableNode.GetNthDisplayNode(index) is second:
                displayableNode.RemoveNthDisplayNodeID(index)
