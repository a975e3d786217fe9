"""The list of planes of vertebrae and discs, to which the slice views are turned."""

from slicer.i18n import tr as _
from VertebraLabelingMRML.turned_planes import TurnedPlanes

USUAL, NONE = 0, -1  # rows of the list: the patient's axial, sagittal and coronal planes; none of it


class PlaneChooser:
    """The list; it names the plane that the views are turned to, as the points are now, none where it is of others.

    Args:
        comboBox: the QComboBox.
        messages: :class:`messages.Messages`.
        onTurned: called with the place, world RAS mm, where the views were turned to a plane.
    """

    def __init__(self, comboBox, messages, onTurned):
        self._list, self._messages, self._onTurned = comboBox, messages, onTurned
        self._planes, self._names = TurnedPlanes(), None
        comboBox.connect("activated(int)", self._onActivated)
        self.update(None)

    def update(self, pointsNode):
        """Offer the planes of these points; ``None`` for none."""
        self._planes.follow(pointsNode)
        self._show()

    def step(self, by):
        """Turn to the next plane toward the feet (1) or the head (-1); the first time to that where one is."""
        name = self._planes.next(by)
        if name is not None:
            self._turnTo(name)

    def back(self):
        """Give all views that were turned their usual planes again."""
        self._planes.back()
        self._show()

    def _show(self):
        names, name = self._planes.names, self._planes.name
        if names != self._names:
            self._names = names
            self._list.clear()
            self._list.addItems([_("Usual planes"), *names])
        self._list.enabled = bool(names)
        self._list.currentIndex = names.index(name) + 1 if name else USUAL if name == "" else NONE

    def _onActivated(self, row):
        if row == USUAL:
            self.back()
        else:
            self._turnTo(self._names[row - 1])

    def _turnTo(self, name):
        with self._messages.failing():
            self._onTurned(self._planes.turnTo(name))
            self._messages.tell("")
        self._show()
