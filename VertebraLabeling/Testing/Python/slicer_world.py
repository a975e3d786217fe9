"""Starts the harness for the tests under pytest, or skips them and says what is missing for it.

A folder whose tests need the harness has a ``conftest.py`` that imports :func:`pytest_pycollect_makemodule` and
:func:`no_slot_errors` from here, and :func:`no_panel` where the tests open none.
"""

import os
import sys
from functools import lru_cache
from pathlib import Path

import pytest

TESTING = Path(__file__).resolve().parents[1]
MODULE_FILE = TESTING.parent / "VertebraLabeling.py"


@lru_cache(maxsize=1)
def why_not():
    """Start the harness and load the module; an empty text, or the reason why neither can be."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    try:
        import harness

        harness.start()
    except ImportError as error:
        packages = " ".join((TESTING / "apt-packages.txt").read_text().split())
        return f"{error}; run: apt-get install --no-install-recommends {packages}"
    sys.path.insert(0, str(MODULE_FILE.parent))
    harness.loadModule(MODULE_FILE)
    return ""


class SkippedModule(pytest.Module):
    """A test file that is not imported, because what it imports cannot be."""

    def collect(self):
        raise pytest.skip.Exception(why_not(), allow_module_level=True)


def pytest_pycollect_makemodule(module_path, parent):
    """Before a test file is imported: start the harness, or skip the file."""
    return SkippedModule.from_parent(parent, path=module_path) if why_not() else None


@pytest.fixture(autouse=True)
def no_slot_errors():
    """An exception in a Qt slot or a VTK observer fails the test in which it happened."""
    import harness

    harness.takeSlotErrors()
    yield
    errors = harness.takeSlotErrors()
    assert not errors, "\n".join(errors)


@pytest.fixture(autouse=True, scope="module")
def no_panel():
    """Tests of nodes see the scene that they make: an open panel would choose a point list in it, and add its names.

    The views of earlier tests look afterwards as they did before.
    """
    import harness
    import slicer

    harness.closePanel(MODULE_FILE.stem)
    views = [(view, view.GetOrientation()) for view in slicer.util.getNodesByClass("vtkMRMLSliceNode")]
    yield
    for view, orientation in views:  # views outlive a scene, and tests of panels look at them as they stood
        view.SetOrientation(orientation)
