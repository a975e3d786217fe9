"""Keeps up with the views: arranges the points of one node in them, and places their names."""

import slicer
import vtk

from . import slice_views
from .slice_names import SliceNames
from .view_windows import cameraOf, renderWindow
from .wanted_events import WantedEvents

SETTLE_MS = 20


class SliceViewFollower(WantedEvents):
    """Arranges the points of one node anew when a view turns, zooms, comes or goes, or the look is changed.

    Args:
        later: ``later(ms, function)`` calls a function from the event loop of the user interface.
    """

    def __init__(self, later):
        super().__init__()
        self._later, self._settling = later, False
        self._node, self._names = None, SliceNames()

    def follow(self, pointsNode):
        """Follow the views for this node instead of the one before, as its points are now; ``None`` to stop."""
        if pointsNode is not self._node:
            self.observeOnly({})
            self._letGo()
            self._node, self._settling, self._names.chosen = pointsNode, False, None
        if pointsNode is not None:
            self._names.show(pointsNode, *slice_views.arrange(pointsNode, followed=True))
            self._observe()

    def choose(self, index):
        """The name of this control point gets its place first; ``None`` for none."""
        self._names.chosen = index
        self._onViewEvent(None, None)

    def _letGo(self):
        self._names.clear()
        if self._node is not None and self._node.GetScene() is not None:
            slice_views.arrange(self._node)

    def _observe(self):
        modified, scene, display = vtk.vtkCommand.ModifiedEvent, slicer.mrmlScene, self._node.GetDisplayNode()
        wanted = {
            (scene, scene.NodeAddedEvent): self._onViewEvent,
            (scene, scene.NodeRemovedEvent): self._onViewEvent,
        }
        if display is not None:
            wanted[display, modified] = self._onLook
        for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            wanted[view, modified] = self._onViewEvent
        for view in slicer.util.getNodesByClass("vtkMRMLViewNode"):
            window, camera = renderWindow(view), cameraOf(view)
            if window is not None:
                wanted[window, vtk.vtkCommand.WindowResizeEvent] = self._onViewEvent
            if camera is not None:
                wanted[camera.GetCamera(), modified] = self._onViewEvent
        self.observeOnly(wanted)

    def _onLook(self, caller, event):
        slice_views.mirror(self._node)
        self._onViewEvent(caller, event)

    def _onViewEvent(self, caller, event):
        if not self._settling:
            self._settling = True
            self._later(SETTLE_MS, self._settle)

    def _settle(self):
        self._settling = False
        if self._node is not None and self._node.GetScene() is not None:
            self.follow(self._node)
