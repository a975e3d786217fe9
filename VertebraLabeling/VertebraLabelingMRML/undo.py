"""A small undo stack for the labels of markups nodes. MRML's own undo is off in Slicer and knows whole scenes only.

A list may be moved after a change, by a transform of its node, hardened or not. That is no step of this stack: what is
taken back comes back where the list is now; where its volume stayed behind, in the volume.
"""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import slicer
from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.core.volume import apply_affine
from VertebraLabelingLib.errors import InputError

from .frames import frameOf
from .moved_together import wholeMotion
from .points import MOVED_MM, levelPoints, readLabels, restoreLabels, sourceVolume, transformed
from .slice_geometry import geometryOf, localToWorld
from .volume_state import motion

DEPTH = 50


@dataclass(frozen=True)
class _Step:
    """One change: of which node and frame, what was done, the labels before, and where the list stood after it."""

    key: tuple
    what: str
    labels: SpineLabels
    stood: "_Standing"


@dataclass(frozen=True)
class _Standing:
    """Where a list stands: control point ID -> world RAS mm of each vertebra, and (4, 4) matrices to world space.

    They are that of its node, and that of the voxels of its volume; ``None`` without any.
    """

    places: dict
    toWorld: np.ndarray
    ofVolume: np.ndarray = None


class UndoStack:
    """Remembers the labels of nodes before each change."""

    def __init__(self):
        self._steps = []

    def remember(self, pointsNode, what, labels=None):
        """Keep the labels of a node before ``what`` is done to it; where that is done already, they are given."""
        labels = readLabels(pointsNode) if labels is None else labels
        step = _Step(_key(pointsNode), what, labels, _standing(pointsNode))
        self._steps = [*self._steps[1 - DEPTH :], step]

    def clear(self):
        self._steps = []

    def next(self, pointsNode):
        """What would be undone for this node; an empty text when there is nothing."""
        key = _key(pointsNode)
        return next((step.what for step in reversed(self._steps) if step.key == key), "")

    def undo(self, pointsNode):
        """Take back the last change of this node; returns what it was, an empty text when there was none.

        Raises:
            InputError: the node cannot take the points as they were, or they were moved one by one or bent since, so
                that it is not known where they would be. The change can still be taken back later.
        """
        key = _key(pointsNode)
        step = next((step for step in reversed(self._steps) if step.key == key), None)
        if step is None:
            return ""
        restoreLabels(pointsNode, transformed(step.labels, _motionSince(pointsNode, step.stood)))
        self._steps = [each for each in self._steps if each is not step]
        return step.what

    def dropDeleted(self):
        """Forget nodes that are no longer in the scene."""
        self._steps = [step for step in self._steps if slicer.mrmlScene.GetNodeByID(step.key[0]) is not None]


def _key(pointsNode):
    """ID of the node, and of the frame that it shows: each frame of a sequence has its own points, in one node."""
    frame = frameOf(pointsNode)
    return pointsNode.GetID(), None if frame is None else (frame.browser.GetID(), frame.index)


def _standing(pointsNode):
    places = {pointsNode.GetNthControlPointID(each.index): each.point.ras for each in levelPoints(pointsNode)}
    volumeNode, ofVolume = sourceVolume(pointsNode), None
    if volumeNode is not None and volumeNode.GetImageData() is not None:
        with suppress(InputError):  # bent: then nothing is known of it
            ofVolume = geometryOf(volumeNode).ijkToWorld
    return _Standing(places, localToWorld(pointsNode), ofVolume)


def _motionSince(pointsNode, before):
    """(4, 4) matrix in world space by which to move what stood like that; identity where the volume has not moved."""
    now = _standing(pointsNode)
    if before.ofVolume is not None and now.ofVolume is not None:
        size = sourceVolume(pointsNode).GetImageData().GetDimensions()
        if motion(before.ofVolume, now.ofVolume, size) is None:
            return np.eye(4)
    ofNode = now.toWorld @ np.linalg.inv(before.toWorld)
    for matrix in (ofNode, wholeMotion(before.places, now.places, felt=MOVED_MM)):  # the latter was hardened
        if matrix is not None and _explains(matrix, before, now):
            return matrix
    raise InputError(
        f"The points of '{pointsNode.GetName()}' were moved or bent since then, so this cannot be taken back: put them "
        "back, or label the CT again."
    )


def _explains(matrix, before, now):
    """Whether most points of a list stand where this motion brings those of before, in whatever order."""
    places, others = (np.array(list(each.places.values())).reshape(-1, 1, 3) for each in (before, now))
    if not len(places) or not len(others):
        return True
    apart = np.linalg.norm(apply_affine(matrix, places[:, 0])[:, None] - others[None, :, 0], axis=2)
    return np.mean(apart.min(axis=1) < MOVED_MM) > 0.5
