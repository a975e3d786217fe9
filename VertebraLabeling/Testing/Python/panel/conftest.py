"""Under pytest the tests of this folder run on slicer-core with the harness; inside Slicer this file is not read."""

from slicer_world import no_slot_errors, start_or_skip  # noqa: F401 - a fixture

start_or_skip()
