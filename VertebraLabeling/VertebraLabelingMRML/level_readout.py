"""The level of the spine in a corner of each slice view: "T8, upper third", as the user scrolls.

A slice across the spine is at one level. A view along it shows many: it says that of the place under the mouse, or of
the crosshair where this is shown and in the slice, else that of its center, and says so. Whatever the view shows, the
level is that of the place in the world, so it holds for all volumes of the same frame of reference; a view of another
one says nothing, nor does that of one with vertebrae of its own. Where the points and their volume were moved apart, no
place has a level: that is said instead.
"""

from dataclasses import replace

import slicer
import vtk

from . import levels
from .control_points import levelIndices
from .level_corners import LevelCorners
from .points import pointsNodeOf, sourceVolume
from .same_world import inOtherWorld, inSameFrame
from .stands_apart import standApart
from .translation import tr as _
from .view_windows import compositeOf, crosshairNode, isStraightened
from .wanted_events import WantedEvents

SETTLE_MS = 20
IN_SLICE_MM = 0.5  # of the crosshair from the slice


class LevelReadout(WantedEvents):
    """Says in each slice view at which level of one list of vertebrae it is, until :meth:`follow` of ``None``.

    Args:
        later: ``later(ms, function)`` calls a function from the event loop of the user interface.
        corners: where it is said, as :class:`level_corners.LevelCorners`; by default those of the layout's views.

    Attributes:
        straight: :class:`straightened.StraightenedSpine` that is shown, or ``None``: in its views, the level is that of
            the place in the patient which the mouse is over.
    """

    def __init__(self, later, corners=None):
        super().__init__()
        self._later, self._settling = later, False
        self._node, self._corners = None, LevelCorners() if corners is None else corners
        self._along = set()  # IDs of the views that ask where the mouse is
        self._reader, self._uncertain, self._foreign, self._apart = None, frozenset(), {}, False
        self.straight = None

    def follow(self, pointsNode):
        """Read the levels of this list, as its points are now, instead of those of the one before."""
        if pointsNode is None:
            self.observeOnly({})
            self._node, self._reader, self._uncertain = None, None, frozenset()
            self._foreign, self._settling = {}, False
            self._along.clear()
            self._corners.clear()
            return
        state = pointsNode, levels.levelReader(pointsNode), _uncertain(pointsNode)
        if state != (self._node, self._reader, self._uncertain):
            self._node, self._reader, self._uncertain = state
            self._lookAround()

    def _lookAround(self):
        self._observe()
        self._foreign, self._apart = {}, standApart(self._node)
        present = {view.GetID(): view for view in slicer.util.getNodesByClass("vtkMRMLSliceNode")}
        self._corners.keepOnly(present)
        for view in present.values():
            self._update(view)

    def texts(self):
        """What the corners say now: layout name of the view -> text."""
        return self._corners.texts()

    def _observe(self):
        modified, scene, crosshair = vtk.vtkCommand.ModifiedEvent, slicer.mrmlScene, crosshairNode()
        wanted = {
            (scene, scene.NodeAddedEvent): self._onScene,
            (scene, scene.NodeRemovedEvent): self._onScene,
        }
        if crosshair is not None:
            wanted[crosshair, modified] = self._onPlace
            wanted[crosshair, slicer.vtkMRMLCrosshairNode.CursorPositionModifiedEvent] = self._onPlace
        source = sourceVolume(self._node)
        if source is not None:
            wanted[source, slicer.vtkMRMLTransformableNode.TransformModifiedEvent] = self._onScene
            wanted[source, modified] = self._onScene  # also tells of another matrix of its own
        for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            wanted[view, modified] = self._onView
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            wanted[composite, modified] = self._onScene
        self.observeOnly(wanted)

    def _onScene(self, caller, event):
        if not self._settling:
            self._settling = True
            self._later(SETTLE_MS, self._settle)

    def _settle(self):
        self._settling = False
        if self._node is not None and self._node.GetScene() is not None:
            self._lookAround()

    def _onView(self, caller, event):
        self._update(caller)

    def _onPlace(self, caller, event):
        for viewID in tuple(self._along):
            self._update(slicer.mrmlScene.GetNodeByID(viewID))

    def _update(self, sliceNode):
        if sliceNode is None or self._node is None or self._node.GetScene() is None:
            return
        shown = self._corners.canShow(sliceNode)
        self._corners.say(sliceNode, *(self._textOf(sliceNode) if shown else ("", False)))

    def _textOf(self, sliceNode):
        """What a view has to say, and whether it is uncertain."""
        if self._isForeign(sliceNode):
            return "", False
        if self._apart:
            return _("no level: CT and points were moved apart"), True
        reading, isCenter = self._read(sliceNode)
        if reading is None:
            return "", False
        text, uncertain = levels.textOf(reading), not self._uncertain.isdisjoint(reading.levels)
        if uncertain:
            text = _("{level} (uncertain)").format(level=text)
        return (_("Center: {level}").format(level=text) if isCenter else text), uncertain

    def _read(self, sliceNode):
        """The reading of a view, and whether it is that of its center alone."""
        if self._reader is None:
            return None, False
        if isStraightened(sliceNode):
            return self._readStraight(sliceNode), False
        matrix = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())
        reading = self._reader.on_slice(matrix)
        (self._along.add if reading is None else self._along.discard)(sliceNode.GetID())
        if reading is not None:
            return reading, False
        place = _pointedAt(sliceNode)
        if place is not None:
            return self._reader.at(place), False
        return replace(self._reader.at(matrix[:3, 3]), beside=False), True

    def _readStraight(self, sliceNode):
        self._along.add(sliceNode.GetID())
        place = _pointedAt(sliceNode)
        world = self.straight.toWorld(place) if self.straight is not None and place is not None else None
        return self._reader.at(world) if world is not None else None

    def _isForeign(self, sliceNode):
        """Whether a view shows nothing, or what is not where the points are."""
        composite = compositeOf(sliceNode)
        volumeID = composite.GetBackgroundVolumeID() if composite is not None else None
        volumeNode = slicer.mrmlScene.GetNodeByID(volumeID) if volumeID else None
        if volumeNode is None:
            return True
        key = volumeID, volumeNode.GetTransformNodeID()
        if key not in self._foreign:  # to ask the DICOM database takes milliseconds
            source = sourceVolume(self._node)
            self._foreign[key] = inOtherWorld(volumeNode, source) or _hasOwnLevels(volumeNode, source)
        return self._foreign[key]


def _hasOwnLevels(volumeNode, source):
    """Whether a volume has vertebrae of its own, and is not known to lie in one world with the ``source`` of others."""
    if volumeNode is source or (source is not None and inSameFrame(volumeNode, source)):
        return False
    own = pointsNodeOf(volumeNode)
    return own is not None and bool(levelIndices(own))


def _uncertain(pointsNode):
    """The levels that are shown in amber."""
    found = levelIndices(pointsNode)
    return frozenset(level for index, level, _placed in found if not pointsNode.GetNthControlPointSelected(index))


def _pointedAt(sliceNode):
    """The place in a view under the mouse, or of the crosshair that is seen there; world RAS mm or ``None``."""
    crosshair = crosshairNode()
    if crosshair is None:
        return None
    place = [0.0, 0.0, 0.0]
    if crosshair.GetCursorPositionXYZ([0.0, 0.0, 0.0]) is sliceNode and crosshair.GetCursorPositionRAS(place):
        return tuple(place)
    if crosshair.GetCrosshairMode() == crosshair.NoCrosshair:
        return None
    place = crosshair.GetCrosshairRAS()
    matrix = sliceNode.GetSliceToRAS()
    normal, origin = ([matrix.GetElement(row, column) for row in range(3)] for column in (2, 3))
    away = sum((a - b) * c for a, b, c in zip(place, origin, normal))
    return tuple(place) if abs(away) < IN_SLICE_MM else None
