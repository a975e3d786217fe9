"""The node tests run on slicer-core with the harness, and share the network-free labeler of the node tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "mrml"))

from slicer_world import no_slot_errors, pytest_pycollect_makemodule  # noqa: F401 - a fixture and a hook
