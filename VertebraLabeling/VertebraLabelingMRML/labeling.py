"""Labeling a volume node: what goes in, what comes out, and what the user's own points have to say in it."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX
from VertebraLabelingLib.core.labels import CONFIRMED, LabeledPoint, SpineLabels
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.formats.limits import is_place
from VertebraLabelingLib.solver.chain import relabel

from . import display, slice_views
from .points import (
    checkPointsNode,
    createPointsNode,
    pointsNodeOf,
    sourceVolume,
    transformed,
    userPoints,
    wasLabeled,
    writeLabels,
)
from .volumes import ijkToWorld, volumeFromNode


class Labeler(Protocol):
    """What names the vertebrae of a volume; ``VertebraLabelingLib.pipeline.labeler.VertebraLabeler`` is one."""

    def label(self, volume: Volume, fixed=None, progress=None, cancelled=None) -> SpineLabels: ...


@dataclass(frozen=True)
class Request:
    """One run, checked before it starts.

    Attributes:
        volumeNode: the CT.
        volume: its voxels and world affine.
        pointsNode: the node to update, or ``None`` to create one.
        kept: level -> :class:`LabeledPoint` of the user: a confirmed one stays as it is, a moved one where it is.
    """

    volumeNode: object
    volume: Volume
    pointsNode: object = None
    kept: dict = field(default_factory=dict)

    @property
    def fixed(self):
        """level -> world RAS mm of the points whose level is settled, as the engine takes it."""
        return {level: point.ras for level, point in self.kept.items() if point.status == CONFIRMED}


def prepare(volumeNode, outputNode=None, fixed=None, newOutput=False):
    """Check the nodes and collect the points that the user settled; changes nothing.

    Args:
        volumeNode: vtkMRMLScalarVolumeNode.
        outputNode: vtkMRMLMarkupsFiducialNode to write into; by default the one of an earlier run on this volume.
        fixed: level -> world RAS mm of further points that are known.
        newOutput: write into a new node even where an earlier run has left one.

    Raises:
        InputError: the volume or the output cannot be used.
    """
    volume = volumeFromNode(volumeNode)
    pointsNode = outputNode
    if pointsNode is None and not newOutput:
        pointsNode = pointsNodeOf(volumeNode)
    kept = {}
    if pointsNode is not None:
        checkPointsNode(pointsNode)
        if sourceVolume(pointsNode) in (volumeNode, None):
            kept = userPoints(pointsNode)
    for level, ras in (fixed or {}).items():
        if level not in LEVEL_INDEX or not is_place(ras):
            raise InputError(f"The known point {level!r} has no place or is no level: use C1-C7, T1-T13 or L1-L6.")
        kept[level] = LabeledPoint(level, tuple(float(value) for value in ras), 1.0, CONFIRMED)
    return Request(volumeNode, volume, pointsNode, kept)


def finish(request, labels):
    """Write the result of a run; returns the markups node. The first change to the scene is made here.

    What happened to the nodes during the run is respected: points that the user settled meanwhile are kept, a deleted
    output is made anew, and the points follow a volume whose linear transform was changed.
    """
    node = request.pointsNode
    kept = dict(request.kept)
    if node is None or node.GetScene() is None:
        node = createPointsNode(request.volumeNode)
    elif sourceVolume(node) in (request.volumeNode, None):
        kept.update(userPoints(node))
    moved = ijkToWorld(request.volumeNode) @ np.linalg.inv(request.volume.ijk_to_ras)
    if not np.allclose(moved, np.eye(4), atol=1e-6):
        labels = transformed(labels, moved)
    if not wasLabeled(node):
        display.style(node)
    writeLabels(node, withKept(labels, kept), request.volumeNode)
    slice_views.arrange(node)
    return node


def withKept(labels, kept):
    """The labels with the user's confirmed points as they are, and with the moved ones where they are.

    Moving says where a vertebra is, not which: a moved point bears the level that this run gives it.
    """
    confirmed = {level: point for level, point in kept.items() if point.status == CONFIRMED}
    moved = [point for point in kept.values() if point.status != CONFIRMED]
    if moved and labels.evidence is not None:
        labels = relabel(labels, {}, placed=[point.ras for point in moved])
    taken = {point.ras for point in labels.points}
    for point in moved:
        if point.ras not in taken and point.level not in confirmed:
            confirmed[point.level] = point  # the chain has no room for it: it stays as it was
    others = [point for point in labels.points if point.level not in confirmed]
    return labels.with_points((*others, *confirmed.values()))


def label(volumeNode, labeler: Labeler, outputNode=None, fixed=None, progress=None, cancelled=None):
    """Label a CT volume node and return the markups node; blocks. Arguments as in :func:`prepare`."""
    request = prepare(volumeNode, outputNode, fixed)
    labels = labeler.label(request.volume, fixed=request.fixed or None, progress=progress, cancelled=cancelled)
    return finish(request, labels)
