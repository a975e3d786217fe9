"""Slice and 3D views with the real displayable managers, rendered off-screen, under ``slicer.app.layoutManager()``."""

import slicer
import vtk
from PySide6.QtWidgets import QMainWindow

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


AFTER_THE_LOGIC = -1.0  # priority of who hears of a layout when Slicer's logic has made its views


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

    def __init__(self, node, size):
        super().__init__(size)
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        appLogic = slicer.app.applicationLogic()
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(appLogic)
        appLogic.GetSliceLogics().AddItem(self._logic)
        self._logic.SetMRMLScene(slicer.mrmlScene)
        self._node = node
        self._logic.SetSliceNode(node)
        self._style = slicer.vtkMRMLSliceViewInteractorStyle()
        self._style.SetSliceLogic(self._logic)
        self._manage(slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance(), SLICE_MANAGERS, self._node)
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

    def __init__(self, name, size):
        super().__init__(size)
        appLogic = slicer.app.applicationLogic()
        self._logic = slicer.vtkMRMLViewLogic()
        self._logic.SetMRMLApplicationLogic(appLogic)
        appLogic.GetViewLogics().AddItem(self._logic)
        self._logic.SetMRMLScene(slicer.mrmlScene)
        self._node = self._logic.AddViewNode(name)
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
    """``slicer.app.layoutManager()``: a widget for each view of the layouts that were shown, all of one size.

    Which views a layout has, and how they are turned, is read from its description by Slicer's own logic.
    """

    tableViewCount = plotViewCount = 0

    def __init__(self, size):
        self._size, self._slices = size, {}
        self._threeDs = {"1": ThreeDWidget("1", size)}  # its logic makes the node, which the layouts find
        self._layoutLogic = slicer.vtkMRMLLayoutLogic()
        self._layoutLogic.SetMRMLScene(slicer.mrmlScene)
        layoutNode = self._layoutLogic.GetLayoutNode()
        layoutNode.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        layoutNode.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._showViews(), AFTER_THE_LOGIC)
        self._showViews()

    def _showViews(self):
        """Make the widgets that the layout needs; those of other layouts stay, unseen."""
        found = self._layoutLogic.GetViewNodes()
        nodes = [found.GetItemAsObject(index) for index in range(found.GetNumberOfItems())]
        for node in slicer.util.getNodesByClass("vtkMRMLAbstractViewNode"):
            node.SetMappedInLayout(node in nodes)
        for node in nodes:
            name = node.GetLayoutName()
            if node.IsA("vtkMRMLSliceNode") and name not in self._slices:
                self._slices[name] = SliceWidget(node, self._size)
            elif node.IsA("vtkMRMLViewNode") and name not in self._threeDs:
                self._threeDs[name] = ThreeDWidget(node, self._size)

    def layoutLogic(self):
        return self._layoutLogic

    @property
    def layout(self):
        return self._layoutLogic.GetLayoutNode().GetViewArrangement()

    def setLayout(self, layout):
        if not isinstance(layout, int) or not self._layoutLogic.GetLayoutNode().IsLayoutDescription(layout):
            raise ValueError(f"setLayout: there is no layout {layout!r}")  # Slicer would show nothing
        self._layoutLogic.GetLayoutNode().SetViewArrangement(layout)

    @property
    def threeDViewCount(self):
        return len(self._threeDs)

    def resize(self, width, height):
        self._size = width, height
        for view in (*self._slices.values(), *self._threeDs.values()):
            view.resize(width, height)

    def sliceViewNames(self):
        return tuple(self._slices)

    def sliceWidget(self, name):
        return self._slices.get(name)

    def threeDWidget(self, index):
        return list(self._threeDs.values())[index]

    def mrmlSliceLogics(self):
        return slicer.app.applicationLogic().GetSliceLogics()

    def resetSliceViews(self):
        for widget in self._slices.values():
            widget.sliceLogic().FitSliceToBackground()

    def resetThreeDViews(self):
        for widget in self._threeDs.values():
            widget.resetFocalPoint()
