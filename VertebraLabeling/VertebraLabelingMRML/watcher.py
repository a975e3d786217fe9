"""Watches a markups node: what changed, and what the user dragged."""

import slicer
from slicer.util import VTKObservationMixin
from VertebraLabelingLib.errors import VertebraLabelingError

from .control_points import mendNames
from .points import MOVED_MM, levelPoints, readLabels

SETTLE_MS = 20


class PointsWatcher(VTKObservationMixin):
    """Tells of changes of one node, many at a time as one.

    Args:
        onChanged: called after points were added, removed, renamed or moved, by whomever.
        onDragged: called with (levels that were dragged, labels before the drag) after the mouse was released.
        later: ``later(ms, function)`` calls a function from the event loop of the user interface.
    """

    def __init__(self, onChanged, onDragged, later):
        super().__init__()
        self._onChanged, self._onDragged, self._later = onChanged, onDragged, later
        self._node, self._before, self._places = None, None, {}
        self._settling = False

    def watch(self, pointsNode):
        """Watch this node instead of the one before; ``None`` to stop."""
        if pointsNode is self._node:
            return
        self.removeObservers()
        self._node, self._before, self._settling = pointsNode, None, False
        if pointsNode is None:
            return
        markups = slicer.vtkMRMLMarkupsNode
        for event in (
            markups.PointModifiedEvent,
            markups.PointAddedEvent,
            markups.PointRemovedEvent,
            markups.PointPositionDefinedEvent,
            slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
        ):
            self.addObserver(pointsNode, event, self._onPointEvent)
        self.addObserver(pointsNode, markups.PointStartInteractionEvent, self._onDragStart)
        self.addObserver(pointsNode, markups.PointEndInteractionEvent, self._onDragEnd)

    def _onPointEvent(self, caller, event):
        if not self._settling:
            self._settling = True
            self._later(SETTLE_MS, self._settle)

    def _settle(self):
        self._settling = False
        if self._node is not None:
            mendNames(self._node)
            self._onChanged()

    def _onDragStart(self, caller, event):
        self._places = {each.point.level: each.point.ras for each in levelPoints(caller)}
        try:
            self._before = readLabels(caller)
        except VertebraLabelingError:
            self._before = None  # the node cannot be read now, so the drag cannot be undone either

    def _onDragEnd(self, caller, event):
        # The widget still holds the point: change the node only after it has let go.
        self._later(0, self._afterDrag)

    def _afterDrag(self):
        before, self._before = self._before, None
        if self._node is None or before is None:
            return
        levels = [
            each.point.level
            for each in levelPoints(self._node)
            if max(abs(a - b) for a, b in zip(each.point.ras, self._places.get(each.point.level, each.point.ras)))
            > MOVED_MM
        ]
        if levels:
            self._onDragged(levels, before)
