"""The bone of a CT as a surface for the 3D view.

Ray casting a whole CT takes seconds a frame without a GPU; a surface of a coarse grid takes milliseconds.
"""

from __future__ import annotations

import numpy as np
from VertebraLabelingLib.core.volume import AIR_HU, Volume
from VertebraLabelingLib.preprocessing.resampling import to_working_grid
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData, vtkPolyData
from vtkmodules.vtkCommonMath import vtkMatrix4x4
from vtkmodules.vtkCommonTransforms import vtkTransform
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D, vtkPolyDataNormals, vtkWindowedSincPolyDataFilter
from vtkmodules.vtkFiltersGeneral import vtkTransformPolyDataFilter

BONE_HU = 250.0
GRID_MM = 2.5
MIN_PIECE_ML = 8.0  # calcifications, noise and the edges of the table are smaller
SMOOTHING_STEPS = 12


def bone_surface(volume: Volume) -> vtkPolyData:
    """Surface of what is denser than bone's threshold, world RAS mm.

    Args:
        volume: CT in HU, any orientation.

    Returns:
        Triangles with normals, made by flying edges on an isotropic grid of 2.5 mm; empty where there is no bone.
    """
    grid = to_working_grid(volume, GRID_MM)
    array = np.pad(_large_pieces(grid.array), 1, constant_values=AIR_HU)  # closed where the scan ends
    edges = vtkFlyingEdges3D()
    edges.SetInputData(_image(array))
    edges.SetValue(0, BONE_HU)
    edges.ComputeNormalsOff()
    edges.ComputeScalarsOff()
    smooth = vtkWindowedSincPolyDataFilter()
    smooth.SetInputConnection(edges.GetOutputPort())
    smooth.SetNumberOfIterations(SMOOTHING_STEPS)
    smooth.NormalizeCoordinatesOn()
    place = vtkTransformPolyDataFilter()
    place.SetInputConnection(smooth.GetOutputPort())
    place.SetTransform(_transform(grid.ijk_to_ras))
    normals = vtkPolyDataNormals()
    normals.SetInputConnection(place.GetOutputPort())
    normals.SplittingOff()
    normals.ConsistencyOff()
    normals.Update()
    return normals.GetOutput()


def _large_pieces(array: np.ndarray) -> np.ndarray:
    """The grid with air in the place of small dense pieces."""
    import SimpleITK as sitk

    bone = sitk.GetImageFromArray((array > BONE_HU).astype(np.uint8))
    voxels = int(MIN_PIECE_ML * 1000 / GRID_MM**3)
    kept = sitk.RelabelComponent(sitk.ConnectedComponent(bone, True), minimumObjectSize=voxels)
    dropped = (array > BONE_HU) & (sitk.GetArrayFromImage(kept) == 0)
    return np.where(dropped, np.float32(BONE_HU - 100), array)


def _image(array: np.ndarray) -> vtkImageData:
    """Voxel (0, 0, 0) of the unpadded grid lies at the origin; spacing 1."""
    image = vtkImageData()
    image.SetDimensions(*array.shape[::-1])
    image.SetOrigin(-1.0, -1.0, -1.0)
    image.GetPointData().SetScalars(numpy_to_vtk(array.ravel(), deep=True))
    return image


def _transform(matrix: np.ndarray) -> vtkTransform:
    vtk_matrix = vtkMatrix4x4()
    vtk_matrix.DeepCopy(matrix.ravel().tolist())
    transform = vtkTransform()
    transform.SetMatrix(vtk_matrix)
    return transform
