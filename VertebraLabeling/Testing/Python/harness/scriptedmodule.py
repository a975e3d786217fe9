"""``slicer.ScriptedLoadableModule`` and ``slicer.i18n``: base classes of a scripted module, from their public API."""

import importlib
import os
import sys
import types
import unittest

import qt
import slicer


class ScriptedLoadableModule:
    """Describes the module to the application; ``parent`` holds title, categories and texts."""

    def __init__(self, parent):
        super().__init__()
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title, parent.helpText, parent.acknowledgementText = "", "", ""
        parent.categories, parent.dependencies, parent.contributors = [], [], []
        icon = self.resourcePath(f"Icons/{self.moduleName}.png")
        if os.path.isfile(icon):
            parent.icon = qt.QIcon(icon)
        slicer.selfTests[self.moduleName] = self.runTest

    def resourcePath(self, fileName):
        return os.path.join(os.path.dirname(self.parent.path), "Resources", fileName)

    def getDefaultModuleDocumentationLink(self, docPage=None):
        return ""

    def runTest(self, msec=100, **arguments):
        module = importlib.import_module(type(self).__module__)
        case = getattr(module, self.moduleName + "Test")()
        case.messageDelay = msec
        case.runTest(**arguments)


class ScriptedLoadableModuleWidget:
    """The panel of a module. Slicer gives a parent with a layout and calls setup(); it has no enter() and exit()."""

    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = type(self).__name__[: -len("Widget")]
        self.developerMode = False
        if parent is None:
            raise RuntimeError("the harness always makes the parent: use harness.openModule()")
        self.parent = parent
        self.layout = parent.layout()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def resourcePath(self, fileName):
        return os.path.join(os.path.dirname(slicer.util.modulePath(self.moduleName)), "Resources", fileName)

    def setup(self):
        pass

    def cleanup(self):
        pass

    def _onModuleAboutToBeUnloaded(self, moduleName):
        if moduleName == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)


class ScriptedLoadableModuleLogic:
    """Work without a panel; owns the singleton parameter node of the module."""

    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = type(self).__name__[: -len("Logic")]
        self.isSingletonParameterNode = True

    def getParameterNode(self):
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            return slicer.mrmlScene.AddNode(self.createParameterNode())
        if node.GetAttribute("ModuleName") != self.moduleName:  # closing the scene resets the node
            node.SetAttribute("ModuleName", self.moduleName)
        return node

    def createParameterNode(self):
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """Base of the self test that "Reload and Test" runs."""

    def delayDisplay(self, message, requestedDelay=None, msec=None):
        slicer.util.delayDisplay(message, 0)

    def runTest(self):
        raise AssertionError(f"no test is defined in {type(self).__name__}")


def install():
    """Register ``slicer.ScriptedLoadableModule`` and ``slicer.i18n``."""
    slicer.selfTests = {}
    module = types.ModuleType("slicer.ScriptedLoadableModule")
    classes = (
        ScriptedLoadableModule,
        ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
    )
    for each in classes:
        setattr(module, each.__name__, each)
    module.__all__ = [each.__name__ for each in classes]
    i18n = types.ModuleType("slicer.i18n")
    i18n.tr = lambda text: text
    i18n.translate = lambda context, text: text
    for stand_in in (module, i18n):
        sys.modules[stand_in.__name__] = stand_in
        setattr(slicer, stand_in.__name__.split(".")[1], stand_in)
