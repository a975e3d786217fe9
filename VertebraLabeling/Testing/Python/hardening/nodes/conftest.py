"""The node tests run on slicer-core with the harness."""

from slicer_world import no_panel, no_slot_errors, pytest_pycollect_makemodule  # noqa: F401 - fixtures and a hook
