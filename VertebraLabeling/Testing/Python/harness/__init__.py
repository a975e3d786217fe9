"""Runs a scripted module of 3D Slicer without the Slicer application: test code, never part of the product.

The MRML classes, displayable managers and ``slicer.util`` are Slicer's own (the ``slicer-core`` wheel). The rest of the
application is stood in for here, written from its public API: ``qt`` is PySide6 with PythonQt's conventions
(:mod:`pythonqt`), the few CTK and qMRML widgets the panel uses (:mod:`ctkshim`, :mod:`mrmlwidgets`), ``.ui`` loading
(:mod:`uiloader`), ``slicer.app`` and file access (:mod:`application`, :mod:`iomanager`), the DICOM database
(:mod:`dicomdatabase`), views (:mod:`views`) and the base classes of a module with its parameter node
(:mod:`scriptedmodule`, :mod:`parameternode`).

Anything not stood in for raises AttributeError, so a test cannot pass on something that was only pretended.

    import harness
    harness.start()                       # before the module is imported
    module = harness.loadModule(path)     # slicer.modules.<name>
    widget = slicer.util.getModuleWidget(module)
"""

import os
import stat
import sys
from pathlib import Path

from .folders import folderOf

_started = False


def start():
    """Make this process look like Slicer to a scripted module. Does nothing the second time.

    Raises:
        ImportError: PySide6 or slicer-core, or a system library they need, is missing.
    """
    global _started
    if _started:
        return
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    import slicer  # first: PySide6 habits must not reach it half made

    from . import pythonqt

    pythonqt.install()
    from . import application, ctkshim, mrmlwidgets, uiloader

    ctkshim.install()
    mrmlwidgets.install()
    uiloader.install(ctkshim.WIDGETS + mrmlwidgets.WIDGETS)
    application.start()
    from . import dicomdatabase, module, parameternode, scriptedmodule, views

    scriptedmodule.install()
    parameternode.install()
    module.install()
    dicomdatabase.install()
    slicer.app.setMainWindow(views.start())
    _providePythonSlicer()
    _started = True


def loadModule(path):
    """Load a module file as Slicer's factory does; returns ``slicer.modules.<name>``."""
    from . import module

    return module.load(Path(path))


def closePanel(moduleName):
    """End the panel of a module, if it was opened; the next use of its widget makes a new one."""
    from . import module

    module.closePanel(moduleName)


def takeSlotErrors():
    """Tracebacks of exceptions in Qt slots and VTK observers since the last call."""
    from . import pythonqt

    return pythonqt.takeSlotErrors()


def _providePythonSlicer():
    """Slicer has an executable ``PythonSlicer`` on PATH; here it runs this Python.

    Like Slicer's it is a launcher: the interpreter is its child, and does not end when the launcher is killed.
    """
    folder = Path(folderOf(sys.modules[__name__], "python-slicer-"))
    script = folder / "PythonSlicer"
    script.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\nexit $?\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
