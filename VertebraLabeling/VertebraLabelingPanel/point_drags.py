"""Knows whether the mouse holds a point of a list, which nobody else may change so long."""

import slicer
from slicer.util import VTKObservationMixin

from .later import Later

LET_GO_MS = 50  # what a drag itself changes (VertebraLabelingMRML.watcher) comes first


class PointDrags(VTKObservationMixin):
    """Follows the drags in one point list from when it is made until :meth:`stop`.

    While a point is held, the widget of the view knows it by its number: a run that brought the points into another
    order would hand another vertebra to the mouse.

    Args:
        pointsNode: vtkMRMLMarkupsNode, or ``None`` where nothing can be dragged.
    """

    def __init__(self, pointsNode):
        super().__init__()
        self._node, self._held, self._function = pointsNode, False, None
        self._later = Later(self._onLetGo)
        if pointsNode is not None:
            self.addObserver(pointsNode, slicer.vtkMRMLMarkupsNode.PointStartInteractionEvent, self._onStart)
            self.addObserver(pointsNode, slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent, self._onEnd)
            self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeRemovedEvent, self._onNodeRemoved)

    def afterwards(self, function):
        """Call a function once: now, or where the mouse holds a point, after it has let go."""
        if self._held or self._later.waiting:
            self._function = function
        else:
            function()

    def stop(self):
        """No call comes any more."""
        self.removeObservers()
        self._later.stop()
        self._node, self._function = None, None

    def _onStart(self, caller, event):
        self._held = True

    def _onEnd(self, caller, event):
        self._held = False
        self._later.start(LET_GO_MS)

    def _onNodeRemoved(self, caller, event):
        if self._held and self._node.GetScene() is None:
            self._onEnd(caller, event)

    def _onLetGo(self):
        if not self._held and self._function is not None:
            function, self._function = self._function, None
            function()
