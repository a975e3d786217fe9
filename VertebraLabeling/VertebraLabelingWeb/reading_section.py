"""The section "Read levels" of the page: what is read from the vertebrae once they are named."""

from __future__ import annotations

from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingMRML import levels
from VertebraLabelingMRML.level_readout import LevelReadout
from VertebraLabelingMRML.view_windows import crosshairNode

from .level_corners import LevelCorners
from .views import Later


class ReadingSection:
    """Reads the levels of one points node.

    Args:
        state: trame state; ``report_text``, where the browser shows it, is kept up to date.
        later: calls a function from the event loop.
    """

    def __init__(self, state, later: Later) -> None:
        self._state, self._node = state, None
        self._readout = LevelReadout(later, LevelCorners(state, later))

    def update(self, node) -> None:
        """Bring views and page in line with the points as they are now; ``None`` while there are none."""
        self._node = node
        self._readout.follow(node)
        if self._state.report_text:
            self._state.report_text = self._report_or_nothing()

    def report(self) -> str:
        """The text for a report, for the clipboard.

        Raises:
            InputError: there is none.
        """
        return levels.reportText(self._node)

    def _report_or_nothing(self) -> str:
        try:
            return self.report()
        except VertebraLabelingError:
            return ""

    def leave_views(self) -> None:
        """The mouse is over no slice any more."""
        crosshairNode().SetCursorPositionInvalid()
