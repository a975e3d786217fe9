"""Starts the harness for the tests under pytest, or says what is missing for it."""

import os
import sys
from pathlib import Path

import pytest

TESTING = Path(__file__).resolve().parents[1]
MODULE_FILE = TESTING.parent / "VertebraLabeling.py"


def start_or_skip():
    """Start the harness and load the module; skip the calling folder's tests where Qt or OpenGL is missing."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    try:
        import harness

        harness.start()
    except ImportError as error:
        packages = " ".join((TESTING / "apt-packages.txt").read_text().split())
        pytest.skip(f"{error}; run: apt-get install --no-install-recommends {packages}", allow_module_level=True)
    import slicer

    if not hasattr(slicer.modules, "vertebralabeling"):
        sys.path.insert(0, str(MODULE_FILE.parent))
        harness.loadModule(MODULE_FILE)


@pytest.fixture(autouse=True)
def no_slot_errors():
    """An exception in a Qt slot or a VTK observer fails the test in which it happened."""
    import harness

    harness.takeSlotErrors()
    yield
    errors = harness.takeSlotErrors()
    assert not errors, "\n".join(errors)
