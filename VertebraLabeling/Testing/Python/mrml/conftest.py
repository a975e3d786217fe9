"""Under pytest the tests of this folder run on slicer-core with the harness; inside Slicer this file is not read."""

from slicer_world import no_panel, no_slot_errors, pytest_pycollect_makemodule  # noqa: F401 - fixtures and a hook
