"""A small undo stack for the labels of markups nodes. MRML's own undo is off in Slicer and knows whole scenes only."""

import slicer

from .frames import frameOf
from .points import readLabels, restoreLabels

DEPTH = 50


class UndoStack:
    """Remembers the labels of nodes before each change."""

    def __init__(self):
        self._steps = []  # (key of the node and its frame, what was done, labels before)

    def remember(self, pointsNode, what, labels=None):
        """Keep the labels of a node before ``what`` is done to it."""
        labels = readLabels(pointsNode) if labels is None else labels
        self._steps = [*self._steps[1 - DEPTH :], (_key(pointsNode), what, labels)]

    def clear(self):
        self._steps = []

    def next(self, pointsNode):
        """What would be undone for this node; an empty text when there is nothing."""
        key = _key(pointsNode)
        return next((what for each, what, _ in reversed(self._steps) if each == key), "")

    def undo(self, pointsNode):
        """Take back the last change of this node; returns what it was, an empty text when there was none.

        Raises:
            InputError: the node cannot take the points as they were; the change can still be taken back later.
        """
        for place in reversed(range(len(self._steps))):
            key, what, labels = self._steps[place]
            if key == _key(pointsNode):
                restoreLabels(pointsNode, labels)
                del self._steps[place]
                return what
        return ""

    def dropDeleted(self):
        """Forget nodes that are no longer in the scene."""
        self._steps = [step for step in self._steps if slicer.mrmlScene.GetNodeByID(step[0][0]) is not None]


def _key(pointsNode):
    """ID of the node, and of the frame that it shows: each frame of a sequence has its own points, in one node."""
    frame = frameOf(pointsNode)
    return pointsNode.GetID(), None if frame is None else (frame.browser.GetID(), frame.index)
