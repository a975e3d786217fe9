"""From a volume node to the engine's :class:`Volume`, in world space and without copying voxels."""

import numpy as np
import slicer
import vtk
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import InputError


def volumeFromNode(volumeNode):
    """Return the CT of a scalar volume node as the engine's :class:`Volume`.

    The array shares the node's voxels. The affine maps IJK to *world* RAS (mm): the node's own IJK-to-RAS matrix
    followed by its chain of linear parent transforms.

    Raises:
        InputError: no node, no voxels, a label map, a vector volume, or a non-linear parent transform.
    """
    if volumeNode is None:
        raise InputError("No volume is chosen: choose a CT volume.")
    name = volumeNode.GetName()
    if volumeNode.IsA("vtkMRMLLabelMapVolumeNode"):
        raise InputError(f"'{name}' is a label map: choose the CT that it was made from.")
    if volumeNode.GetClassName() != "vtkMRMLScalarVolumeNode":
        raise InputError(f"'{name}' is not a scalar volume: choose a CT volume with one value per voxel.")
    image = volumeNode.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None:
        raise InputError(f"'{name}' holds no voxels: load the CT again.")
    if image.GetNumberOfScalarComponents() != 1:
        raise InputError(f"'{name}' has several values per voxel, as a color picture: choose a CT volume.")
    return Volume(slicer.util.arrayFromVolume(volumeNode), ijkToWorld(volumeNode))


def likelyVolume():
    """The volume that the user most likely means: the active one, else the first scalar volume; None without any."""
    selection = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    active = slicer.mrmlScene.GetNodeByID(selection.GetActiveVolumeID() or "") if selection is not None else None
    volumes = [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if isScalarVolume(node)]
    return active if active in volumes else next(iter(volumes), None)


def isScalarVolume(node):
    """Whether a node can be a CT that the user sees: neither a label map nor hidden, as the volumes between steps."""
    return node is not None and node.GetClassName() == "vtkMRMLScalarVolumeNode" and not node.GetHideFromEditors()


def ijkToWorld(volumeNode):
    """(4, 4) matrix from voxel index (i, j, k) to world RAS mm, parent transforms included.

    Raises:
        InputError: a parent transform is not linear.
    """
    ijkToRas = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(ijkToRas)
    return localToWorld(volumeNode) @ slicer.util.arrayFromVTKMatrix(ijkToRas)


def localToWorld(node):
    """(4, 4) matrix of the chain of parent transforms of a node; identity where there is none.

    Raises:
        InputError: a parent transform is not linear.
    """
    transformNode = node.GetParentTransformNode()
    if transformNode is None:
        return np.eye(4)
    if not transformNode.IsTransformToWorldLinear():
        raise InputError(
            f"'{node.GetName()}' stands under a non-linear transform: harden it or take it out of the transform."
        )
    toWorld = vtk.vtkMatrix4x4()
    transformNode.GetMatrixTransformToWorld(toWorld)
    return slicer.util.arrayFromVTKMatrix(toWorld)
