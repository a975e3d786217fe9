"""Where the slices of a volume node lie in world space.

Slicer's DICOM reader puts a CT with irregular or tilted slices under an *acquisition transform*: a grid transform with
one displacement a slice, which moves each to the place that its header tells. As a chain of linear transforms does, it
bends no slice, so it is read as what it is: the positions of the slices. All other non-linear transforms are refused.
"""

from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from VertebraLabelingLib.core.slice_positions import check_in_line, evenly_spaced, tilt_note
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import InputError
from vtk.util.numpy_support import vtk_to_numpy

BENT_MM = 0.1  # a slice that is bent by less is whole: rounding in headers
EVEN_MM = 0.2  # slices nearer to even places are left as they are
FLAT = 1e-9  # determinant of a transform that cannot be taken back
BESIDE_MM = 0.5  # slices further from a common line are refused: a volume cannot hold them


@dataclass(frozen=True)
class SliceGeometry:
    """Where the slices of a volume lie.

    Attributes:
        ijkToWorld: (4, 4) affine from voxel index (i, j, k) to world RAS mm; where the slices are not evenly spaced,
            that of the first and the last one.
        beside: (K, 3) from where this puts each slice to where it lies, mm; ``None`` where all lie there.
    """

    ijkToWorld: np.ndarray
    beside: np.ndarray = None

    def volume(self, array, name):
        """The voxels (K, J, I) as the engine's :class:`Volume`, and notes for the user.

        Voxels are copied only where the slices are not evenly spaced: then they are interpolated.

        Args:
            name: of the volume node, for the words.

        Raises:
            InputError: the volume cannot be that of a patient, its slices do not line up, or leave a large hole.
        """
        Volume(array, self.ijkToWorld)  # raises what is wrong with either
        row, column, step, origin = self.ijkToWorld[:3].T
        if self.beside is None:
            return Volume(array, self.ijkToWorld), []
        positions = origin + np.arange(len(array))[:, None] * step + self.beside
        check_in_line(positions, f"'{name}'", BESIDE_MM)
        array, step, notes = evenly_spaced(array, positions, f"'{name}'", EVEN_MM)
        matrix = np.eye(4)
        matrix[:3] = np.stack([row, column, step, positions[0]], axis=1)
        return Volume(array, matrix), notes + tilt_note(row, column, step)


def geometryOf(volumeNode):
    """:class:`SliceGeometry` of a volume node with voxels, parent transforms included.

    Raises:
        InputError: a parent transform bends the slices.
    """
    ijkToRas = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(ijkToRas)
    ijkToRas = slicer.util.arrayFromVTKMatrix(ijkToRas)
    transformNode = volumeNode.GetParentTransformNode()
    if transformNode is None or transformNode.IsTransformToWorldLinear():
        return SliceGeometry(localToWorld(volumeNode) @ ijkToRas)
    toWorld = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(transformNode, None, toWorld)
    image = volumeNode.GetImageData()
    size = image.GetDimensions() if image is not None else (0, 0, 0)
    if min(size) < 2 or not _movesWholeSlices(toWorld):
        raise bentError(volumeNode)
    return _geometryUnder(toWorld, ijkToRas, size, volumeNode)


def _movesWholeSlices(transform):
    """Whether a vtkGeneralTransform is a chain of linear transforms and of grids with one displacement a slice."""
    parts = vtk.vtkCollection()
    slicer.vtkMRMLTransformNode.FlattenGeneralTransform(parts, transform)
    return all(_isWhole(parts.GetItemAsObject(index)) for index in range(parts.GetNumberOfItems()))


def _isWhole(part):
    if part.IsA("vtkLinearTransform"):
        return True
    grid = part.GetDisplacementGrid() if part.IsA("vtkGridTransform") else None
    if grid is None:
        return False
    i, j, k = grid.GetDimensions()
    displacements = part.GetDisplacementScale() * vtk_to_numpy(grid.GetPointData().GetScalars()).reshape(k, j * i, 3)
    return bool(np.ptp(displacements, axis=1).max() <= BENT_MM)  # false for NaN


def _geometryUnder(toWorld, ijkToRas, size, volumeNode):
    """The geometry that a transform gives to the slices of a volume, found by their corners and middles."""
    last = np.array(size) - 1
    i, j = (np.array(each) * end for each, end in zip(((0, 1, 0, 1, 0.5), (0, 0, 1, 1, 0.5)), last))
    ijk = np.array([(*each, k) for k in range(size[2]) for each in zip(i, j)], dtype=float)
    world = _transformed(toWorld, ijk @ ijkToRas[:3, :3].T + ijkToRas[:3, 3]).reshape(size[2], 5, 3)
    inPlane = np.stack([np.ones(5), i, j], axis=1)
    middle = np.linalg.pinv(inPlane) @ world.mean(axis=0)  # of all slices: their place, and a step along I and J
    places = (world - inPlane[:, 1:] @ middle[1:]).mean(axis=1)
    bent = world - inPlane[:, 1:] @ middle[1:] - places[:, None]
    if not np.abs(bent).max() <= BENT_MM:  # NaN, too
        raise bentError(volumeNode)
    step = (places[-1] - places[0]) / last[2]
    matrix = np.eye(4)
    matrix[:3] = np.stack([*middle[1:], step, places[0]], axis=1)
    beside = places - places[0] - np.arange(size[2])[:, None] * step
    return SliceGeometry(matrix, beside)


def _transformed(transform, points):
    before, after = vtk.vtkPoints(), vtk.vtkPoints()
    for each in (before, after):
        each.SetDataTypeToDouble()
    for point in points:
        before.InsertNextPoint(point)
    transform.TransformPoints(before, after)
    return vtk_to_numpy(after.GetData())


def localToWorld(node):
    """(4, 4) matrix of the chain of parent transforms of a node; identity where there is none.

    Raises:
        InputError: a parent transform is not linear, or flattens space.
    """
    transformNode = node.GetParentTransformNode()
    if transformNode is None:
        return np.eye(4)
    if not transformNode.IsTransformToWorldLinear():
        raise bentError(node)
    toWorld = vtk.vtkMatrix4x4()
    transformNode.GetMatrixTransformToWorld(toWorld)
    if abs(toWorld.Determinant()) < FLAT:
        raise InputError(f"The transform of '{node.GetName()}' flattens space: correct it in the module Transforms.")
    return slicer.util.arrayFromVTKMatrix(toWorld)


def patientToWorld(volumeNode):
    """(4, 4) matrix by which a volume was moved since it was loaded: all its parent transforms but the acquisition's.

    Raises:
        InputError: another parent transform is not linear, or one flattens space.
    """
    transformNode = volumeNode.GetParentTransformNode()
    if transformNode is None or transformNode.IsTransformToWorldLinear():
        return localToWorld(volumeNode)
    if transformNode.IsLinear():  # so one further up is not
        raise bentError(volumeNode)
    return localToWorld(transformNode)


def inPatient(volumeNode):
    """:class:`SliceGeometry` of a volume node as it was loaded: apart from what has moved it since.

    Raises:
        InputError: as :func:`patientToWorld`, or the acquisition transform bends the slices.
    """
    geometry, toPatient = geometryOf(volumeNode), np.linalg.inv(patientToWorld(volumeNode))
    beside = geometry.beside if geometry.beside is None else geometry.beside @ toPatient[:3, :3].T
    return SliceGeometry(toPatient @ geometry.ijkToWorld, beside)


def bentError(node):
    """The InputError of a node under a transform that is neither linear nor the positions of slices."""
    return InputError(f"'{node.GetName()}' stands under a non-linear transform: harden it in the module Data.")
