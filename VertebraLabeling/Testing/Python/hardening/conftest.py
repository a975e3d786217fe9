"""The hardening tests share the phantoms, the DICOM writer and the network-free labeler of the unit tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_the_disk():
    """These tests write thousands of small files; that they survive a power cut does not matter here."""
    real, os.fsync = os.fsync, lambda descriptor: None
    yield
    os.fsync = real


@pytest.fixture
def tiny(tmp_path) -> Path:
    """A small network with random weights, for what fails before or after it runs."""
    import torch
    from VertebraLabelingLib.networks import weights
    from VertebraLabelingLib.networks.detection_network import DetectionNetwork

    torch.manual_seed(0)
    path, widths = tmp_path / "model" / "tiny.pt", (4, 8, 8, 8, 8)
    weights.write_model(path, DetectionNetwork(widths).state_dict(), widths, "test", {})
    return path
