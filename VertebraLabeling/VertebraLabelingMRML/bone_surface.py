"""The bone of a CT as a surface for the 3D view.

Ray casting a whole CT takes seconds a frame without a GPU; a surface of coarse voxels takes milliseconds.
"""

import slicer
import vtk

from .display import removeWithDisplay

BONE_HU = 250.0
VOXEL_MM = 2.5
LEAST_PART = 0.005  # of the largest piece's triangles: calcifications, noise and the edges of the table are smaller
SMOOTHING_STEPS = 12
IVORY = (0.89, 0.85, 0.76)
OPACITY = 0.5  # the points lie inside
BONE_OF = "VertebraLabeling.boneOf"  # of a model: ID of its volume
MADE_FROM = "VertebraLabeling.madeFrom"  # state of the voxels


def showBoneSurface(volumeNode):
    """Show the bone of a volume in 3D, and that of no other; ``None`` for none at all. Returns the model.

    The model is derived: not saved with the scene and not listed among the user's nodes. It is made anew where the
    voxels have changed, and stands under the transform of the volume.
    """
    model = boneModel(volumeNode)
    for each in _boneModels():
        if each is not model:
            removeWithDisplay(each)
    if volumeNode is None or volumeNode.GetImageData() is None:
        return None
    state = _stateOf(volumeNode)
    if model is None:
        model = _addModel(volumeNode)
    if model.GetAttribute(MADE_FROM) != state:
        model.SetAndObservePolyData(boneSurface(volumeNode))
        model.SetAttribute(MADE_FROM, state)
    model.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    return model


def boneModel(volumeNode):
    """The model that :func:`showBoneSurface` made for a volume, or ``None``."""
    return next((each for each in _boneModels() if volumeNode is not None and _isOf(each, volumeNode)), None)


def isBoneShown(volumeNode):
    """Whether the bone of this volume, as it is now, is shown and that of no other; of none for ``None``."""
    models = _boneModels()
    if volumeNode is None:
        return not models
    if len(models) != 1 or not _isOf(models[0], volumeNode):
        return False
    shown = models[0].GetAttribute(MADE_FROM), models[0].GetTransformNodeID()
    return shown == (_stateOf(volumeNode), volumeNode.GetTransformNodeID())


def styleBone(display):
    """Make the display node of a bone surface look like bone, in 3D only."""
    display.SetColor(*IVORY)
    display.SetSpecular(0.12)
    display.SetVisibility2D(False)


def boneSurface(volumeNode):
    """Surface of what is denser than bone's threshold in a scalar volume (HU), in the RAS of the node (mm).

    Returns:
        vtkPolyData: triangles with normals; empty where there is no bone.
    """
    image = vtk.vtkImageData()
    image.ShallowCopy(volumeNode.GetImageData())  # the voxels' places are in the node
    image.SetOrigin(0, 0, 0)
    image.SetSpacing(1, 1, 1)
    coarse = vtk.vtkImageShrink3D()
    coarse.SetInputData(image)
    sizes = zip(volumeNode.GetSpacing(), image.GetDimensions())
    coarse.SetShrinkFactors(*(max(1, min(round(VOXEL_MM / spacing), size // 2)) for spacing, size in sizes))
    coarse.AveragingOn()
    closed = vtk.vtkImageConstantPad()  # also where the scan ends
    closed.SetInputConnection(coarse.GetOutputPort())
    coarse.Update()
    extent = coarse.GetOutput().GetExtent()
    closed.SetOutputWholeExtent(*(end + (1 if number % 2 else -1) for number, end in enumerate(extent)))
    closed.SetConstant(-1000)
    edges = vtk.vtkFlyingEdges3D()
    edges.SetInputConnection(closed.GetOutputPort())
    edges.SetValue(0, BONE_HU)
    edges.ComputeNormalsOff()
    edges.ComputeScalarsOff()
    edges.Update()
    toRas = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(toRas)
    transform = vtk.vtkTransform()
    transform.SetMatrix(toRas)
    place = vtk.vtkTransformPolyDataFilter()
    place.SetInputData(_largePieces(edges.GetOutput()))
    place.SetTransform(transform)
    smooth = vtk.vtkWindowedSincPolyDataFilter()
    smooth.SetInputConnection(place.GetOutputPort())
    smooth.SetNumberOfIterations(SMOOTHING_STEPS)
    smooth.NormalizeCoordinatesOn()
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputConnection(smooth.GetOutputPort())
    normals.SplittingOff()
    normals.Update()
    return normals.GetOutput()


def _largePieces(surface):
    """The pieces of a surface that are not small beside the largest."""
    if not surface.GetNumberOfCells():
        return surface
    pieces = vtk.vtkPolyDataConnectivityFilter()
    pieces.SetInputData(surface)
    pieces.SetExtractionModeToAllRegions()
    pieces.Update()
    regions = pieces.GetRegionSizes()
    sizes = [regions.GetValue(number) for number in range(regions.GetNumberOfTuples())]
    pieces.SetExtractionModeToSpecifiedRegions()
    for number, size in enumerate(sizes):
        if size >= LEAST_PART * max(sizes):
            pieces.AddSpecifiedRegion(number)
    pieces.Update()
    return pieces.GetOutput()


def _boneModels():
    return [each for each in slicer.util.getNodesByClass("vtkMRMLModelNode") if each.GetAttribute(BONE_OF)]


def _isOf(model, volumeNode):
    return model.GetAttribute(BONE_OF) == volumeNode.GetID()


def _stateOf(volumeNode):
    image, toRas = volumeNode.GetImageData(), vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(toRas)
    return f"{image.GetMTime() if image is not None else None} {slicer.util.arrayFromVTKMatrix(toRas).tolist()}"


def _addModel(volumeNode):
    model = slicer.mrmlScene.CreateNodeByClass("vtkMRMLModelNode")
    model.UnRegister(None)
    model.SetName(f"{volumeNode.GetName()} bone")
    model.SetHideFromEditors(True)
    model.SetSaveWithScene(False)
    model.SetSelectable(False)
    model.SetAttribute(BONE_OF, volumeNode.GetID())
    slicer.mrmlScene.AddNode(model)
    model.CreateDefaultDisplayNodes()
    styleBone(model.GetDisplayNode())
    model.GetDisplayNode().SetOpacity(OPACITY)
    model.GetDisplayNode().SetSaveWithScene(False)
    return model
