"""Loading a scripted module as Slicer's module factory does, and reloading it as ``slicer.util`` does."""

import importlib.util
import sys

import qt
import slicer


class qSlicerScriptedLoadableModule:
    """The module object: filled in by the module's Python class, makes the panel on first demand."""

    def __init__(self, path):
        self.path, self.name = str(path), path.stem
        self.title = self.helpText = self.acknowledgementText = ""
        self.categories, self.contributors, self.dependencies = [], [], []
        self.icon, self.hidden, self._widget = None, False, None

    def __setattr__(self, name, value):
        known = "path name title helpText acknowledgementText categories contributors dependencies icon hidden _widget"
        if name not in known.split():
            raise AttributeError(f"a module has no property {name!r}")
        super().__setattr__(name, value)

    def widgetRepresentation(self):
        if self._widget is None:
            self._widget = qSlicerScriptedLoadableModuleWidget(self.name)
            self._widget.makePanel()
        return self._widget

    def logic(self):
        return None  # a scripted module has no C++ logic; slicer.util.getModuleLogic asks the widget

    def unload(self):
        """What Slicer does at exit: tell the module, then drop its panel."""
        slicer.app.moduleManager().moduleAboutToBeUnloaded.emit(self.name)
        self._widget = None


class qSlicerScriptedLoadableModuleWidget(slicer.qMRMLWidget):
    """The Qt side of the panel; ``self()`` is the module's Python widget."""

    def __init__(self, moduleName):
        super().__init__()
        self._moduleName, self._python = moduleName, None
        self.setLayout(qt.QVBoxLayout())
        self.setMRMLScene(slicer.mrmlScene)

    def makePanel(self):
        widgetClass = getattr(sys.modules[self._moduleName], self._moduleName + "Widget")
        self._python = widgetClass(self)
        setattr(slicer.modules, self._moduleName + "Widget", self._python)
        self._python.setup()

    def self(self):
        return self._python

    def enter(self):
        self._callIfDefined("enter")

    def exit(self):
        self._callIfDefined("exit")

    def _callIfDefined(self, name):
        method = getattr(self._python, name, None)  # a panel need not have it
        if method is not None:
            method()


def load(path):
    """Execute the module file, make its module class and register it; the panel is made on first use."""
    module = qSlicerScriptedLoadableModule(path)
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    _execute(path)
    getattr(sys.modules[path.stem], path.stem)(module)
    slicer.app.moduleManager().register(module)
    return module


def reload(moduleName):
    """``slicer.util.reloadScriptedModule``: new code, old panel cleaned up, new panel made."""
    module = slicer.app.moduleManager().module(moduleName)
    old = module.widgetRepresentation().self()
    _execute(module.path)
    _drop(module, old)
    return module.widgetRepresentation().self()


def closePanel(moduleName):
    """Be as Slicer is before somebody opens the module; its panel, once made, watches the scene until Slicer ends."""
    module = slicer.app.moduleManager().module(moduleName)
    if module._widget is not None:
        _drop(module, module._widget.self())


def _drop(module, panel):
    panel.cleanup()
    slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", panel._onModuleAboutToBeUnloaded)
    module._widget = None


def _execute(path):
    name = str(path).replace("\\", "/").rsplit("/", 1)[-1][: -len(".py")]
    spec = importlib.util.spec_from_file_location(name, path)
    code = importlib.util.module_from_spec(spec)
    sys.modules[name] = code
    spec.loader.exec_module(code)


def install():
    slicer.qSlicerScriptedLoadableModule = qSlicerScriptedLoadableModule
    slicer.qSlicerScriptedLoadableModuleWidget = qSlicerScriptedLoadableModuleWidget
    slicer.util.reloadScriptedModule = reload
