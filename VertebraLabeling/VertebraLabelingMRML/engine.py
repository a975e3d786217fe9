"""The engine as the Slicer side starts it: torch is imported on first use, never when the module is loaded."""

import importlib.metadata
import importlib.util

from VertebraLabelingLib.background.labeling_process import NO_TORCH
from VertebraLabelingLib.errors import VertebraLabelingError


class PyTorchMissingError(VertebraLabelingError):
    """torch is not installed; the panel's Set-up section installs it."""


def torchVersion():
    """Version of the installed PyTorch without importing it; None when it is not installed."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None


def checkPyTorch():
    """Raise PyTorchMissingError where torch is not installed; imports nothing."""
    if importlib.util.find_spec("torch") is None:
        raise PyTorchMissingError(NO_TORCH)


def makeLabeler():
    """Return a ``VertebraLabelingLib.VertebraLabeler`` with its weights not yet loaded.

    Raises:
        PyTorchMissingError: torch is not installed in this Python.
    """
    checkPyTorch()
    from VertebraLabelingLib.pipeline.labeler import VertebraLabeler

    return VertebraLabeler()
