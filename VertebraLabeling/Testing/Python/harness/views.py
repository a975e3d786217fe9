"""Slice and 3D views with the real displayable managers, rendered off-screen, under ``slicer.app.layoutManager()``."""

import slicer
import vtk
from PySide6.QtWidgets import QMainWindow

SLICE_VIEWS = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}
SLICE_MANAGERS = (
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
)
THREED_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLModelDisplayableManager",
)


class View:
    """A render window with an interactor."""

    def __init__(self, size):
        self.renderer, self.window = vtk.vtkRenderer(), vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetSize(*size)
        self.window.SetMultiSamples(0)
        self.window.AddRenderer(self.renderer)
        self._interactor = vtk.vtkRenderWindowInteractor()
        self._interactor.SetRenderWindow(self.window)
        self._interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self._interactor.Initialize()
        self._style, self._renderIsDue = None, False

    def interactorStyle(self):
        return self._style

    def interactor(self):
        return self._interactor

    def renderWindow(self):
        return self.window

    def forceRender(self):
        self._renderIsDue = False
        self.window.Render()

    def scheduleRender(self):
        """Slicer draws in the next milliseconds; here a test draws when it looks."""
        self._renderIsDue = True

    def resize(self, width, height):
        self.window.SetSize(width, height)

    def _manage(self, factory, managers, node):
        for name in managers:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self._group = slicer.vtkMRMLDisplayableManagerGroup()
        self._group.SetRenderer(self.renderer)
        self._group.Initialize(factory, self.renderer)
        self._group.SetMRMLDisplayableNode(node)
        self._style.SetDisplayableManagers(self._group)
        self._style.SetInteractor(self._interactor)

    def displayableManagerByClassName(self, name):
        return self._group.GetDisplayableManagerByClassName(name)


class SliceWidget(View):
    """A slice view; the widget and its view are one object here, Slicer has two."""

    def __init__(self, name, size):
        super().__init__(size)
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        appLogic = slicer.app.applicationLogic()
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(appLogic)
        appLogic.GetSliceLogics().AddItem(self._logic)
        self._logic.SetMRMLScene(slicer.mrmlScene)
        self._node = self._logic.AddSliceNode(name)
        self._style = slicer.vtkMRMLSliceViewInteractorStyle()
        self._style.SetSliceLogic(self._logic)
        self._manage(slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance(), SLICE_MANAGERS, self._node)
        self._node.SetOrientation(SLICE_VIEWS[name])
        self._node.SetMappedInLayout(1)
        self._logic.ResizeSliceNode(*size)
        # CTK draws the slice image in Slicer; here an image mapper does
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        mapper.SetInputConnection(self._logic.GetImageDataConnection())
        self._image = vtk.vtkActor2D()
        self._image.SetMapper(mapper)
        self._image.GetProperty().SetDisplayLocationToBackground()
        self._logic.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._showImage())

    def _showImage(self):
        hasImage = self._logic.GetImageDataConnection() is not None
        if hasImage and not self.renderer.HasViewProp(self._image):
            self._image.GetMapper().SetInputConnection(self._logic.GetImageDataConnection())
            self.renderer.AddViewProp(self._image)
        elif not hasImage and self.renderer.HasViewProp(self._image):
            self.renderer.RemoveViewProp(self._image)

    def mrmlSliceNode(self):
        return self._node

    def sliceLogic(self):
        return self._logic

    def sliceView(self):
        return self

    def resize(self, width, height):
        super().resize(width, height)
        self._logic.ResizeSliceNode(width, height)

    def forceRender(self):
        self._showImage()
        if self.renderer.HasViewProp(self._image):
            self._image.GetMapper().SetInputConnection(self._logic.GetImageDataConnection())
        super().forceRender()


class ThreeDWidget(View):
    """The 3D view."""

    def __init__(self, size):
        super().__init__(size)
        appLogic = slicer.app.applicationLogic()
        self._logic = slicer.vtkMRMLViewLogic()
        self._logic.SetMRMLApplicationLogic(appLogic)
        appLogic.GetViewLogics().AddItem(self._logic)
        self._logic.SetMRMLScene(slicer.mrmlScene)
        self._node = self._logic.AddViewNode("View1")
        self._node.SetMappedInLayout(1)
        self._style = slicer.vtkMRMLThreeDViewInteractorStyle()
        self._manage(slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance(), THREED_MANAGERS, self._node)

    def mrmlViewNode(self):
        return self._node

    def threeDView(self):
        return self

    def resetFocalPoint(self):
        self.renderer.ResetCamera()


class MainWindow(QMainWindow):
    """``slicer.util.mainWindow()``: the views get what menus, toolbars and the module panel leave them."""

    TESTING_SIZE = (1037, 570)  # with --testing
    SIDE, BARS, CONTROLLER = 430, 100, 22

    def __init__(self):
        super().__init__()
        self.objectName = "qSlicerMainWindow"

    def viewSize(self):
        """Width and height of each of the four views."""
        return (self.width - self.SIDE) // 2, (self.height - self.BARS) // 2 - self.CONTROLLER

    def resizeEvent(self, event):
        super().resizeEvent(event)
        if slicer.app.layoutManager() is not None:
            slicer.app.layoutManager().resize(*self.viewSize())


def start():
    """Open the main window with its views, as small as Slicer's with ``--testing``."""
    window = MainWindow()
    window.resize(*MainWindow.TESTING_SIZE)
    slicer.app.setLayoutManager(LayoutManager(window.viewSize()))
    window.show()
    return window


class LayoutManager:
    """``slicer.app.layoutManager()`` with the three slice views and one 3D view, all of one size."""

    tableViewCount = plotViewCount = 0
    threeDViewCount = 1

    def __init__(self, size):
        self._slices = {name: SliceWidget(name, size) for name in SLICE_VIEWS}
        self._threeD = ThreeDWidget(size)

    def resize(self, width, height):
        for view in (*self._slices.values(), self._threeD):
            view.resize(width, height)

    def sliceViewNames(self):
        return tuple(self._slices)

    def sliceWidget(self, name):
        return self._slices.get(name)

    def threeDWidget(self, index):
        if index != 0:
            raise IndexError(index)
        return self._threeD

    def mrmlSliceLogics(self):
        return slicer.app.applicationLogic().GetSliceLogics()

    def resetSliceViews(self):
        for widget in self._slices.values():
            widget.sliceLogic().FitSliceToBackground()

    def resetThreeDViews(self):
        self._threeD.resetFocalPoint()
