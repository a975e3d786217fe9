"""``slicer.parameterNodeWrapper``: typed access to a parameter node and its connection to the panel.

Covers the types the module uses: nodes, ``str``, ``int``, ``float``, ``bool``, enumerations and paths, with
``Default``, ``WithinRange``, ``Minimum``, ``Maximum`` and ``Choice``. Like the original it refuses a widget whose exact
type cannot represent the parameter, a slider without a range, and a value that breaks a validator.
"""

import enum
import pathlib
import sys
import types
import typing
from dataclasses import dataclass

import ctk
import qt
import slicer
import vtk

PROPERTY = "SlicerParameterName"


@dataclass
class Default:
    value: object


@dataclass
class WithinRange:
    minimum: float
    maximum: float

    def validate(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not within {self.minimum} and {self.maximum}")


@dataclass
class Minimum:
    minimum: float

    def validate(self, value):
        if value < self.minimum:
            raise ValueError(f"{value} is below {self.minimum}")


@dataclass
class Maximum:
    maximum: float

    def validate(self, value):
        if value > self.maximum:
            raise ValueError(f"{value} is above {self.maximum}")


@dataclass
class Choice:
    choices: list

    def validate(self, value):
        if value not in self.choices:
            raise ValueError(f"{value!r} is not one of {self.choices}")


class _Parameter:
    """One typed entry of the parameter node, kept there as text or as a node reference."""

    def __init__(self, name, hint, classDefault):
        self.name = name
        self.type = typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint
        annotations = typing.get_args(hint)[1:] if typing.get_origin(hint) is typing.Annotated else ()
        self.validators = [a for a in annotations if hasattr(a, "validate")]
        defaults = [a.value for a in annotations if isinstance(a, Default)]
        self.isNode = isinstance(self.type, type) and issubclass(self.type, slicer.vtkMRMLNode)
        if classDefault is not None:
            defaults = [classDefault]
        self.default = defaults[0] if defaults else self._typeDefault()

    def _typeDefault(self):
        if self.isNode:
            return None
        if issubclass(self.type, enum.Enum):
            return next(iter(self.type))
        choices = [v.choices[0] for v in self.validators if isinstance(v, Choice)]
        return choices[0] if choices else self.type()

    def range(self):
        for validator in self.validators:
            if isinstance(validator, WithinRange):
                return validator.minimum, validator.maximum
        return None

    def isIn(self, node):
        return self.isNode or self.name in node.GetParameterNames()

    def read(self, node):
        if self.isNode:
            return node.GetNodeReference(self.name)
        if not self.isIn(node):
            return self.default
        text = node.GetParameter(self.name)
        if issubclass(self.type, enum.Enum):
            return self.type[text]
        if self.type is bool:
            return text == "True"
        return self.type(text)

    def write(self, node, value):
        if self.isNode:
            if value is not None and not isinstance(value, self.type):
                raise TypeError(f"{self.name} takes a {self.type.__name__}, not {value!r}")
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
            return
        if not isinstance(value, pathlib.PurePath if issubclass(self.type, pathlib.PurePath) else self.type):
            raise TypeError(f"{self.name} takes {self.type.__name__}, not {value!r}")
        for validator in self.validators:
            validator.validate(value)
        node.SetParameter(self.name, value.name if isinstance(value, enum.Enum) else str(value))


class _Connection:
    """Keeps one widget and one parameter equal."""

    def __init__(self, widget, parameter):
        self.widget, kind = widget, (type(widget), parameter.type)
        label = None
        if parameter.isNode and type(widget) is slicer.qMRMLNodeComboBox:
            widget.nodeTypes = [parameter.type.__name__]
            self.signal = "currentNodeChanged(vtkMRMLNode*)"
            self.read, self.write = widget.currentNode, widget.setCurrentNode
        elif kind in ((qt.QCheckBox, bool), (qt.QPushButton, bool)):
            self._use("toggled(bool)", "checked")
        elif kind in ((qt.QDoubleSpinBox, float), (ctk.ctkSliderWidget, float), (qt.QSpinBox, int)):
            if type(widget) is ctk.ctkSliderWidget and parameter.range() is None:
                raise RuntimeError(f"{parameter.name}: a ctkSliderWidget needs a parameter with a range")
            if parameter.range():
                widget.minimum, widget.maximum = parameter.range()
            self._use("valueChanged(int)" if parameter.type is int else "valueChanged(double)", "value")
        elif kind == (qt.QLineEdit, str):
            self._use("textChanged(QString)", "text")
        elif type(widget) is ctk.ctkPathLineEdit and issubclass(parameter.type, pathlib.PurePath):
            self._use("currentPathChanged(QString)", "currentPath", read=parameter.type, write=str)
        elif type(widget) is qt.QComboBox and issubclass(parameter.type, enum.Enum):
            label = getattr(parameter.type, "label", lambda member: member.name)
            members = list(parameter.type)
        elif type(widget) is qt.QComboBox and any(isinstance(v, Choice) for v in parameter.validators):
            label, members = str, next(v.choices for v in parameter.validators if isinstance(v, Choice))
        else:
            raise RuntimeError(f"{parameter.name}: {type(widget).__name__} cannot show {parameter.type}")
        if label is not None:
            widget.clear()
            for member in members:
                widget.addItem(label(member))
            self._use("currentIndexChanged(int)", "currentIndex", read=members.__getitem__, write=members.index)

    def _use(self, signal, attribute, read=lambda value: value, write=lambda value: value):
        self.signal = signal
        self.read = lambda: read(getattr(self.widget, attribute))
        self.write = lambda value: setattr(self.widget, attribute, write(value))


def parameterNodeWrapper(cls):
    """Class decorator: annotated members become properties stored in a ``vtkMRMLScriptedModuleNode``."""
    hints = typing.get_type_hints(cls, include_extras=True)
    parameters = {name: _Parameter(name, hint, cls.__dict__.get(name)) for name, hint in hints.items()}

    def initialize(self, parameterNode):
        self.parameterNode, self._connected, self._updating = parameterNode, {}, False
        for parameter in parameters.values():
            if not parameter.isIn(parameterNode):
                parameter.write(parameterNode, parameter.default)

    def connectGui(self, gui):
        widgets = gui.__dict__.values()
        mapping = {w.property(PROPERTY): w for w in widgets if w.property(PROPERTY)}
        return self.connectParametersToGui(mapping)

    def connectParametersToGui(self, mapping):
        for name in mapping:
            if name not in parameters:
                raise ValueError(f"Cannot find a param with the given name: {name}")
        tag = len(self._connected)
        connections = {name: _Connection(widget, parameters[name]) for name, widget in mapping.items()}
        slots = []
        for name, connection in connections.items():
            connection.write(getattr(self, name))

            def onChanged(name=name, connection=connection):
                if not self._updating:
                    setattr(self, name, connection.read())

            slot = _withoutArguments(onChanged)
            connection.widget.connect(connection.signal, slot)
            slots.append((connection.widget, connection.signal, slot))
        observer = self.parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: update(self, connections))
        self._connected[tag] = (slots, observer)
        return tag

    def update(self, connections):
        if self._updating:
            return
        self._updating = True
        try:
            for name, connection in connections.items():
                connection.write(getattr(self, name))
        finally:
            self._updating = False

    def disconnectGui(self, tag):
        slots, observer = self._connected.pop(tag, ((), None))
        for widget, signal, slot in slots:
            widget.disconnect(signal, slot)
        if observer is not None:
            self.parameterNode.RemoveObserver(observer)

    for name, parameter in parameters.items():
        setattr(
            cls,
            name,
            property(
                lambda self, p=parameter: p.read(self.parameterNode),
                lambda self, value, p=parameter: p.write(self.parameterNode, value),
            ),
        )
    cls.__init__ = initialize
    cls.connectGui, cls.disconnectGui, cls.connectParametersToGui = connectGui, disconnectGui, connectParametersToGui
    for method in ("StartModify", "EndModify", "AddObserver", "RemoveObserver", "Modified"):
        setattr(cls, method, lambda self, *args, method=method: getattr(self.parameterNode, method)(*args))
    return cls


def _withoutArguments(slot):
    return lambda: slot()


def install():
    """Register ``slicer.parameterNodeWrapper``."""
    module = types.ModuleType("slicer.parameterNodeWrapper")
    for each in (Default, WithinRange, Minimum, Maximum, Choice, parameterNodeWrapper):
        setattr(module, each.__name__, each)
    sys.modules[module.__name__] = module
    slicer.parameterNodeWrapper = module
