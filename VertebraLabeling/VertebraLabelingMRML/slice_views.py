"""In which views the points are projected: along the spine all of them, across it none but those of the slice.

Projected onto a slice across the spine, all vertebrae would lie over one another, and one far away could be dragged by
mistake. Markups are projected by display node, so the points have two: the first, which the user sets in Markups,
shows them without projection in every view; the second projects them in the views along the spine. While a node is
followed (:mod:`slice_view_follower`) no view has both, and the names of the second are placed by :mod:`slice_names`.
The same holds for the balls behind the points, which are models.
"""

from weakref import WeakSet

import numpy as np
import slicer

from .display import copyLook, regionModels
from .points import areVertebrae, placesOf
from .view_windows import isOnScreen, isStraightened

ALONG = "VertebraLabeling.along"  # marks the display node for the views along the spine
ARRANGED = "VertebraLabeling.views"  # in which views the two display nodes are shown
ACROSS_DEG = 45.0  # a slice whose normal is nearer to the spine's direction cuts across
ALONG_CHORD_DEG = 20.0  # a slice nearer than that to the line from the first to the last vertebra runs along
OPACITY = 0.8

_followed = WeakSet()  # not in the scene: a scene that was saved meanwhile is followed by nobody when it is opened


def arrange(pointsNode, followed=False):
    """Show points and balls projected in the views along the spine, and in their own slice in the others.

    A point list that holds other points than vertebrae is left alone; so is what the user chose since, until a view
    turns.

    Args:
        followed: whether names are placed by a follower. If not, views that are added later show the points too.

    Returns:
        tuple: IDs of the slice views across the spine, and of the views in which the points are projected
    """
    display, places = pointsNode.GetDisplayNode(), placesOf(pointsNode)
    if display is None or not len(places) or not areVertebrae(pointsNode):
        return [], []
    slices = [each for each in slicer.util.getNodesByClass("vtkMRMLSliceNode") if not isStraightened(each)]
    across = [each.GetID() for each in slices if isAcross(each, places)]
    along = [each.GetID() for each in slices if each.GetID() not in across]
    others = slicer.util.getNodesByClass("vtkMRMLViewNode")
    if followed:
        along += [each.GetID() for each in others if isOnScreen(each)]
    first = [*across, *(each.GetID() for each in others if each.GetID() not in along)] if followed else []
    _dropForeign(pointsNode)
    for each in (pointsNode, *regionModels(pointsNode).values()):
        nowhere = [each.GetID()]  # no view; an empty list would mean all of them
        _split(each, first or nowhere if followed else [], along)
    (_followed.add if followed else _followed.discard)(pointsNode)
    mirror(pointsNode)
    return across, along


def isFollowed(pointsNode):
    """Whether a follower places the names of these points."""
    return pointsNode in _followed


def isAcross(sliceNode, places):
    """Whether a slice cuts across the spine rather than runs along it.

    Args:
        sliceNode: vtkMRMLSliceNode, of any orientation.
        places: (N, 3) world RAS mm, head to foot; the direction of the spine is that at the vertebra nearest the slice,
            but a slice along the whole of a bent spine runs along it also where it passes the bend.
    """
    matrix = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())
    normal = matrix[:3, 2] / np.linalg.norm(matrix[:3, 2])
    nearest = np.abs((places - matrix[:3, 3]) @ normal).argmin()
    spine = _direction(places[max(nearest - 1, 0)] - places[min(nearest + 1, len(places) - 1)])
    chord = _direction(places[0] - places[-1])
    if abs(normal @ chord) < np.sin(np.radians(ALONG_CHORD_DEG)):
        return False
    return bool(abs(normal @ spine) > np.cos(np.radians(ACROSS_DEG)))


def mirror(pointsNode):
    """Make the points look along the spine as they do across it: what the user sets in Markups is the first's."""
    display, second = pointsNode.GetDisplayNode(), _along(pointsNode)
    if second is None:
        return
    followed = isFollowed(pointsNode)
    # projected markups have one color: that of uncertain ones where one is, unless the follower marks these
    own = {"SliceProjectionUseFiducialColor": not followed, "SliceProjectionColor": display.GetSelectedColor()}
    if followed:
        own["PointLabelsVisibility"] = False
    copyLook(display, second, own)


def _direction(vector):
    """Unit vector; that of a spine that lies in the scanner for a single vertebra."""
    length = np.linalg.norm(vector)
    return vector / length if length > 0 else np.array([0.0, 0.0, 1.0])


def _along(displayableNode):
    """The display node for the views along the spine, or ``None``."""
    displays = (displayableNode.GetNthDisplayNode(index) for index in range(displayableNode.GetNumberOfDisplayNodes()))
    return next((each for each in displays if each is not None and each.GetAttribute(ALONG)), None)


def _split(displayableNode, first, along):
    """Show a node by a second display node in the views ``along``, and by its own in the views ``first`` (IDs)."""
    display, second = displayableNode.GetDisplayNode(), _along(displayableNode)
    arranged = f"{' '.join(first)} | {' '.join(along)}"
    if display.GetAttribute(ARRANGED) == arranged and (second is not None) == bool(along):
        return
    if second is None and along:
        second = _addSecond(displayableNode)
    elif second is not None and not along:
        slicer.mrmlScene.RemoveNode(second)
    with slicer.util.NodeModify(display):
        display.SetAttribute(ARRANGED, arranged)
        display.SetViewNodeIDs(first)
    if along:
        second.SetViewNodeIDs(along)


def _addSecond(displayableNode):
    display = displayableNode.GetDisplayNode()
    second = slicer.mrmlScene.CreateNodeByClass(display.GetClassName())
    second.UnRegister(None)
    second.Copy(display)
    second.SetName(f"{display.GetName()} along")
    second.SetAttribute(ALONG, "1")
    second.SetAttribute(ARRANGED, None)
    if second.IsA("vtkMRMLMarkupsDisplayNode"):
        display.SetSliceProjection(False)
        second.SetSliceProjection(True)
        second.SetSliceProjectionOpacity(OPACITY)
    else:
        second.SetSliceDisplayModeToProjection()
    slicer.mrmlScene.AddNode(second)
    displayableNode.AddAndObserveDisplayNodeID(second.GetID())
    return second


def _dropForeign(displayableNode):
    """A clone made in the subject hierarchy may show itself by a display node of the original: let it go."""
    second = _along(displayableNode)
    if second is None:
        return
    same = slicer.util.getNodesByClass(displayableNode.GetClassName())
    if any(each is not displayableNode and _along(each) is second for each in same):
        for index in reversed(range(displayableNode.GetNumberOfDisplayNodes())):
            if displayableNode.GetNthDisplayNode(index) is second:
                displayableNode.RemoveNthDisplayNodeID(index)
