"""A small undo stack for the labels of markups nodes. MRML's own undo is off in Slicer and knows whole scenes only."""

import slicer

from .points import readLabels, restoreLabels

DEPTH = 50


class UndoStack:
    """Remembers the labels of nodes before each change."""

    def __init__(self):
        self._steps = []  # (node ID, what was done, labels before)

    def remember(self, pointsNode, what, labels=None):
        """Keep the labels of a node before ``what`` is done to it."""
        labels = readLabels(pointsNode) if labels is None else labels
        self._steps = [*self._steps[1 - DEPTH :], (pointsNode.GetID(), what, labels)]

    def clear(self):
        self._steps = []

    def next(self, pointsNode):
        """What would be undone for this node; an empty text when there is nothing."""
        return next((what for nodeID, what, _ in reversed(self._steps) if nodeID == pointsNode.GetID()), "")

    def undo(self, pointsNode):
        """Take back the last change of this node; returns what it was, an empty text when there was none."""
        for place in reversed(range(len(self._steps))):
            nodeID, what, labels = self._steps[place]
            if nodeID == pointsNode.GetID():
                del self._steps[place]
                restoreLabels(pointsNode, labels)
                return what
        return ""

    def dropDeleted(self):
        """Forget nodes that are no longer in the scene."""
        self._steps = [step for step in self._steps if slicer.mrmlScene.GetNodeByID(step[0]) is not None]
