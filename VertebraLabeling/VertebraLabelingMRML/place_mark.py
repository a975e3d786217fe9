"""A small cross that marks one place in some views: it cannot be moved, is not listed and not saved."""

import slicer

from .display import removeWithDisplay

GLYPH_SCALE = 3.0  # percent of the view
COLOR = (1.0, 0.9, 0.2)


class PlaceMark:
    """Shows a place in views; nothing is in the scene until :meth:`show`, and after :meth:`hide`."""

    def __init__(self):
        self._node = None

    @property
    def place(self):
        """The marked place, world RAS mm, or ``None``."""
        return tuple(self._node.GetNthControlPointPositionWorld(0)) if self._node is not None else None

    def show(self, ras, viewIDs):
        """Mark a place, world RAS mm, in these views; ``None``, or no views, for nowhere."""
        if ras is None or not viewIDs:
            self.hide()
            return
        if self._node is None or self._node.GetScene() is None:
            self._node = _add()
        self._node.SetNthControlPointPositionWorld(0, list(ras))
        self._node.GetDisplayNode().SetViewNodeIDs(list(viewIDs))

    def hide(self):
        """Take the mark out of the scene."""
        node, self._node = self._node, None
        removeWithDisplay(node)


def _add():
    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLMarkupsFiducialNode")
    node.UnRegister(None)
    node.SetName("Place")
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node.SetSelectable(False)
    node.SetLocked(True)
    node.AddControlPoint([0.0, 0.0, 0.0], "")
    slicer.mrmlScene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetGlyphTypeFromString("Cross2D")
    display.SetGlyphScale(GLYPH_SCALE)
    display.SetSelectedColor(*COLOR)
    display.SetPointLabelsVisibility(False)
    return node
