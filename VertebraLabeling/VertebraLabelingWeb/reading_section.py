"""The section "Read levels" of the page: what is read from the vertebrae once they are named."""

from __future__ import annotations

from collections.abc import Callable

from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingMRML import levels
from VertebraLabelingMRML.level_readout import LevelReadout
from VertebraLabelingMRML.turned_planes import TurnedPlanes
from VertebraLabelingMRML.view_windows import crosshairNode

from .level_corners import LevelCorners
from .scene import Scene
from .straight_strip import StraightStrip
from .views import Later, Views


class ReadingSection:
    """Reads the levels of one points node.

    Args:
        state: trame state; ``planes``, ``plane``, ``plane_left``, ``report_changed``, and ``report_text`` where the
            browser shows it, are kept up to date.
        scene: of the scan that is open.
        views: of the page.
        later: calls a function from the event loop.
        fail: tells an error.

    Attributes:
        strip: the straightened spine.
    """

    def __init__(self, state, scene: Scene, views: Views, later: Later, fail: Callable[[BaseException], None]) -> None:
        self._state, self._node = state, None
        self._readout = LevelReadout(later, LevelCorners(state, later))
        self._planes = TurnedPlanes()
        self._reported = ""  # the text that the user has
        self.strip = StraightStrip(state, scene, views, fail)

    def actions(self) -> dict[str, Callable]:
        """What the page's template and script can ask for."""
        return {
            "leave_views": self.leave_views,
            "turn_to": self.turn_to,
            "next_plane": lambda step: self.next_plane(int(step)),
            "straighten": lambda wanted: self.strip.want(bool(wanted)),
            "strip_go_to": lambda name, x, y: self.strip.go_to(name, float(x), float(y)),
            "report": self.report,
        }

    def update(self, node) -> None:
        """Bring views and page in line with the points as they are now; ``None`` while there are none."""
        self._node = node
        self._readout.follow(node)
        self._planes.follow(node)
        self._tell_planes()
        self.strip.update(node)
        self._tell_report()

    def on_moved(self) -> None:
        """Slices were moved."""
        self._state.plane_left = self._planes.left
        self.strip.mark()

    def turn_to(self, name: str) -> None:
        """Turn the slices to the plane of a vertebra or disc; back to the usual ones where the name is empty.

        Raises:
            InputError: there is no such plane.
        """
        if name:
            self._planes.turnTo(name)
        else:
            self._planes.back()
        self._tell_planes()

    def next_plane(self, step: int) -> None:
        """Turn to the next plane toward the feet (1) or the head (-1); the first time to that where one is."""
        name = self._planes.next(step)
        if name is not None:
            self.turn_to(name)

    def _tell_planes(self) -> None:
        name = self._planes.name
        self._state.planes, self._state.plane = self._planes.names, "oblique" if name is None else name
        self._state.plane_left = self._planes.left

    def report(self) -> str:
        """The text for a report, for the clipboard.

        Raises:
            InputError: there is none.
        """
        self._reported, self._state.report_changed = levels.reportText(self._node), False
        return self._reported

    def _tell_report(self) -> None:
        """The text where it is shown is that of the points now; where it was copied, whether it still is."""
        if self._node is None:
            self._reported = ""
        try:
            text = levels.reportText(self._node) if self._reported else ""
        except VertebraLabelingError:
            text = ""
        shown = bool(self._state.report_text)
        self._state.update(
            {"report_text": text if shown else "", "report_changed": text != self._reported and not shown}
        )

    def leave_views(self) -> None:
        """The mouse is over no slice any more."""
        crosshairNode().SetCursorPositionInvalid()
