"""The errors that reach a user: each message is one sentence that says what happened and what to do."""

from __future__ import annotations


class VertebraLabelingError(Exception):
    """Base of every error whose message is written for the user. Programming errors are never of this type."""

    def __str__(self) -> str:
        """The sentence on one printable line: names of files and texts of headers come from outside."""
        return printable(super().__str__())


def printable(text: str) -> str:
    """``text`` without line ends, control characters and halves of characters, which terminals and files refuse."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


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
