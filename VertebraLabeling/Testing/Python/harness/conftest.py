"""The harness is started before its own tests are imported."""

from slicer_world import start_or_skip

start_or_skip()
