"""The engine as the Slicer side starts it: torch and SimpleITK are imported on first use, never as the module loads."""

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


def checkImage(volume, name):
    """See :func:`VertebraLabelingLib.preprocessing.ct_check.check_image`."""
    from VertebraLabelingLib.preprocessing.ct_check import check_image

    check_image(volume, name)


def straightVolume(volume, spine, voxelMm):
    """See :func:`VertebraLabelingLib.preprocessing.straight_volume.straight_volume`; SimpleITK is loaded now."""
    from VertebraLabelingLib.preprocessing.straight_volume import straight_volume

    return straight_volume(volume, spine, voxelMm)


def carry(source, labels, target, sameFrame, progress, cancelled):
    """See :func:`VertebraLabelingLib.registration.carry.carry`."""
    from VertebraLabelingLib.registration.carry import carry as carryInEngine

    return carryInEngine(source, labels, target, sameFrame, progress, cancelled)


def makeLabeler():
    """Return a ``VertebraLabelingLib.VertebraLabeler`` with its weights not yet loaded.

    Raises:
        PyTorchMissingError: torch is not installed in this Python.
    """
    checkPyTorch()
    from VertebraLabelingLib.pipeline.labeler import VertebraLabeler

    return VertebraLabeler()
