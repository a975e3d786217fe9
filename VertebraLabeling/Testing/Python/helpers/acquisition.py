"""A volume as Slicer's DICOM reader leaves it: evenly spaced slices, and a grid transform that puts each in its place.

Written from what the reader's *acquisition geometry regularization* makes: a vtkOrientedGridTransform to the parent,
2 x 2 displacements a slice, which reach from the first voxel of a slice to one voxel beyond its last.
"""

import numpy as np
import slicer
import vtk
from balls import BACKGROUND_HU, BALL_HU, RADIUS_MM, centers
from vtk.util.numpy_support import numpy_to_vtk

SPACING = (2.0, 2.5)  # mm along I and J
SIZE = (60, 56)  # voxels along I and J


def addScan(positions, axes=None, balls=None, name="CT"):
    """Add a CT of the balls whose slices lie at ``positions``; returns its node, with its acquisition transform.

    Args:
        positions: (K, 3) world RAS mm of the first voxel of each slice.
        axes: (3, 2) unit vectors of rows and columns; along R and A by default.
        balls: (N, 3) world RAS mm; those of :func:`balls.centers` by default.
    """
    positions = np.asarray(positions, dtype=float)
    axes = np.eye(3)[:, :2] if axes is None else np.asarray(axes, dtype=float)
    balls = np.array(list(centers().values())) if balls is None else np.asarray(balls)
    node = slicer.util.addVolumeFromArray(_voxels(positions, axes * SPACING, balls), name=name)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(_asLoaded(positions, axes)))
    addAcquisitionTransform(node, positions, axes * SPACING)
    return node


def positionsAt(heights, step=(0.0, 0.0, 1.0), around=None):
    """(K, 3) first voxels of slices along the line of ``step`` at heights (K,) mm, with the balls in their middle."""
    middle = np.mean(list(centers().values()), axis=0) if around is None else around
    corner = middle - [*(np.array(SPACING) * (np.array(SIZE) - 1) / 2), middle[2]]
    return corner + np.outer(heights, np.asarray(step) / step[2])


def _voxels(positions, columns, balls):
    """int16 (K, J, I) voxels of slices that lie where they say; the balls fade, so any slices find their center."""
    j, i = np.meshgrid(np.arange(SIZE[1]), np.arange(SIZE[0]), indexing="ij")
    inPlane = np.stack([i.ravel(), j.ravel()], axis=1) @ columns.T
    world = (positions[:, None] + inPlane).reshape(-1, 3)
    apart = np.min([np.linalg.norm(world - ball, axis=1) for ball in balls], axis=0)
    hu = BACKGROUND_HU + (BALL_HU - BACKGROUND_HU) * np.exp(-((apart / RADIUS_MM) ** 2))
    return hu.astype(np.int16).reshape(-1, SIZE[1], SIZE[0])


def _asLoaded(positions, axes):
    """The IJK-to-RAS matrix of an image reader: slices along the normal, the mean distance apart."""
    normal = np.cross(axes[:, 0], axes[:, 1])
    heights = (positions - positions[0]) @ normal
    matrix = np.eye(4)
    matrix[:3, :2] = axes * SPACING
    matrix[:3, 2], matrix[:3, 3] = normal * heights[-1] / (len(positions) - 1), positions[0]
    return matrix


def addAcquisitionTransform(node, positions, columns, bend=0.0, inverse=False):
    """Put a volume node under the transform that moves its slices to ``positions``.

    Args:
        positions: (K, 3) world RAS mm of the first voxel of each slice.
        columns: (3, 2) steps from voxel to voxel along I and J, mm.
        bend: mm by which the last column of each slice is moved besides.
        inverse: store the transform from the parent, as a file does.
    """
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    matrix = slicer.util.arrayFromVTKMatrix(matrix)
    size = node.GetImageData().GetDimensions()
    displacements = np.zeros((size[2], 2, 2, 3))
    for k in range(size[2]):
        for row in range(2):
            for column in range(2):
                source = (matrix @ [column * size[0], row * size[1], k, 1])[:3]
                target = positions[k] + columns @ [column * size[0], row * size[1]]
                displacements[k, row, column] = target - source + [0, 0, bend * column]
    image = vtk.vtkImageData()
    image.SetOrigin(*node.GetOrigin())
    image.SetDimensions(2, 2, size[2])
    spacing = node.GetSpacing()
    image.SetSpacing(spacing[0] * size[0], spacing[1] * size[1], spacing[2])
    image.GetPointData().SetScalars(numpy_to_vtk(displacements.reshape(-1, 3), deep=True))
    directions = vtk.vtkMatrix4x4()
    node.GetIJKToRASDirectionMatrix(directions)
    grid = slicer.vtkOrientedGridTransform()
    grid.SetGridDirectionMatrix(directions)
    grid.SetDisplacementGridData(image)
    transformNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode", f"{node.GetName()} acquisition")
    if inverse:
        grid.Inverse()
    transformNode.SetAndObserveTransformToParent(grid)
    node.SetAndObserveTransformNodeID(transformNode.GetID())
    return transformNode
