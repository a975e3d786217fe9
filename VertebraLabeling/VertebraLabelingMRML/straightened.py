"""The straightened spine of a volume as nodes of its own, kept in step with volume and points, and the way back.

The straightened volume stands in the scene beside the patient, so no place of it is one of the patient, and a click or
the crosshair says by its place alone which of the two is meant.
"""

from numbers import Real

import numpy as np
import slicer
import vtk
from slicer.util import VTKObservationMixin
from VertebraLabelingLib.core.field_of_view import distance_to_face
from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.core.straight_spine import SIDE_MM, straight_spine
from VertebraLabelingLib.core.volume import apply_affine
from VertebraLabelingLib.errors import InputError, VertebraLabelingError

from . import display
from .engine import checkImage, straightVolume
from .node_attributes import STRAIGHTENED
from .points import checkPointsNode, levelPoints, sourceVolume
from .same_world import inOtherWorld
from .slice_geometry import localToWorld
from .stands_apart import standApart
from .volumes import checkInScene, volumeFromNode

SETTLE_MS = 300  # after the last change: to straighten takes a second
LEAST_MM, MOST_MM = 0.25, 5.0  # voxels: of two gigabytes for a whole spine, and of some in a vertebra
BESIDE_MM = 50.0  # between the patient and the straightened spine


class StraightenedSpine(VTKObservationMixin):
    """A straightened volume and its points; made by :meth:`VertebraLabelingLogic.straighten`.

    It follows corrections of the points, new voxels and transforms until :meth:`end`, or until one of its nodes leaves
    the scene. The nodes that it has made stay.

    Args:
        volumeNode: CT or MR, under any linear transform.
        pointsNode: its vertebrae.
        voxelMm: size of the voxels.
        makeLater: ``makeLater(function)`` gives an object with ``start(ms)`` and ``stop()`` that calls a function once
            from the event loop, put off by another start. Without it, changes are taken up by :meth:`update` only.
        onChanged: called with this object after each update, and when it has ended.

    Raises:
        InputError: a node cannot be used, or the points give no curve or lie beside the volume. No node is made then.

    Attributes:
        volumeNode, pointsNode: what was made: vtkMRMLScalarVolumeNode, and a locked vtkMRMLMarkupsFiducialNode.
        problem: why the spine cannot be straightened as it is now, one sentence; "" where it is. While there is one,
            volume and points are empty.
    """

    def __init__(self, volumeNode, pointsNode, voxelMm, makeLater=None, onChanged=None):
        super().__init__()
        self._sourceVolume, self._sourcePoints, self._voxelMm = volumeNode, pointsNode, voxelMm
        self._onChanged, self._later, self._dragging = onChanged, None, False
        self._spine, self._offset, self._stamp, self.problem = None, np.zeros(3), None, ""
        self.volumeNode = self.pointsNode = None
        spine, straight, labels, offset = self._straighten()
        self.volumeNode, self.pointsNode = _addNodes(volumeNode, pointsNode)
        self._show(spine, straight, labels, offset)
        self._later = makeLater(self._settle) if makeLater else None
        self._observe()

    @property
    def running(self):
        """Whether it still follows its nodes."""
        return self._sourceVolume is not None

    def update(self):
        """Straighten as volume and points are now. What cannot be done is told by :attr:`problem`."""
        if not self.running:
            return
        try:
            self._show(*self._straighten())
        except VertebraLabelingError as error:
            self._clear(str(error))
        self._tell()

    def end(self):
        """Follow nothing any more; the nodes stay as they are."""
        if not self.running:
            return
        self.removeObservers()
        if self._later is not None:
            self._later.stop()
        self._later = self._sourceVolume = self._sourcePoints = None
        self._tell()
        self._onChanged = None

    def toWorld(self, position):
        """The place in the patient, world RAS mm, of one in the straightened volume; ``None`` outside it."""
        if self._spine is None or self.volumeNode.GetScene() is None:
            return None
        local = apply_affine(np.linalg.inv(localToWorld(self.volumeNode)), [position]) - self._offset
        return tuple(self._spine.to_world(local)[0].tolist()) if self._spine.holds(local)[0] else None

    def toStraight(self, position):
        """The place in the straightened volume of one in the patient, world RAS mm; ``None`` where it shows it not."""
        if self._spine is None or self.volumeNode.GetScene() is None:
            return None
        straight = self._spine.to_straight([position])
        if not self._spine.holds(straight)[0]:
            return None
        return tuple(apply_affine(localToWorld(self.volumeNode), straight + self._offset)[0].tolist())

    def alongMm(self, position, other):
        """The way along the spine between two places in the patient, mm; ``None`` where there is no curve now."""
        if self._spine is None:
            return None
        return float(np.ptp(self._spine.to_straight([position, other])[:, 2]))

    def isOfScan(self, position):
        """Whether a place of the straightened volume shows one of the scan."""
        world = self.toWorld(position)
        return world is not None and isInScan(self._sourceVolume, world)

    def jump(self, position):
        """Center all slice views on a place, of the patient or of the straightened volume: each on its own picture.

        Returns:
            The place in the patient; ``None`` where it lies in neither, and no view was moved.
        """
        world = self.toWorld(position)
        straight = position if world is not None else self.toStraight(position)
        world = world or (tuple(position) if straight is not None else None)
        if world is None:
            return None
        for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            view.JumpSliceByCentering(*(straight if self._isShownIn(view) else world))
        return world

    def _isShownIn(self, view):
        composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        return any(
            each.GetLayoutName() == view.GetLayoutName() and each.GetBackgroundVolumeID() == self.volumeNode.GetID()
            for each in composites
        )

    def _straighten(self):
        """The curve, the straightened volume, its labels, and where it stands; changes nothing."""
        self._stamp = _stamp(self._sourceVolume)
        volume, labels, spine = curveIn(self._sourceVolume, self._sourcePoints)
        low, high = volume.corners.min(axis=0), volume.corners.max(axis=0)
        offset = np.array([high[0] + BESIDE_MM + SIDE_MM, (low[1] + high[1]) / 2, labels.points[0].ras[2]])
        return spine, straightVolume(volume, spine, self._voxelMm), spine.labels(labels), offset

    def _show(self, spine, straight, labels, offset):
        self._spine, self._offset, self.problem = spine, offset, ""
        matrix = straight.ijk_to_ras.copy()
        matrix[:3, 3] += offset
        with slicer.util.NodeModify(self.volumeNode):
            slicer.util.updateVolumeFromArray(self.volumeNode, straight.array)
            self.volumeNode.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
        node = self.pointsNode
        with slicer.util.NodeModify(node):
            node.SetLocked(False)
            node.RemoveAllControlPoints()
            for point in labels.points:
                index = node.AddControlPoint(list(offset + point.ras), point.level)
                node.SetNthControlPointDescription(index, point.description)
            node.SetLocked(True)

    def _clear(self, problem):
        """Nothing is shown rather than what is not true any more."""
        self._spine, self.problem = None, problem
        self.pointsNode.RemoveAllControlPoints()
        slicer.util.arrayFromVolume(self.volumeNode)[...] = 0
        slicer.util.arrayFromVolumeModified(self.volumeNode)

    def _tell(self):
        if self._onChanged:
            self._onChanged(self)

    def _observe(self):
        markups, scene = slicer.vtkMRMLMarkupsNode, slicer.mrmlScene
        moved = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
        for event in (
            markups.PointModifiedEvent,
            markups.PointAddedEvent,
            markups.PointRemovedEvent,
            markups.PointPositionDefinedEvent,
            moved,
        ):
            self.addObserver(self._sourcePoints, event, self._onChange)
        self.addObserver(self._sourcePoints, markups.PointStartInteractionEvent, self._onDragStart)
        self.addObserver(self._sourcePoints, markups.PointEndInteractionEvent, self._onDragEnd)
        self.addObserver(self._sourceVolume, moved, self._onChange)
        self.addObserver(self._sourceVolume, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, self._onChange)
        self.addObserver(self._sourceVolume, vtk.vtkCommand.ModifiedEvent, self._onVolumeModified)
        self.addObserver(scene, scene.NodeRemovedEvent, self._onNodeRemoved)
        self.addObserver(scene, scene.StartCloseEvent, self._onNodeRemoved)

    def _onChange(self, caller, event):
        if self._later is not None and not self._dragging:
            self._later.start(SETTLE_MS)

    def _onVolumeModified(self, caller, event):
        """Names and the like may have changed; new voxels and a new place are taken up."""
        if _stamp(caller) != self._stamp:
            self._onChange(caller, event)

    def _onDragStart(self, caller, event):
        self._dragging = True

    def _onDragEnd(self, caller, event):
        self._dragging = False
        self._onChange(caller, event)

    def _settle(self):
        if not slicer.mrmlScene.IsBatchProcessing():
            self.update()

    def _onNodeRemoved(self, caller, event):
        nodes = (self._sourceVolume, self._sourcePoints, self.volumeNode, self.pointsNode)
        if event == slicer.mrmlScene.StartCloseEvent or any(node.GetScene() is None for node in nodes):
            self.end()


def curveIn(volumeNode, pointsNode):
    """What a volume is straightened along: its voxels, the labels of its points, and the engine's StraightSpine.

    Raises:
        InputError: a node cannot be used, the points give no curve, or they do not belong where the volume is.
    """
    volume = volumeFromNode(volumeNode)
    if sourceVolume(pointsNode) is volumeNode and standApart(pointsNode):
        raise InputError(
            f"'{pointsNode.GetName()}' and '{volumeNode.GetName()}' were moved apart: put them back together, "
            "or label it again."
        )
    if inOtherWorld(volumeNode, sourceVolume(pointsNode)):
        raise InputError(
            f"'{volumeNode.GetName()}' is of another patient or frame of reference than "
            f"'{pointsNode.GetName()}': choose the volume of these points, or carry them to this one."
        )
    labels = SpineLabels(tuple(each.point for each in levelPoints(pointsNode)))
    spine = straight_spine(labels.points)
    inside = distance_to_face(np.array([point.ras for point in labels.points]), volume.corners) > 0
    if inside.mean() < 0.5:
        raise InputError(
            f"The points of '{pointsNode.GetName()}' lie outside '{volumeNode.GetName()}': choose the volume "
            "that they belong to."
        )
    return volume, labels, spine


def isInScan(volumeNode, rasWorld):
    """Whether a place lies in a volume: around its edges a straightened spine shows air in which nothing is."""
    return bool(distance_to_face(np.array([rasWorld]), volumeFromNode(volumeNode).corners)[0] >= 0)


def straighten(volumeNode, pointsNode, voxelMm, makeLater=None, onChanged=None):
    """See :class:`StraightenedSpine`, which is returned; the arguments are checked before anything is made."""
    checkPointsNode(pointsNode)
    checkImage(volumeFromNode(volumeNode), f"'{volumeNode.GetName()}'")
    checkInScene(volumeNode, pointsNode)
    if not isinstance(voxelMm, Real) or not LEAST_MM <= voxelMm <= MOST_MM:
        raise InputError(f"Voxels of {voxelMm} mm are none of a picture: choose {LEAST_MM} to {MOST_MM} mm.")
    return StraightenedSpine(volumeNode, pointsNode, voxelMm, makeLater, onChanged)


def _stamp(volumeNode):
    """What changes with the voxels of a volume, or with its own geometry."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    image = volumeNode.GetImageData()
    scalars = image.GetPointData().GetScalars() if image is not None else None
    return (scalars.GetMTime() if scalars is not None else 0), slicer.util.arrayFromVTKMatrix(matrix).tolist()


def _addNodes(volumeNode, pointsNode):
    """The empty nodes, named after their sources and looking like them."""
    scene = slicer.mrmlScene
    made = scene.AddNewNodeByClass(
        "vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(f"{volumeNode.GetName()} straightened")
    )
    plain = made.GetName().replace("%", "_")  # Slicer takes it for a format of the points' labels
    points = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", scene.GenerateUniqueName(f"{plain} vertebrae"))
    for node in (made, points):
        node.SetAttribute(STRAIGHTENED, volumeNode.GetID())
        node.CreateDefaultDisplayNodes()
    look = volumeNode.GetDisplayNode()
    if look is not None:
        made.GetDisplayNode().SetAutoWindowLevel(look.GetAutoWindowLevel())
        made.GetDisplayNode().SetWindowLevel(look.GetWindow(), look.GetLevel())
    display.style(points)
    if pointsNode.GetDisplayNode() is not None:
        display.copyLook(pointsNode.GetDisplayNode(), points.GetDisplayNode())
    return made, points
