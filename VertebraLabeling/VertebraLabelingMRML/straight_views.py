"""Keeps the views of a straightened spine and the usual views at one place, whichever of them the user points in.

The straightened volume stands beside the patient, so a place of the crosshair or of a click says by itself which of the
two is meant. Its views are a group of their own: Slicer itself moves those of the patient alone, and the other way
round.
"""

import slicer
import vtk
from slicer.util import VTKObservationMixin

from .place_mark import PlaceMark
from .view_windows import compositeOf, crosshairNode, isStraightened, sliceView

STILL_PX = 3  # a mouse that was moved farther while its button was down has not clicked
BEFORE_THE_VIEW = 1.0  # priority of an observer


class StraightViews(VTKObservationMixin):
    """Follows crosshair and clicks from when it is made until :meth:`stop`.

    Args:
        straight: :class:`straightened.StraightenedSpine`.
        sliceNodes: the vtkMRMLSliceNode of the views that show its volume.
    """

    def __init__(self, straight, sliceNodes):
        super().__init__()
        self._straight, self._views, self._pressed = straight, list(sliceNodes), None
        self._marks, self._crosshairAt = (PlaceMark(), PlaceMark()), None
        modified, command = vtk.vtkCommand.ModifiedEvent, vtk.vtkCommand
        crosshair = crosshairNode()
        if crosshair is not None:
            self._crosshairAt = tuple(crosshair.GetCrosshairRAS())
            self.addObserver(crosshair, modified, self._onCrosshair)
        self._last = {}  # view ID -> the last place in the straightened volume where it was
        for view in self._views:
            self._onLayers(compositeOf(view), None)
            self.addObserver(compositeOf(view), modified, self._onLayers)
            self.addObserver(view, modified, self._onView)
            interactor = sliceView(view).interactor()
            self.addObserver(interactor, command.LeftButtonPressEvent, self._onPress, priority=BEFORE_THE_VIEW)
            self.addObserver(interactor, command.LeftButtonReleaseEvent, self._onRelease, priority=BEFORE_THE_VIEW)

    @property
    def nodes(self):
        """The vtkMRMLSliceNode of the views that show the straightened spine."""
        return tuple(self._views)

    @property
    def marked(self):
        """Where the marks stand: in the patient, and in the straightened volume; ``None`` for nowhere."""
        return tuple(mark.place for mark in self._marks)

    def stop(self):
        """Follow no more and mark nothing."""
        self.removeObservers()
        for mark in self._marks:
            mark.hide()
        self._straight, self._views = None, []

    def goTo(self, position):
        """Bring all views to a place, world RAS mm, of either; returns it in the patient, ``None`` outside of both."""
        world = self._straight.toWorld(position)
        straight = position if world is not None else self._straight.toStraight(position)
        world = world or (position if straight is not None else None)
        if world is not None:
            for view in self._usual():
                view.JumpSliceByCentering(*world)
        self._point(world, straight)
        return world

    def refresh(self):
        """The straightened volume has changed: its views go to the marked place as it is seen there now."""
        world = self._marks[0].place
        self._point(world, self._straight.toStraight(world) if world is not None else None)

    def _point(self, world, straight):
        """Mark a place, and bring the views of the straightened spine there."""
        if straight is not None:
            for view in self._views:
                view.JumpSliceByOffsetting(*straight)
        self._marks[0].show(world, [view.GetID() for view in self._usual()])
        self._marks[1].show(straight, [view.GetID() for view in self._views])

    def _usual(self):
        views = slicer.util.getNodesByClass("vtkMRMLSliceNode")
        return [view for view in views if view not in self._views and not isStraightened(view)]

    def _onCrosshair(self, caller, event):
        position = tuple(caller.GetCrosshairRAS())
        if position == self._crosshairAt:
            return  # its color, or the like
        self._crosshairAt = position
        if self._straight.toWorld(position) is not None:
            self.goTo(position)
        else:
            straight = self._straight.toStraight(position)
            self._point(position if straight is not None else None, straight)

    def _onLayers(self, caller, event):
        """These views show the straightened spine alone, also when a volume is shown in all views."""
        volumeID = self._straight.volumeNode.GetID()
        if caller.GetBackgroundVolumeID() != volumeID:
            caller.SetBackgroundVolumeID(volumeID)
        if caller.GetForegroundVolumeID() is not None:
            caller.SetForegroundVolumeID(None)
        if caller.GetLabelVolumeID() is not None:
            caller.SetLabelVolumeID(None)

    def _onView(self, caller, event):
        """A view that was sent to a place of the patient, as all views are by Markups, goes where this is seen."""
        matrix = caller.GetSliceToRAS()
        origin = tuple(matrix.GetElement(row, 3) for row in range(3))
        if self._straight.toWorld(origin) is not None:
            self._last[caller.GetID()] = origin
            return
        target = self._straight.toStraight(origin) or self._last.get(caller.GetID())
        if target is not None and self._straight.toWorld(target) is not None:
            caller.JumpSliceByCentering(*target)

    def _onPress(self, caller, event):
        self._pressed = caller.GetEventPosition()

    def _onRelease(self, caller, event):
        pressed, self._pressed = self._pressed, None
        at = caller.GetEventPosition()
        if pressed is None or max(abs(a - b) for a, b in zip(pressed, at)) > STILL_PX:
            return
        view = next((each for each in self._views if sliceView(each).interactor() is caller), None)
        if view is not None:
            position = tuple(view.GetXYToRAS().MultiplyPoint((at[0], at[1], 0.0, 1.0))[:3])
            if self._straight.isOfScan(position):
                self.goTo(position)
