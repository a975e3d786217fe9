"""The section "Read levels" of the page: what is read from the vertebrae once they are named."""

from __future__ import annotations

from VertebraLabelingMRML.level_readout import LevelReadout
from VertebraLabelingMRML.view_windows import crosshairNode

from .level_corners import LevelCorners
from .views import Later


class ReadingSection:
    """Reads the levels of one points node.

    Args:
        state: trame state.
        later: calls a function from the event loop.
    """

    def __init__(self, state, later: Later) -> None:
        self._readout = LevelReadout(later, LevelCorners(state, later))

    def update(self, node) -> None:
        """Bring views and page in line with the points as they are now; ``None`` while there are none."""
        self._readout.follow(node)

    def leave_views(self) -> None:
        """The mouse is over no slice any more."""
        crosshairNode().SetCursorPositionInvalid()
