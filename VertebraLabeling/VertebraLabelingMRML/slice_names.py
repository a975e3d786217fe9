"""The name of the vertebra that a slice across the spine passes, also where the slice misses its center.

A point is shown in the slice through it alone; its name would be seen in one slice of ten. These names are markups of
their own, one for each view, which cannot be moved, are not saved and are not listed among the user's nodes.
"""

import numpy as np
import slicer
from VertebraLabelingLib.core.volume import apply_affine

from .display import copyLook
from .points import headToFoot

REACH_MM = 20.0  # of a vertebra from its center, where the next one is far or missing
OPACITY = 0.6


class SliceNames:
    """Shows the names beside the points of one node; :meth:`clear` takes them away."""

    def __init__(self):
        self._nodes = {}

    def show(self, pointsNode, viewIDs):
        """Show in each of these slice views which vertebra it passes now, in the look of the points."""
        for viewID in set(self._nodes) - set(viewIDs):
            _remove(self._nodes.pop(viewID))
        found = headToFoot(pointsNode) if viewIDs else []
        places = np.array([each.point.ras for each in found]).reshape(-1, 3)
        for viewID in viewIDs:
            passed = passedVertebra(slicer.mrmlScene.GetNodeByID(viewID), places)
            if passed is None and viewID not in self._nodes:
                continue
            node = self._nodes.get(viewID)
            if node is None or node.GetScene() is None:
                node = self._nodes[viewID] = _add(pointsNode, viewID)
            _write(node, pointsNode, None if passed is None else found[passed])

    def clear(self):
        """Show none any more."""
        while self._nodes:
            _remove(self._nodes.popitem()[1])


def passedVertebra(sliceNode, places):
    """Which vertebra a slice passes without showing its point; ``None`` where it shows one, or passes none.

    Args:
        sliceNode: vtkMRMLSliceNode across the spine.
        places: (N, 3) world RAS mm, head to foot.

    Returns:
        index into ``places``
    """
    if not len(places):
        return None
    depth = apply_affine(np.linalg.inv(slicer.util.arrayFromVTKMatrix(sliceNode.GetXYToRAS())), places)[:, 2]
    if ((depth >= -0.5) & (depth < sliceNode.GetDimensions()[2] - 0.5)).any():  # so do markups decide
        return None
    matrix = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())
    distance = np.abs((places - matrix[:3, 3]) @ matrix[:3, 2])
    nearest = int(distance.argmin())
    gaps = np.linalg.norm(np.diff(places, axis=0), axis=1)[max(nearest - 1, 0) : nearest + 1]
    reach = min(REACH_MM, gaps.max() / 2) if len(gaps) else REACH_MM
    return nearest if distance[nearest] <= reach else None


def _add(pointsNode, viewID):
    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLMarkupsFiducialNode")
    node.UnRegister(None)
    node.SetName(f"{pointsNode.GetName()} at the slice")
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node.SetSelectable(False)
    node.SetLocked(True)
    slicer.mrmlScene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetViewNodeIDs([viewID])
    display.SetSliceProjection(True)
    display.SetSliceProjectionUseFiducialColor(True)
    display.SetSliceProjectionOpacity(OPACITY)
    return node


def _write(node, pointsNode, passed):
    """Show one vertebra (:class:`points.NodePoint`) or none."""
    look, display = pointsNode.GetDisplayNode(), node.GetDisplayNode()
    with slicer.util.NodeModify(display):
        copyLook(look, display)
        if passed is None:
            display.SetVisibility(False)
    if passed is None:
        return
    if not node.GetNumberOfControlPoints():
        node.AddControlPointWorld(list(passed.point.ras))
    node.SetNthControlPointPositionWorld(0, list(passed.point.ras))
    node.SetNthControlPointLabel(0, passed.point.level)
    node.SetNthControlPointSelected(0, pointsNode.GetNthControlPointSelected(passed.index))


def _remove(node):
    display = node.GetDisplayNode()
    for each in (node, display):
        if each is not None and each.GetScene() is not None:
            slicer.mrmlScene.RemoveNode(each)
