"""The harness is started before its own tests are imported."""

from slicer_world import pytest_pycollect_makemodule  # noqa: F401 - a hook
