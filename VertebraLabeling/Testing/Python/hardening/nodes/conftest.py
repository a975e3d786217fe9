"""The node tests run on slicer-core with the harness."""

from slicer_world import no_slot_errors, pytest_pycollect_makemodule  # noqa: F401 - a fixture and a hook
