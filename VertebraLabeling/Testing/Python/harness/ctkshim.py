"""The few ``ctk`` widgets that the module's panel uses, with CTK's properties and signals."""

import sys
import types

from PySide6.QtCore import Property, Qt, Signal
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QMessageBox,
    QSizePolicy,
    QSlider,
    QToolButton,
    QWidget,
)


class ctkCollapsibleButton(QWidget):
    """A titled section that folds. Children are laid out below the title, as CTK does by its contents margin."""

    contentsCollapsed = Signal(bool)
    clicked = Signal()
    TITLE_HEIGHT = 26

    def __init__(self, *arguments):
        title = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        parent = arguments[-1] if arguments and isinstance(arguments[-1], QWidget) else None
        super().__init__(parent)
        self._title = QToolButton(self)
        self._title.setToolButtonStyle(Qt.ToolButtonTextBesideIcon)
        self._title.setArrowType(Qt.DownArrow)
        self._title.setText(title)
        self._title.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Fixed)
        self._title.clicked.connect(self._onTitleClicked)
        self._collapsed = False
        self.setContentsMargins(0, self.TITLE_HEIGHT, 0, 0)

    def resizeEvent(self, event):
        super().resizeEvent(event)
        self._title.setGeometry(0, 0, self.width, self.TITLE_HEIGHT)

    def _onTitleClicked(self):
        self.setCollapsed(not self._collapsed)
        self.clicked.emit()

    def _contents(self):
        return [child for child in self.children() if isinstance(child, QWidget) and child is not self._title]

    def setCollapsed(self, collapsed):
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        self._title.setArrowType(Qt.RightArrow if collapsed else Qt.DownArrow)
        self._applyCollapsed()
        self.contentsCollapsed.emit(collapsed)

    def _applyCollapsed(self):
        for child in self._contents():
            child.setVisible(not self._collapsed)
        self.setMaximumHeight(self.TITLE_HEIGHT if self._collapsed else 16777215)

    def showEvent(self, event):
        # children made after the property was read from the .ui file fold at the latest when shown
        if self._collapsed:
            self._applyCollapsed()
        super().showEvent(event)

    collapsed = Property(bool, lambda self: self._collapsed, setCollapsed)
    text = Property(str, lambda self: self._title.text, lambda self, value: self._title.setText(value))


class ctkSliderWidget(QWidget):
    """A slider with a spin box."""

    valueChanged = Signal(float)
    STEPS = 10000

    def __init__(self, parent=None):
        super().__init__(parent)
        self._spin, self._slider = QDoubleSpinBox(self), QSlider(Qt.Horizontal, self)
        self._slider.setRange(0, self.STEPS)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        layout.addWidget(self._spin)
        self._spin.valueChanged.connect(self._onSpin)
        self._slider.sliderMoved.connect(self._onSlider)

    def _onSpin(self, value):
        span = self._spin.maximum - self._spin.minimum or 1.0
        self._slider.setValue(round((value - self._spin.minimum) / span * self.STEPS))
        self.valueChanged.emit(value)

    def _onSlider(self, position):
        span = self._spin.maximum - self._spin.minimum
        self._spin.setValue(self._spin.minimum + position / self.STEPS * span)

    def _forward(name, kind):
        def read(self):
            return getattr(self._spin, name)

        def write(self, value):
            setattr(self._spin, name, value)

        return Property(kind, read, write)

    value = _forward("value", float)
    minimum = _forward("minimum", float)
    maximum = _forward("maximum", float)
    singleStep = _forward("singleStep", float)
    decimals = _forward("decimals", int)
    suffix = _forward("suffix", str)


class ctkPathLineEdit(QWidget):
    """A line for a path with a browse button."""

    currentPathChanged = Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._edit, self._browse = QLineEdit(self), QToolButton(self)
        self._browse.setText("...")
        self._nameFilters, self._filters, self._settingKey = [], 0, ""
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._edit)
        layout.addWidget(self._browse)
        self._edit.textChanged.connect(self.currentPathChanged.emit)
        self._browse.clicked.connect(self._onBrowse)

    def _onBrowse(self):
        path, _ = QFileDialog.getOpenFileName(self, "", self._edit.text, ";;".join(self._nameFilters))
        if path:
            self._edit.setText(path)

    def setCurrentPath(self, path):
        if not isinstance(path, str):
            raise TypeError(f"currentPath takes a string, not {path!r}")
        self._edit.setText(path)

    def _setNameFilters(self, filters):
        self._nameFilters = list(filters)

    def _setSettingKey(self, key):
        self._settingKey = key

    currentPath = Property(str, lambda self: self._edit.text, setCurrentPath)
    nameFilters = Property("QStringList", lambda self: self._nameFilters, _setNameFilters)
    settingKey = Property(str, lambda self: self._settingKey, _setSettingKey)


class ctkMessageBox(QMessageBox):
    """A message box with a "don't show again" key."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._key = ""

    def _setKey(self, key):
        self._key = key

    dontShowAgainSettingsKey = Property(str, lambda self: self._key, _setKey)


WIDGETS = (ctkCollapsibleButton, ctkSliderWidget, ctkPathLineEdit, ctkMessageBox)


def install():
    """Register the ``ctk`` module."""
    ctk = types.ModuleType("ctk", "The CTK widgets that the panel uses")
    for widget in WIDGETS:
        setattr(ctk, widget.__name__, widget)
    sys.modules["ctk"] = ctk
    return ctk
