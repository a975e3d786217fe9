"""The ``qt`` module as PythonQt offers it inside Slicer, made from PySide6.

PythonQt differs from PySide6 in a few habits that module code relies on, and :func:`install` gives PySide6 the same:
Qt properties are attributes (``button.text``, not ``button.text()``), ``name`` is the object name, ``className()``
exists, ``connect("clicked(bool)", slot)`` takes a signature, and string lists arrive as tuples.

Where PythonQt is lax this is strict. Connecting to a signal that does not exist, or setting an attribute that is no
property, raises; an exception in a slot is kept for :func:`takeSlotErrors`, so that a test can fail on it instead of
only printing it. So is the death of an object inside its own signal: one without a parent goes with its last Python
reference, ``deleteLater()`` or not, and Slicer then crashes, now or later.
"""

import functools
import inspect
import sys
import traceback
import types
import weakref

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets
from shiboken6 import Shiboken

# Both a property and a virtual method: PySide6 looks these up by name from C++, so they stay methods.
_VIRTUAL_GETTERS = {"sizeHint", "minimumSizeHint"}

_readers = {QtCore.QObject: QtCore.QObject.__getattribute__}  # PySide6's own, for the classes that have one
_staticConnect = QtCore.QObject.connect
_staticDisconnect = QtCore.QObject.disconnect

_propertiesByClass = {}
_slotErrors = []


def install():
    """Give every PySide6 object the habits of PythonQt and register the ``qt`` module. Once per process."""
    if "qt" in sys.modules:
        return sys.modules["qt"]
    QtCore.QObject.__getattribute__ = _attributeOf
    QtCore.QObject.className = lambda self: self.metaObject().className()
    QtCore.QTimer.singleShot = _singleShot
    QtCore.QObject.deleteLater = _deleteLater
    QtCore.QObject.delete = _deleteLater
    qt = types.ModuleType("qt", "PySide6 with the conventions of PythonQt")
    for source in (QtCore, QtGui, QtWidgets):
        for name in dir(source):
            if name[0] == "Q" or name == "Qt":
                member = getattr(source, name)
                setattr(qt, name, member)
                if isinstance(member, type) and issubclass(member, QtCore.QObject):
                    _giveHabits(member)
    qt.QUiLoader = QtUiTools.QUiLoader  # replaced by harness.uiloader
    sys.modules["qt"] = qt
    sys.excepthook = _keepError
    return qt


_kept = []
_plainSingleShot = QtCore.QTimer.singleShot


def _singleShot(*arguments):
    """As Slicer's: what is called is kept until the application ends."""
    _kept.append(arguments)
    return _plainSingleShot(*arguments)


def _deleteLater(obj):
    """As PythonQt's it keeps nothing alive until then; PySide6's own would hold the object."""
    QtCore.QMetaObject.invokeMethod(obj, "deleteLater", QtCore.Qt.DirectConnection)


def _giveHabits(qtClass):
    """Properties as attributes for one class; nearly all inherit reading from QObject, none inherits writing."""
    qtClass.__setattr__ = _setAttributeOf
    if qtClass not in _readers and "__getattribute__" in vars(qtClass):
        _readers[qtClass] = qtClass.__getattribute__
        qtClass.__getattribute__ = _attributeOf


def _getAttribute(obj, name):
    """Attribute read as PySide6 does it."""
    reader = next(_readers[each] for each in type(obj).__mro__ if each in _readers)
    return reader(obj, name)


def takeSlotErrors():
    """Return the tracebacks of exceptions raised in Qt slots and VTK observers since the last call."""
    taken = list(_slotErrors)
    _slotErrors.clear()
    return taken


def _keepError(kind, value, trace):
    _slotErrors.append("".join(traceback.format_exception(kind, value, trace)))
    sys.__excepthook__(kind, value, trace)


def _propertiesOf(obj):
    """Name -> writable, for each Qt property of the object's class."""
    meta = _getAttribute(obj, "metaObject")()
    className = meta.className()
    if className not in _propertiesByClass:
        found = (meta.property(index) for index in range(meta.propertyCount()))
        _propertiesByClass[className] = {p.name(): p.isWritable() for p in found if p.name() not in _VIRTUAL_GETTERS}
    return _propertiesByClass[className]


def _attributeOf(obj, name):
    """Attribute read of every QObject: properties first, as in PythonQt."""
    if name.startswith("__"):
        return _getAttribute(obj, name)
    if name == "connect":
        original = _getAttribute(obj, "connect")  # PySide's own singleShot calls it, with more arguments
        return lambda *given: _connect(obj, *given) if len(given) == 2 else original(*given)
    if name == "disconnect":
        return lambda signature, slot: _disconnect(obj, signature, slot)
    if name == "name":
        return _getAttribute(obj, "objectName")()
    if name in _propertiesOf(obj):
        getter = _methodOf(obj, name)
        value = getter(obj) if getter else _getAttribute(obj, "property")(name)
        return tuple(value) if isinstance(value, list) else value
    return _getAttribute(obj, name)


def _setAttributeOf(obj, name, value):
    """Attribute write of every QObject: a property, or an attribute of a Python subclass; anything else raises."""
    if name == "name":
        name = "objectName"
    properties = _propertiesOf(obj)
    if name in properties:
        if not properties[name]:
            raise AttributeError(f"{obj.className()}.{name} is read-only")
        setter = _methodOf(obj, "set" + name[0].upper() + name[1:])
        if setter:
            setter(obj, value)
        else:
            _getAttribute(obj, "setProperty")(name, list(value) if isinstance(value, tuple) else value)
    elif isinstance(value, QtCore.SignalInstance):
        _getAttribute(obj, "__dict__")[name] = value  # PySide6 keeps a signal where it was asked for
    elif type(obj).__module__.split(".")[0] in ("PySide6", "harness") and not name.startswith("_"):
        raise AttributeError(f"{obj.className()} has no property {name!r}")
    else:
        descriptor = getattr(type(obj), name, None)
        if hasattr(type(descriptor), "__set__"):
            descriptor.__set__(obj, value)
        else:
            _getAttribute(obj, "__dict__")[name] = value


def _methodOf(obj, name):
    method = getattr(type(obj), name, None)
    return method if callable(method) and not isinstance(method, QtCore.Property) else None


def _checkedSignal(obj, signature):
    """The signature in Qt's normal form. Raises RuntimeError where PythonQt only prints that it does not exist."""
    aliases = getattr(type(obj), "SIGNAL_ALIASES", {})
    normalized = aliases.get(signature, signature)
    normalized = bytes(QtCore.QMetaObject.normalizedSignature(normalized)).decode()
    if _getAttribute(obj, "metaObject")().indexOfSignal(normalized) < 0:
        raise RuntimeError(f"QObject::connect: signal {signature} does not exist in {obj.className()}")
    return QtCore.SIGNAL(normalized)


def _acceptedArguments(slot):
    """How many positional arguments a slot takes; PythonQt cuts the signal's arguments to that number."""
    try:
        parameters = inspect.signature(slot).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


_relays = {}


def _connect(obj, signature, slot):
    if not callable(slot):
        raise TypeError(f"connect: {slot!r} is not callable")
    accepted, sender = _acceptedArguments(slot), weakref.ref(obj)

    def relay(*arguments):
        emitting = sender()  # held meanwhile: its death would take this process along
        try:
            slot(*(arguments if accepted is None else arguments[:accepted]))
        finally:
            if emitting is not None and sys.getrefcount(emitting) <= _HELD_ONCE and _diesWithPython(emitting):
                _tellOfDeath(emitting, signature)

    signal = _checkedSignal(obj, signature)
    if not any(key[0] == id(obj) for key in _relays):
        _getAttribute(obj, "destroyed").connect(functools.partial(_forget, id(obj)))
    _relays.setdefault((id(obj), signal), []).append((slot, relay))
    return bool(_staticConnect(obj, signal, relay))


def _heldOnce():
    held = object()
    return sys.getrefcount(held)


_HELD_ONCE = _heldOnce()
_undead = []  # what would have died inside its own signal


def _diesWithPython(obj):
    return Shiboken.isValid(obj) and Shiboken.ownedByPython(obj) and _getAttribute(obj, "parent")() is None


def _tellOfDeath(obj, signature):
    _undead.append(obj)
    told = f"{obj.className()} has no parent and died inside its own signal {signature}: Slicer crashes\n"
    _slotErrors.append(told)
    sys.stderr.write(told)


def _forget(number, *unused):
    """The slots of an object go with it, as in Slicer."""
    for key in [each for each in _relays if each[0] == number]:
        del _relays[key]


def _disconnect(obj, signature, slot):
    signal = _checkedSignal(obj, signature)
    relays = _relays.get((id(obj), signal), [])
    for entry in relays:
        if entry[0] == slot:
            relays.remove(entry)
            return bool(_staticDisconnect(obj, signal, entry[1]))
    return False
