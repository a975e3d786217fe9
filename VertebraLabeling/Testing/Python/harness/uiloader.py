"""``qt.QUiLoader`` that knows Slicer's widgets and makes the connections written in the ``.ui`` file.

Slicer's loader connects ``mrmlSceneChanged(vtkMRMLScene*)`` of the panel to ``setMRMLScene(vtkMRMLScene*)`` of each
selector only where the ``.ui`` file says so; a forgotten connection leaves the selector empty. So it is here.
"""

import xml.etree.ElementTree as ElementTree

import qt
from PySide6 import QtUiTools
from PySide6.QtCore import QBuffer
from PySide6.QtWidgets import QWidget


class UiLoader(QtUiTools.QUiLoader):
    """Loads a ``.ui`` file; fails on a widget class or a connection that Slicer could not make."""

    customWidgets = ()

    def __init__(self, parent=None):
        super().__init__(parent)
        for widget in self.customWidgets:
            self.registerCustomWidget(widget)

    def load(self, file, parent=None):
        path = file.fileName()
        tree = ElementTree.parse(path)
        self._checkClasses(tree, path)
        connections = tree.find("connections")
        if connections is not None:
            tree.getroot().remove(connections)  # made below: Qt's own loader knows no Python signals
        buffer = QBuffer()
        buffer.setData(ElementTree.tostring(tree.getroot()))
        buffer.open(QBuffer.ReadOnly)
        widget = super().load(buffer, parent)
        for connection in connections if connections is not None else ():
            self._connect(widget, *(connection.findtext(part) for part in ("sender", "signal", "receiver", "slot")))
        return widget

    def _checkClasses(self, tree, path):
        known = set(self.availableWidgets())
        for element in tree.iter("widget"):
            if element.get("class") not in known:
                raise RuntimeError(f"{path}: no widget of class {element.get('class')} in the harness")

    @staticmethod
    def _connect(root, senderName, signal, receiverName, slot):
        sender, receiver = (
            root if root.name == name else root.findChild(QWidget, name) for name in (senderName, receiverName)
        )
        if sender is None or receiver is None:
            raise RuntimeError(f"connection {senderName} -> {receiverName}: no such widget")
        sender.connect(signal, getattr(receiver, slot.split("(")[0]))


def install(customWidgets):
    UiLoader.customWidgets = tuple(customWidgets)
    qt.QUiLoader = UiLoader
