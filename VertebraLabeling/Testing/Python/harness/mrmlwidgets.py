"""``qMRMLWidget`` and ``qMRMLNodeComboBox`` on the real MRML scene."""

from typing import ClassVar

import slicer
from PySide6.QtCore import Property, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QWidget


class qMRMLWidget(QWidget):
    """A widget that knows the scene and tells its children when it is set."""

    mrmlSceneChanged = Signal(object)
    SIGNAL_ALIASES: ClassVar = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged(PyObject)"}

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if scene is self._scene:
            return
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(QWidget):
    """Chooses a node of the scene.

    Like the original it lists nothing until ``setMRMLScene`` was called, follows nodes that are added, removed and
    renamed, and does not select a node that is merely added; one removed while selected leaves the selection empty
    or at the first node, by ``noneEnabled``.
    """

    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)
    nodeAddedByUser = Signal(object)
    SIGNAL_ALIASES: ClassVar = {
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged(PyObject)",
        "currentNodeIDChanged(QString)": "currentNodeIDChanged(QString)",
        "nodeAddedByUser(vtkMRMLNode*)": "nodeAddedByUser(PyObject)",
    }

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene, self._currentID = None, ""
        self._settings = {
            "nodeTypes": [],
            "showChildNodeTypes": True,
            "showHidden": False,
            "noneEnabled": False,
            "addEnabled": True,
            "removeEnabled": True,
            "editEnabled": False,
            "renameEnabled": False,
            "selectNodeUponCreation": True,
            "baseName": "",
            "noneDisplay": "None",
        }
        self._box = QComboBox(self)
        self._box.setSizeAdjustPolicy(QComboBox.AdjustToMinimumContentsLengthWithIcon)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._box.activated.connect(self._onActivated)
        observations = self._observations = []  # (scene, tag); not self in the slot: it is gone by then
        self.destroyed.connect(lambda: _stopObserving(observations))

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        _stopObserving(self._observations)
        self._scene = scene
        if scene is not None:
            events = (
                slicer.vtkMRMLScene.NodeAddedEvent,
                slicer.vtkMRMLScene.NodeRemovedEvent,
                slicer.vtkMRMLScene.EndCloseEvent,
                slicer.vtkMRMLScene.EndBatchProcessEvent,
            )
            self._observations += [(scene, scene.AddObserver(event, lambda *_: self._refresh())) for event in events]
        self._refresh()

    def currentNode(self):
        return self._scene.GetNodeByID(self._currentID) if self._scene is not None and self._currentID else None

    def setCurrentNode(self, node):
        self.setCurrentNodeID(node.GetID() if node is not None else "")

    def setCurrentNodeID(self, nodeID):
        nodeID = nodeID or ""
        if nodeID and nodeID not in [node.GetID() for node in self._nodes()]:
            nodeID = ""
        changed = nodeID != self._currentID
        self._currentID = nodeID
        self._fill()
        if changed:
            self.currentNodeChanged.emit(self.currentNode())
            self.currentNodeIDChanged.emit(nodeID)

    def addNode(self):
        """What the "Create new ..." entry does."""
        node = self._scene.AddNewNodeByClass(self._settings["nodeTypes"][0], self._settings["baseName"])
        if self._settings["selectNodeUponCreation"]:
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def nodeCount(self):
        return len(self._nodes())

    def _nodes(self):
        if self._scene is None:
            return []
        found = []
        for className in self._settings["nodeTypes"]:
            for node in slicer.util.getNodesByClass(className, self._scene):
                exact = node.GetClassName() == className
                hidden = node.GetHideFromEditors() and not self._settings["showHidden"]
                if (exact or self._settings["showChildNodeTypes"]) and not hidden and node not in found:
                    found.append(node)
        return found

    def _refresh(self):
        if self._scene is None or self._scene.IsBatchProcessing():
            return
        nodes = self._nodes()
        if self._currentID and self._currentID not in [node.GetID() for node in nodes]:
            self.setCurrentNode(nodes[0] if nodes and not self._settings["noneEnabled"] else None)
        self._fill()

    def _fill(self):
        self._box.clear()
        if self._settings["noneEnabled"] or not self._currentID:
            self._box.addItem(self._settings["noneDisplay"], "")
        for node in self._nodes():
            self._box.addItem(node.GetName(), node.GetID())
        if self._settings["addEnabled"] and self._settings["nodeTypes"]:
            self._box.addItem(f"Create new {self._settings['baseName'] or self._settings['nodeTypes'][0]}", "+add")
        self._box.setCurrentIndex(max(0, self._box.findData(self._currentID)))

    def _onActivated(self, index):
        chosen = self._box.itemData(index)
        self.addNode() if chosen == "+add" else self.setCurrentNodeID(chosen)

    def _setting(name, kind):
        def write(self, value):
            self._settings[name] = list(value) if isinstance(value, tuple) else value
            self._refresh()

        return Property(kind, lambda self: self._settings[name], write)

    nodeTypes = _setting("nodeTypes", "QStringList")
    showChildNodeTypes = _setting("showChildNodeTypes", bool)
    showHidden = _setting("showHidden", bool)
    noneEnabled = _setting("noneEnabled", bool)
    addEnabled = _setting("addEnabled", bool)
    removeEnabled = _setting("removeEnabled", bool)
    editEnabled = _setting("editEnabled", bool)
    renameEnabled = _setting("renameEnabled", bool)
    selectNodeUponCreation = _setting("selectNodeUponCreation", bool)
    baseName = _setting("baseName", str)
    noneDisplay = _setting("noneDisplay", str)
    currentNodeID = Property(str, lambda self: self._currentID, setCurrentNodeID)


def _stopObserving(observations):
    for scene, tag in observations:
        scene.RemoveObserver(tag)
    observations.clear()


WIDGETS = (qMRMLWidget, qMRMLNodeComboBox)


def install():
    for widget in WIDGETS:
        setattr(slicer, widget.__name__, widget)
