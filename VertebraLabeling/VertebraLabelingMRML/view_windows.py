"""How a view draws world space: which pixel a place has, how large the view is, and how a pixel is a step in space."""

import numpy as np
import slicer
import vtk
from VertebraLabelingLib.core.volume import apply_affine

from .node_attributes import STRAIGHTENED

STRAIGHT_VIEWS = ("StraightSide", "StraightFront")  # layout names of the views that are made for a straightened spine
DPI = 72  # of a render window by default; more on screens with a scale
SLICE_TEXT_PX = 2.0  # right of and above its place a markup's name begins in a slice view; not so in 3D


class Projection:
    """Places as one view draws them.

    Attributes:
        pixels: (N, 2) from the lower left corner of the view.
        size: width and height, pixels.
        dpi: of its render window; text grows with it.
    """

    def __init__(self, pixels, size, dpi, steps, textOffset=0.0):
        self.pixels, self.size, self.dpi, self._steps, self._textOffset = pixels, size, dpi, steps, textOffset

    def forText(self, places, index, corner):
        """World place (3,) of a markup without glyph whose name is drawn with its lower left corner at a pixel.

        It is as deep in the view as place ``index`` of those given.
        """
        right, up = self._steps[index]
        dx, dy = np.subtract(corner, self.pixels[index]) - self._textOffset
        return places[index] + dx * right + dy * up


def layoutManager():
    """The application's layout manager; ``None`` where it has none, as without a main window."""
    return getattr(getattr(slicer, "app", None), "layoutManager", lambda: None)()


def sliceView(sliceNode):
    """The view of a slice node; ``None`` where the application has no layout, or has not shown it yet."""
    layout = layoutManager()
    widget = layout.sliceWidget(sliceNode.GetLayoutName()) if layout is not None else None
    return widget.sliceView() if widget is not None else None


def compositeOf(sliceNode):
    """The vtkMRMLSliceCompositeNode that says which volumes a slice node shows, or ``None``."""
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return next((each for each in composites if each.GetLayoutName() == sliceNode.GetLayoutName()), None)


def isStraightened(sliceNode):
    """Whether a view shows a straightened spine, where nothing of the patient has its place."""
    composite = compositeOf(sliceNode)
    volumeID = composite.GetBackgroundVolumeID() if composite is not None else None
    volumeNode = slicer.mrmlScene.GetNodeByID(volumeID) if volumeID else None
    return volumeNode is not None and bool(volumeNode.GetAttribute(STRAIGHTENED))


def crosshairNode():
    """The scene's crosshair, which also knows where the mouse is; ``None`` where there is none."""
    return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")


def renderWindow(viewNode):
    """The render window of a slice or 3D view; ``None`` where the application has no layout, or does not show it."""
    layout = layoutManager()
    if layout is None:
        return None
    if viewNode.IsA("vtkMRMLSliceNode"):
        view = sliceView(viewNode)
        return view.renderWindow() if view is not None else None
    widgets = (layout.threeDWidget(index) for index in range(layout.threeDViewCount))
    return next((each.threeDView().renderWindow() for each in widgets if each.mrmlViewNode() is viewNode), None)


def isOnScreen(viewNode):
    """Whether a 3D view is shown by the application, so that its size is known."""
    return renderWindow(viewNode) is not None and cameraOf(viewNode) is not None


def isDrawn(viewNode):
    """Whether a view has an extent: a slice view that no layout has shown yet may have none, and no place a pixel."""
    if not viewNode.IsA("vtkMRMLSliceNode"):
        return True
    return bool(np.linalg.matrix_rank(slicer.util.arrayFromVTKMatrix(viewNode.GetXYToRAS())) == 4)


def cameraOf(viewNode):
    """The camera node of a 3D view, or ``None``."""
    cameras = slicer.util.getNodesByClass("vtkMRMLCameraNode")
    return next((each for each in cameras if each.GetLayoutName() == viewNode.GetLayoutName()), None)


def project(viewNode, places):
    """The :class:`Projection` of (N, 3) world RAS mm in a slice view, or in a 3D view that is on the screen."""
    window = renderWindow(viewNode)
    dpi = window.GetDPI() if window is not None else DPI
    if viewNode.IsA("vtkMRMLSliceNode"):
        return _projectToSlice(viewNode, places, dpi)
    size = [max(1, pixels) for pixels in window.GetSize()]
    return _projectTo3D(cameraOf(viewNode).GetCamera(), places, size, dpi)


def _projectToSlice(sliceNode, places, dpi):
    xyToRas = slicer.util.arrayFromVTKMatrix(sliceNode.GetXYToRAS())
    pixels = apply_affine(np.linalg.inv(xyToRas), places)[:, :2]
    steps = [(xyToRas[:3, 0], xyToRas[:3, 1])] * len(places)
    return Projection(pixels, sliceNode.GetDimensions()[:2], dpi, steps, SLICE_TEXT_PX)


def _projectTo3D(camera, places, size, dpi):
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(camera.GetCompositeProjectionTransformMatrix(size[0] / size[1], -1, 1))
    seen = np.c_[places, np.ones(len(places))] @ slicer.util.arrayFromVTKMatrix(matrix).T
    pixels = (seen[:, :2] / seen[:, 3:] + 1) / 2 * size
    up = np.array(camera.GetViewUp())
    forward = np.array(camera.GetDirectionOfProjection())
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    depth = (places - camera.GetPosition()) @ forward
    if camera.GetParallelProjection():
        step = np.full(len(places), 2 * camera.GetParallelScale() / size[1])
    else:
        step = 2 * depth * np.tan(np.radians(camera.GetViewAngle() / 2)) / size[1]
    pixels[depth <= 0] = -1  # behind the camera: in no view
    return Projection(pixels, size, dpi, [(each * right, each * up) for each in step])
