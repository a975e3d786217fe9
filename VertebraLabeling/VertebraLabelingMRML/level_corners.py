"""The corners of the slice views in which the level is said, drawn into the views of the application's layout."""

from dataclasses import dataclass

import slicer
import vtk

from .display import AMBER
from .view_windows import sliceView

FONT_PX = 16
COLOR = (1.0, 1.0, 0.85)  # apart from the names of vertebrae


class LevelCorners:
    """One text for each slice view; who shows views elsewhere than in a layout has an object with these methods."""

    def __init__(self):
        self._corners = {}  # ID of the view -> its corner

    def canShow(self, sliceNode):
        """Whether a view (vtkMRMLSliceNode) is on the screen."""
        return sliceView(sliceNode) is not None

    def say(self, sliceNode, text, uncertain):
        """Show a text in a view, amber where it is uncertain; an empty one takes away what is there."""
        view, corner = sliceView(sliceNode), self._corners.get(sliceNode.GetID())
        if corner is not None and not corner.isIn(view):
            self._corners.pop(sliceNode.GetID()).remove()
            corner = None
        if corner is None and text:
            corner = self._corners[sliceNode.GetID()] = _Corner(sliceNode.GetLayoutName(), view)
        if corner is not None:
            corner.say(text, uncertain, _isTaken(sliceNode))

    def keepOnly(self, viewIDs):
        """Other views than these are gone, and their texts with them."""
        for viewID in [each for each in self._corners if each not in viewIDs]:
            self._corners.pop(viewID).remove()

    def clear(self):
        """Say nothing in any view."""
        self.keepOnly(())

    def texts(self):
        """What the corners say now: layout name of the view -> text."""
        return {corner.name: corner.text for corner in self._corners.values() if corner.text}


@dataclass(frozen=True)
class _Said:
    text: str
    uncertain: bool
    isTaken: bool


class _Corner:
    """The text in one view. Slicer's own texts stand in the other corners, its ruler and orientation in this one."""

    def __init__(self, name, view):
        self.name, self._view, self._said = name, view, _Said("", False, False)
        self._annotation = vtk.vtkCornerAnnotation()
        self._annotation.SetMaximumFontSize(FONT_PX)
        self._annotation.SetLinearFontScaleFactor(FONT_PX)
        self._annotation.SetNonlinearFontScaleFactor(1.0)
        self._annotation.GetTextProperty().ShadowOn()
        self._annotation.GetTextProperty().BoldOn()
        self._renderer = _rendererOf(view)
        self._renderer.AddViewProp(self._annotation)

    @property
    def text(self):
        return self._said.text

    def isIn(self, view):
        """Whether the text is still part of a view."""
        return view is not None and _rendererOf(view) is self._renderer

    def say(self, text, uncertain, isTaken):
        """Show a text; ``isTaken``: something else stands in its corner, it goes to the upper edge."""
        said = _Said(text, uncertain, isTaken)
        if said == self._said:
            return
        self._said = said
        self._annotation.ClearAllTexts()
        self._annotation.SetText(
            vtk.vtkCornerAnnotation.UpperEdge if isTaken else vtk.vtkCornerAnnotation.LowerRight, text
        )
        self._annotation.GetTextProperty().SetColor(*(AMBER if uncertain else COLOR))
        self._view.scheduleRender()

    def remove(self):
        self._renderer.RemoveViewProp(self._annotation)
        if self.isIn(self._view):
            self._view.scheduleRender()


def _rendererOf(view):
    return view.renderWindow().GetRenderers().GetFirstRenderer()


def _isTaken(sliceNode):
    """Whether Slicer draws a ruler or an orientation marker in the lower right corner."""
    none = slicer.vtkMRMLAbstractViewNode
    return (
        sliceNode.GetRulerType() != none.RulerTypeNone
        or sliceNode.GetOrientationMarkerType() != none.OrientationMarkerTypeNone
    )
