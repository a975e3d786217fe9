"""Turns the slice views to the plane of a vertebra or disc, from one to the next, and back to the usual planes."""

import slicer
from slicer.i18n import tr as _
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.reading.planes import AXIAL
from VertebraLabelingMRML import levels
from VertebraLabelingMRML.stands_apart import standApart
from VertebraLabelingMRML.turned_views import usualViews

USUAL, NONE = 0, -1  # rows of the list: the patient's axial, sagittal and coronal planes; none of it


class PlaneChooser:
    """The list of planes.

    It names the vertebra or disc that the views are turned to, as the points are now: when a correction gives it
    another name, the list does, too, and so it does in a scene that was saved with turned views. It shows none where
    they are turned to a plane of other points, or of a script. The views stay where they are until another plane is
    chosen, or other points are: a plane of one patient is none of the next.

    Args:
        comboBox: the QComboBox.
        messages: :class:`messages.Messages`.
        onTurned: called with the place, world RAS mm, where the views were turned to a plane.
    """

    def __init__(self, comboBox, messages, onTurned):
        self._list, self._messages, self._onTurned = comboBox, messages, onTurned
        self._node, self._names = None, None
        comboBox.connect("activated(int)", self._onActivated)
        self.update(None)

    def update(self, pointsNode):
        """Offer the planes of these points; ``None`` for none."""
        if pointsNode is not self._node:
            if self._node is not None:
                _turnBack()
            self._node = pointsNode
        names = levels.planeNames(pointsNode) if pointsNode is not None else []
        if names != self._names:
            self._names = names
            self._list.clear()
            self._list.addItems([_("Usual planes"), *names])
        self._list.enabled = bool(names)
        self._list.currentIndex = self._row()

    def step(self, by):
        """Turn to the next plane toward the feet (1) or the head (-1); the first time to that where one is."""
        if not self._names:
            return
        row = self._list.currentIndex - 1
        if row < 0:
            self._turnTo(self._here())
        elif 0 <= row + by < len(self._names):
            self._turnTo(self._names[row + by])

    def back(self):
        """Give all views that were turned their usual planes again."""
        _turnBack()
        self.update(self._node)

    def _onActivated(self, row):
        if row == USUAL:
            self.back()
        else:
            self._turnTo(self._names[row - 1])

    def _turnTo(self, name):
        with self._messages.failing():
            if standApart(self._node):
                raise InputError(_("CT and points were moved apart: put them back together, or label the CT again."))
            plane = levels.planeOf(self._node, name)
            for view, orientation in usualViews():
                levels.turnTo(view, plane, orientation, self._node)
            self._onTurned(tuple(plane.origin.tolist()))
            self._messages.tell("")
        self.update(self._node)

    def _row(self):
        """The row of the plane that the views show; :data:`NONE` where it is none of this list."""
        turned = [found for view, _orientation in usualViews() if (found := levels.turnedTo(view)) is not None]
        if not turned:
            return USUAL
        if self._node is None or standApart(self._node):  # a plane of the CT has no name in these points
            return NONE
        places = [place for pointsNode, place in turned if pointsNode is self._node]
        name = levels.planeAt(self._node, places[0]) if places else ""
        return self._names.index(name) + 1 if name in self._names else NONE

    def _here(self):
        """What the axial view shows, else the plane nearest to the head."""
        for view, orientation in usualViews():
            if orientation == AXIAL:
                reading = levels.levelOfView(self._node, view)
                if reading is not None and reading.name in self._names:
                    return reading.name
        return self._names[0]


def _turnBack():
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        levels.turnBack(view)
