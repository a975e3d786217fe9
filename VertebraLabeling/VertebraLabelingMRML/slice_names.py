"""The names of vertebrae in the views, as markups of their own that cannot be moved, are not saved and not listed.

A slice across the spine names the vertebra that it passes, also where it misses the center: a point is shown in the
slice through it alone, and its name would be seen in one slice of ten. In a disc none is named: it belongs to two. In
views along the spine, and in 3D, the names stand where none lies over another (:mod:`name_places`), those of uncertain
vertebrae in their color.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import slicer
import vtk
from VertebraLabelingLib.core.volume import apply_affine
from VertebraLabelingLib.reading.level_reader import VERTEBRA

from .display import copyLook
from .levels import levelReader
from .name_places import importance, place
from .points import headToFoot
from .view_windows import isDrawn, project

REACH_MM = 20.0  # of a vertebra from its center, where the next one is far or missing
OPACITY = 0.6
FULL_TEXT_PX, LEAST_TEXT = 600, 0.7  # views lower than that have smaller names, down to this part
NO_GLYPH = 0.01  # percent of the screen
SAME_MM = 1e-4
PASSED, CERTAIN, UNCERTAIN, POINTS = "passed", "certain", "uncertain", "points"
"""What a node shows in its view: the vertebra passed, names by their color, uncertain points.

Markups that are projected onto a slice have one color for all: where one of them is uncertain, that of uncertain ones.
"""


class SliceNames:
    """Shows the names of the points of one node; :meth:`clear` takes them away.

    Attributes:
        chosen: index of the control point whose name comes first, or ``None``.
    """

    def __init__(self):
        self._nodes, self._corners, self.chosen = {}, {}, None

    def show(self, pointsNode, across, along):
        """Name the vertebrae of a node in views across the spine and in views along it, in the look of the points.

        Args:
            across, along: IDs of slice views; of 3D views in ``along``, those that are on the screen.
        """
        found = headToFoot(pointsNode) if across or along else []
        places = np.array([each.point.ras for each in found]).reshape(-1, 3)
        groups = {}
        for viewNode in _drawn(across):
            passed = _named(pointsNode, viewNode, found, places)
            groups[viewNode.GetID(), PASSED] = _Group([] if passed is None else [(found[passed], places[passed])])
        for viewNode in _drawn(along):
            for kind, group in self._placed(pointsNode, viewNode, found, places).items():
                groups[viewNode.GetID(), kind] = group
        for key in set(self._nodes) - set(groups):
            if key in self._nodes:  # whoever hears that a node was removed may show the names again meanwhile
                _remove(self._nodes.pop(key))
        for key, group in groups.items():
            node = self._nodes.get(key)
            if node is None or node.GetScene() is None:
                if not group.names:
                    continue
                node = self._nodes[key] = _add(pointsNode, *key)
            _write(node, pointsNode, group)

    def clear(self):
        """Show none any more."""
        self._corners.clear()
        while self._nodes:
            _remove(self._nodes.popitem()[1])

    def _placed(self, pointsNode, viewNode, found, places):
        """The names of a view along the spine, and its uncertain points: kind -> :class:`_Group`."""
        view = project(viewNode, places)
        display = pointsNode.GetDisplayNode()
        levels = [each.point.level for each in found]
        uncertain = [not pointsNode.GetNthControlPointSelected(each.index) for each in found]
        visible = [pointsNode.GetNthControlPointVisibility(each.index) for each in found]
        chosen = next((row for row, each in enumerate(found) if each.index == self.chosen), None)
        order = [row for row in importance(levels, uncertain, chosen) if visible[row]]
        textScale = display.GetTextScale() * min(1.0, max(LEAST_TEXT, view.size[1] / FULL_TEXT_PX))
        needed = {row for row in order if uncertain[row] or row == chosen}
        font = display.GetTextPropertyAsString(display.GetTextProperty())
        state = view.pixels.round(1).tolist(), view.size, view.dpi, levels, order, needed, textScale, font
        if self._corners.get(viewNode.GetID(), (None,))[0] != state:
            sizes = textSizes(display, levels, textScale, view.dpi)
            self._corners[viewNode.GetID()] = state, place(view.pixels, sizes, order, view.size, needed)
        corners = self._corners[viewNode.GetID()][1]
        own = {"TextScale": textScale, "UseGlyphScale": True, "GlyphScale": NO_GLYPH}
        groups = {kind: _Group([], own) for kind in (CERTAIN, UNCERTAIN)}
        for row, corner in enumerate(corners):
            if corner is not None:
                group = groups[UNCERTAIN if uncertain[row] else CERTAIN]
                group.names.append((found[row], view.forText(places, row, corner)))
        if viewNode.IsA("vtkMRMLSliceNode"):
            shown = [(found[row], places[row]) for row in sorted(order) if uncertain[row]]
            groups[POINTS] = _Group(shown, {"PointLabelsVisibility": False})
        return groups


def _drawn(viewIDs):
    return filter(isDrawn, map(slicer.mrmlScene.GetNodeByID, viewIDs))


@dataclass
class _Group:
    """What one markups node shows in one view.

    Attributes:
        names: (:class:`points.NodePoint`, world place) of each.
        own: what its display node has of its own, beside the look of the points: name -> value.
    """

    names: list
    own: dict = field(default_factory=dict)


def _named(pointsNode, sliceNode, found, places):
    """Which vertebra a slice across the spine is to name: that of the level in its corner, in a disc none.

    Where no level can be read, because a name or a place is wrong, the nearest one, so that one finds what is wrong.
    """
    passed, reader = passedVertebra(sliceNode, places), levelReader(pointsNode)
    if passed is None or reader is None:
        return passed
    reading = reader.on_slice(slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS()))
    if reading is None:
        return passed
    rows = {each.point.level: row for row, each in enumerate(found)}
    return rows.get(reading.name) if reading.kind == VERTEBRA else None


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


def textSizes(display, texts, textScale, dpi):
    """(N, 2) width and height in pixels of texts, as markups with this display node draw them."""
    font = vtk.vtkTextProperty()
    font.ShallowCopy(display.GetTextProperty())
    font.SetFontSize(int(font.GetFontSize() * textScale))
    renderer, sizes = vtk.vtkTextRenderer.GetInstance(), []
    for text in texts:
        box = [0, 0, 0, 0]
        renderer.GetBoundingBox(font, text, box, dpi)
        sizes.append((box[1] - box[0] + 1, box[3] - box[2] + 1))
    return sizes


def _add(pointsNode, viewID, kind):
    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLMarkupsFiducialNode")
    node.UnRegister(None)
    node.SetName(f"{pointsNode.GetName()} names")
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
    display.SetSliceProjectionOpacity(OPACITY if kind == PASSED else 1.0)
    display.SetOccludedVisibility(True)
    display.SetOccludedOpacity(OPACITY)
    return node


def _write(node, pointsNode, group):
    """Make a node show a group, and touch nothing that is right already."""
    look, display = pointsNode.GetDisplayNode(), node.GetDisplayNode()
    own = {**group.own, "Visibility": bool(look.GetVisibility() and group.names)}
    with slicer.util.NodeModify(display):
        copyLook(look, display, own)
    if not group.names:
        return
    with slicer.util.NodeModify(node):
        while node.GetNumberOfControlPoints() > len(group.names):
            node.RemoveNthControlPoint(node.GetNumberOfControlPoints() - 1)
        for index, (each, ras) in enumerate(group.names):
            if index == node.GetNumberOfControlPoints():
                node.AddControlPointWorld(list(ras))
            elif np.abs(np.subtract(node.GetNthControlPointPositionWorld(index), ras)).max() > SAME_MM:
                node.SetNthControlPointPositionWorld(index, list(ras))
            if node.GetNthControlPointLabel(index) != each.point.level:
                node.SetNthControlPointLabel(index, each.point.level)
            selected = pointsNode.GetNthControlPointSelected(each.index)
            if node.GetNthControlPointSelected(index) != selected:
                node.SetNthControlPointSelected(index, selected)


def _remove(node):
    display = node.GetDisplayNode()
    for each in (node, display):
        if each is not None and each.GetScene() is not None:
            slicer.mrmlScene.RemoveNode(each)
