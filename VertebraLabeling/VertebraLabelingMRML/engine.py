"""The engine as the Slicer side starts it: torch is imported on first use, never when the module is loaded."""

from VertebraLabelingLib.errors import VertebraLabelingError


class PyTorchMissingError(VertebraLabelingError):
    """torch cannot be imported; the panel's Set-up section installs it."""


def makeLabeler(weights=None, device="auto"):
    """Return the network's labeler (``VertebraLabelingLib.labeler.VertebraLabeler``) with its weights not yet loaded.

    Raises:
        PyTorchMissingError: torch is not installed in this Python.
    """
    try:
        import torch  # noqa: F401 - the engine needs it
    except ImportError as error:
        raise PyTorchMissingError(
            "PyTorch is not installed: open the Set-up section of Vertebra Labeling and press 'Install PyTorch'."
        ) from error
    from VertebraLabelingLib.labeler import VertebraLabeler

    return VertebraLabeler(weights, device)
