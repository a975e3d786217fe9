"""The hardening tests share the phantoms, the DICOM writer and the network-free labeler of the unit tests."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_the_disk():
    """These tests write thousands of small files; that they survive a power cut does not matter here."""
    real, os.fsync = os.fsync, lambda descriptor: None
    yield
    os.fsync = real
