"""The errors that reach a user: each message is one sentence that says what happened and what to do."""

from __future__ import annotations


class VertebraLabelingError(Exception):
    """Base of every error whose message is written for the user. Programming errors are never of this type."""


class InputError(VertebraLabelingError):
    """A file, folder or volume cannot be used as it is (unreadable, truncated, wrong dimensions, bad geometry)."""


class NotCtError(InputError):
    """The voxel values are not Hounsfield units of a CT."""


class NoSpineError(VertebraLabelingError):
    """The volume is a usable CT but no vertebra was found in it."""


class WeightsError(VertebraLabelingError):
    """The network weights are missing, damaged, or of another version."""


class Cancelled(VertebraLabelingError):
    """The caller's ``cancelled()`` returned true; nothing was changed."""
