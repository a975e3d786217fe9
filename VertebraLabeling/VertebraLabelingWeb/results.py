"""The vertebrae of the open scan: what the table shows, and what the user does to them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from VertebraLabelingLib.core.anatomy import region
from VertebraLabelingLib.core.labels import LOW_CONFIDENCE, PREDICTED
from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingMRML import display
from VertebraLabelingMRML.control_points import SAME_VERTEBRA_MM
from VertebraLabelingMRML.editor import Editor
from VertebraLabelingMRML.points import headToFoot, readLabels
from VertebraLabelingMRML.slice_view_follower import SliceViewFollower
from VertebraLabelingMRML.watcher import PointsWatcher

from .views import Later


class Results:
    """Shows one points node and changes it.

    Args:
        state: trame state; ``rows``, ``warnings``, ``chosen``, ``level`` and ``undo_what`` are kept up to date.
        later: calls a function from the event loop.
        on_error: called with an error that is meant for the user.
        on_changed: called when the points may have changed.
    """

    def __init__(
        self,
        state,
        later: Later,
        on_error: Callable[[VertebraLabelingError], None],
        on_changed: Callable[[], None],
    ) -> None:
        self._state, self._on_error, self._on_changed = state, on_error, on_changed
        self._node = None
        self._place: np.ndarray | None = None  # of the chosen vertebra, RAS mm
        self.editor = Editor()
        self._watcher = PointsWatcher(self.refresh, self._dragged, later)
        self._slice_views = SliceViewFollower(later)

    @property
    def node(self):
        """The points node; ``None`` while there is none."""
        return self._node

    def show(self, node) -> None:
        """Show this node; ``None`` to show nothing and forget what could be undone."""
        self._node = node
        self._watcher.watch(node)
        if node is None:
            self.editor.undoStack.clear()
            self._place = None
        self.refresh()

    def refresh(self) -> None:
        """Bring the page in line with the node."""
        state, node = self._state, self._node
        points = headToFoot(node)
        chosen = self._nearest(points)
        state.rows = [_row(each.point) for each in points]
        if chosen != state.chosen and chosen:
            state.level = chosen
        state.chosen = chosen
        state.undo_what = self.editor.undoStack.next(node) if node is not None else ""
        state.warnings = []
        self._on_changed()
        if node is None:
            self._slice_views.follow(None)
            return
        display.showConfidence(node, LOW_CONFIDENCE)
        display.showRegions(node, bool(points), LOW_CONFIDENCE)
        self._slice_views.follow(node)
        try:
            state.warnings = [str(warning) for warning in readLabels(node).warnings]
        except VertebraLabelingError as error:
            state.warnings = [str(error)]

    def places(self) -> list[tuple[float, float, float]]:
        """Where the vertebrae are, head to foot, RAS mm."""
        return [each.point.ras for each in headToFoot(self._node)]

    def choose(self, level: str, jump: bool = True) -> None:
        """Choose a vertebra; the views go there."""
        for each in headToFoot(self._node):
            if each.point.level == level:
                self._place = np.array(each.point.ras)
                self._state.chosen = self._state.level = level
                if jump:
                    display.jumpTo(self._node, each.index)

    def step(self, step: int) -> None:
        """Go to the next vertebra further down (1) or up (-1)."""
        levels = [each.point.level for each in headToFoot(self._node)]
        if not levels:
            return
        place = levels.index(self._state.chosen) + step if self._state.chosen in levels else 0
        self.choose(levels[min(max(place, 0), len(levels) - 1)])

    def name(self, level: str) -> None:
        """ "This is L1", of the chosen vertebra."""
        self._change(lambda index: self.editor.name(self._node, index, level))

    def add(self) -> None:
        """Add a vertebra below the chosen one."""
        self._change(lambda index: self.editor.addBelow(self._node, index))

    def delete(self) -> None:
        """Delete the chosen vertebra."""
        self._change(lambda index: self.editor.delete(self._node, [index]))

    def confirm(self) -> None:
        """Accept the chosen vertebra as it is."""
        self._change(lambda index: self.editor.confirm(self._node, [index]))

    def shift(self, step: int) -> None:
        """Name all vertebrae one level further down (1) or up (-1)."""
        if self._node is not None:
            self._try(lambda: self.editor.shift(self._node, step))

    def undo(self) -> None:
        """Take back the last change."""
        if self._node is not None:
            what = self.editor.undo(self._node)
            self._state.message = f"Taken back: {what}." if what else self._state.message
            self.refresh()

    def _change(self, action: Callable[[int], None]) -> None:
        """Do something to the chosen vertebra."""
        for each in headToFoot(self._node):
            if each.point.level == self._state.chosen:
                self._try(lambda index=each.index: action(index))
                return

    def _dragged(self, levels, before) -> None:
        dragged = [each for each in headToFoot(self._node) if each.point.level in levels]
        self._place = np.array(dragged[0].point.ras) if dragged else self._place
        self._try(lambda: self.editor.dragged(self._node, levels, before, bool(self._state.follow)))

    def _try(self, action: Callable[[], None]) -> None:
        self._state.error = ""
        try:
            action()
        except VertebraLabelingError as error:
            self._on_error(error)
        self.refresh()

    def _nearest(self, points) -> str:
        """Level of the vertebra where the chosen one is or was; empty where none is."""
        if self._place is None or not points:
            return ""
        distance = [np.linalg.norm(np.subtract(each.point.ras, self._place)) for each in points]
        nearest = points[int(np.argmin(distance))]
        if min(distance) > SAME_VERTEBRA_MM:
            return ""
        self._place = np.array(nearest.point.ras)
        return nearest.point.level


def _row(point) -> dict:
    return {
        "level": point.level,
        "region": region(point.level),
        "percent": round(100 * point.shown_confidence),
        "status": point.status,
        "unsure": point.confidence < LOW_CONFIDENCE and point.status == PREDICTED,
    }
