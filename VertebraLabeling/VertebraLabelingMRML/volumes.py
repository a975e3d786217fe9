"""From a volume node to the engine's :class:`Volume`, in world space and without copying voxels."""

import slicer
from VertebraLabelingLib.errors import InputError

from .node_attributes import STRAIGHTENED, checkIsNode
from .slice_geometry import geometryOf


def volumeFromNode(volumeNode):
    """Return the CT of a scalar volume node as the engine's :class:`Volume`.

    The array shares the node's voxels, unless uneven slices have to be interpolated. The affine maps IJK to *world* RAS
    (mm): the node's own IJK-to-RAS matrix followed by its chain of parent transforms.

    Raises:
        InputError: no node, no voxels, a label map, a vector volume, or a parent transform that bends the slices.
    """
    return volumeAndNotes(volumeNode)[0]


def volumeAndNotes(volumeNode):
    """:func:`volumeFromNode`, and sentences for the user about its slices: a tilted gantry, interpolated slices."""
    array = voxelsOf(volumeNode)
    return geometryOf(volumeNode).volume(array, volumeNode.GetName())


def voxelsOf(volumeNode):
    """(K, J, I) voxels of a scalar volume node, not copied; raises InputError as :func:`volumeFromNode`."""
    if volumeNode is None:
        raise InputError("No volume is chosen: choose a CT volume.")
    checkIsNode(volumeNode)
    name = volumeNode.GetName()
    if volumeNode.IsA("vtkMRMLLabelMapVolumeNode"):
        raise InputError(f"'{name}' is a label map: choose the CT that it was made from.")
    if volumeNode.GetAttribute(STRAIGHTENED):
        raise InputError(f"'{name}' is a straightened spine: choose the volume that it was made from.")
    if volumeNode.GetClassName() != "vtkMRMLScalarVolumeNode":
        raise InputError(f"'{name}' is not a scalar volume: choose a CT volume with one value per voxel.")
    image = volumeNode.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None:
        raise InputError(f"'{name}' holds no voxels: load the CT again.")
    if image.GetNumberOfScalarComponents() != 1:
        raise InputError(f"'{name}' has several values per voxel, as a color picture: choose a CT volume.")
    return slicer.util.arrayFromVolume(volumeNode)


def checkInScene(*nodes):
    """Raise InputError for a node, volume or other, that is not in the scene, and so could not be referred to."""
    for node in nodes:
        checkIsNode(node)
        if node.GetScene() is not slicer.mrmlScene:
            raise InputError(f"'{node.GetName()}' is not in the scene: add it with slicer.mrmlScene.AddNode(node).")


def likelyVolume():
    """The volume that the user most likely means: the active one, else the first scalar volume; None without any."""
    selection = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    active = slicer.mrmlScene.GetNodeByID(selection.GetActiveVolumeID() or "") if selection is not None else None
    volumes = [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if isScalarVolume(node)]
    return active if active in volumes else next(iter(volumes), None)


def isScalarVolume(node):
    """Whether a node can be a CT that the user sees: no label map, nor straightened, nor hidden between steps."""
    isVolume = node is not None and node.GetClassName() == "vtkMRMLScalarVolumeNode"
    return isVolume and not node.GetHideFromEditors() and not node.GetAttribute(STRAIGHTENED)
