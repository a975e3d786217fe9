"""All slice views turned to the plane of a vertebra or disc, from one to the next, and back to the usual planes."""

import slicer
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.reading.planes import AXIAL

from . import levels
from .stands_apart import standApart
from .translation import tr as _
from .turned_views import usualViews

LEFT_MM = 1.0  # of the axial view from its plane: about a slice


class TurnedPlanes:
    """The planes of one list of vertebrae, and the one that the views are turned to.

    It is named as the points are now: when a correction gives the vertebra or disc another name, it has that, too, and
    so it does in a scene that was saved with turned views. The views stay where they are until another plane is chosen,
    or other points are followed: a plane of one patient is none of the next.
    """

    def __init__(self):
        self._node = None

    @property
    def names(self):
        """All planes, head to foot."""
        return levels.planeNames(self._node) if self._node is not None else []

    @property
    def name(self):
        """The plane that the views show: "" for the usual ones, ``None`` where it is none of these points."""
        turned = [found for view, _orientation in usualViews() if (found := levels.turnedTo(view)) is not None]
        if not turned:
            return ""
        if self._node is None or standApart(self._node):  # a plane of the CT has no name in these points
            return None
        places = [place for pointsNode, place in turned if pointsNode is self._node]
        name = levels.planeAt(self._node, places[0]) if places else ""
        return name if name in self.names else None

    @property
    def left(self):
        """Whether the axial view, turned as it still is, has gone from its plane to another place."""
        for view, orientation in usualViews():
            turned = levels.turnedTo(view) if orientation == AXIAL else None
            if turned is not None:
                matrix = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())
                return bool(abs((matrix[:3, 3] - turned[1]) @ matrix[:3, 2]) > LEFT_MM)
        return False

    def follow(self, pointsNode):
        """Take the planes of these points; ``None`` for none."""
        if pointsNode is not self._node:
            if self._node is not None:
                self.back()
            self._node = pointsNode

    def turnTo(self, name):
        """Turn all views of the patient to a plane; returns its middle, world RAS mm.

        Raises:
            InputError: there is no such plane, or CT and points were moved apart.
        """
        if standApart(self._node):
            raise InputError(_("CT and points were moved apart: put them back together, or label the CT again."))
        plane = levels.planeOf(self._node, name)
        for view, orientation in usualViews():
            levels.turnTo(view, plane, orientation, self._node)
        return tuple(plane.origin.tolist())

    def next(self, by):
        """The next plane toward the feet (1) or the head (-1). ``None`` where none is.

        At first, and where one has gone from the plane to another vertebra or disc, it is that where one is.
        """
        names, name = self.names, self.name
        if not names or name not in names:
            return self._here(names) if names else None
        if self.left and (nearest := self._nearest()) not in ("", name):
            return nearest
        row = names.index(name) + by
        return names[row] if 0 <= row < len(names) else None

    def back(self):
        """Give all views that were turned their usual planes again."""
        for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            levels.turnBack(view)

    def _nearest(self):
        """The plane nearest to where the axial view cuts the spine; "" where none is near."""
        for view, orientation in usualViews():
            place = levels.placeOfView(self._node, view) if orientation == AXIAL else None
            if place is not None:
                return levels.planeAt(self._node, place)
        return ""

    def _here(self, names):
        """What the axial view shows, else the plane nearest to the head."""
        for view, orientation in usualViews():
            if orientation == AXIAL:
                reading = levels.levelOfView(self._node, view)
                if reading is not None and reading.name in names:
                    return reading.name
        return names[0]
