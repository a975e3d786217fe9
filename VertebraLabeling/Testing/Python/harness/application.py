"""``slicer.app``, ``slicer.modules`` and the start of the MRML world: scene, application logic, module logics."""

import locale
import os
import types
from pathlib import Path

import qt
import slicer
import vtk
from PySide6.QtCore import QObject, QSettings, Signal
from PySide6.QtWidgets import QApplication

from .folders import folderOf
from .iomanager import CoreIOManager

MODULE_LOGICS = {
    "Colors": "vtkMRMLColorLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Sequences": "vtkSlicerSequencesLogic",
}


def startScene():
    """Make ``slicer.mrmlScene``; returns its application logic and the module logics. slicer-core needs this order."""
    scene = slicer.vtkMRMLScene()
    slicer.mrmlScene = scene
    crosshair = slicer.vtkMRMLCrosshairNode()
    crosshair.SetCrosshairName("default")
    scene.AddNode(crosshair)
    logic = slicer.vtkSlicerApplicationLogic()
    logic.SetMRMLScene(scene)
    logic.GetColorLogic().SetMRMLScene(scene)
    logic.GetColorLogic().AddDefaultColorNodes()
    logic.SetSliceLogics(vtk.vtkCollection())
    logic.SetViewLogics(vtk.vtkCollection())
    slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance().SetMRMLApplicationLogic(logic)
    slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance().SetMRMLApplicationLogic(logic)
    moduleLogics = {}  # the application logic does not keep them alive
    for name, className in MODULE_LOGICS.items():
        moduleLogic = getattr(slicer, className)()
        moduleLogic.SetMRMLApplicationLogic(logic)
        moduleLogic.SetMRMLScene(scene)
        logic.SetModuleLogic(name, moduleLogic)  # registers the node classes
        moduleLogics[name] = moduleLogic
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    folder = folderOf(slicer, "slicer-cache-")
    cache = slicer.vtkCacheManager()
    cache.SetRemoteCacheDirectory(folder)
    scene.SetCacheManager(cache)
    dataIO = slicer.vtkDataIOManager()  # reading an .mrb asks it for the cache folder
    dataIO.SetCacheManager(cache)
    scene.SetDataIOManager(dataIO)
    return logic, moduleLogics


class ModuleManager(QObject):
    """``slicer.app.moduleManager()``: the loaded modules by name."""

    moduleAboutToBeUnloaded = Signal(str)

    def __init__(self):
        super().__init__()
        self._modules = {}

    def module(self, name):
        return self._modules.get(name)

    def register(self, module):
        self._modules[module.name] = module
        setattr(slicer.modules, module.name.lower(), module)

    def factoryManager(self):
        return types.SimpleNamespace(loadedModuleNames=lambda: tuple(self._modules))


class CoreModule:
    """A module of Slicer itself: only its logic is here."""

    def __init__(self, name, logic):
        self.name, self._logic = name, logic

    def logic(self):
        return self._logic


class Application(QApplication):
    """``slicer.app``."""

    startupCompleted = Signal()

    def __init__(self):
        super().__init__(["SlicerHarness"])
        locale.setlocale(locale.LC_NUMERIC, "C")  # Qt has set the user's; Slicer sets that of numbers back as well
        self.setApplicationName("SlicerHarness")
        self.setOrganizationName("VertebraLabelingTests")
        self._settingsFile = os.path.join(folderOf(slicer, "slicer-settings-"), "Slicer.ini")
        QSettings.setPath(QSettings.IniFormat, QSettings.UserScope, os.path.dirname(self._settingsFile))
        QSettings.setDefaultFormat(QSettings.IniFormat)
        self._logic, self._moduleLogics = startScene()
        self._ioManager = CoreIOManager()
        self._moduleManager = ModuleManager()
        self._layoutManager = self._mainWindow = None
        self._testing = True
        self._temporaryPath = folderOf(slicer, "slicer-temporary-")

    majorVersion, minorVersion = 5, 8
    revision = "harness"

    @property
    def temporaryPath(self):
        return self._temporaryPath

    @property
    def slicerHome(self):
        return str(Path(slicer.__file__).parent)

    def applicationLogic(self):
        return self._logic

    def moduleLogics(self):
        return self._moduleLogics

    def coreIOManager(self):
        return self._ioManager

    def moduleManager(self):
        return self._moduleManager

    def layoutManager(self):
        return self._layoutManager

    def setLayoutManager(self, layoutManager):
        self._layoutManager = layoutManager

    def setMainWindow(self, window):
        self._mainWindow = window  # found by slicer.util.mainWindow() among the top level widgets

    def testingEnabled(self):
        return self._testing

    def setTestingEnabled(self, enabled):
        self._testing = enabled

    def settings(self):
        return qt.QSettings()

    userSettings = settings

    def mrmlScene(self):
        return slicer.mrmlScene

    def pauseRender(self):
        pass

    def resumeRender(self):
        pass


class Modules(types.SimpleNamespace):
    """``slicer.modules``: attributes are module objects."""


def start():
    """Make ``slicer.app`` and ``slicer.modules``. Once per process."""
    slicer.modules = Modules()
    slicer.app = Application()
    for name, logic in slicer.app.moduleLogics().items():
        slicer.app.moduleManager().register(CoreModule(name, logic))
    return slicer.app
