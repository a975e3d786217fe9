"""The vertebrae of the open scan: what the table shows, and what the user does to them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from VertebraLabelingLib.core.anatomy import region
from VertebraLabelingLib.core.count_rules import AS_SEEN, RULES
from VertebraLabelingLib.core.labels import LOW_CONFIDENCE
from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingMRML import display
from VertebraLabelingMRML.control_points import SAME_VERTEBRA_MM
from VertebraLabelingMRML.editor import Editor
from VertebraLabelingMRML.points import headToFoot
from VertebraLabelingMRML.slice_view_follower import SliceViewFollower
from VertebraLabelingMRML.told import actionText, ruleTip, told
from VertebraLabelingMRML.watcher import PointsWatcher

from .views import Later


class Results:
    """Shows one points node and changes it.

    Args:
        state: trame state; ``rows``, ``chosen``, ``level``, ``undo_what``, ``warnings``, ``how_counted``,
            ``counting``, ``levels`` and ``other_counts`` are kept up to date; ``preferred_counting`` is read.
        later: calls a function from the event loop.
        on_error: called with an error that is meant for the user.
        on_changed: called with the node when its points may have changed; with ``None`` when none is shown any more.
    """

    def __init__(
        self,
        state,
        later: Later,
        on_error: Callable[[VertebraLabelingError], None],
        on_changed: Callable[[object], None],
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

    @property
    def rule(self) -> str:
        """By which rule a run names what it finds: that of the vertebrae, else the one that the user prefers."""
        return told(self._node).rule or self._preferred

    @property
    def _preferred(self) -> str:
        rule = self._state.preferred_counting  # a browser may write anything there
        return rule if rule in RULES else AS_SEEN

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
        self._tell()
        if node is not None:
            display.showConfidence(node, LOW_CONFIDENCE)
            display.showRegions(node, bool(points), LOW_CONFIDENCE)
        self._slice_views.follow(node)
        self._on_changed(node)

    def _tell(self) -> None:
        """What is to be known of the vertebrae, by which rule they are named, and what they are called by others."""
        state, found = self._state, told(self._node)
        state.how_counted, state.warnings = found.howCounted, list(found.warnings)
        state.other_counts = [
            {"rule": rule, "text": actionText(rule), "names": names, "title": ruleTip(rule)}
            for rule, names in found.others.items()
        ]
        state.counting, state.levels = found.rule or self._preferred, list(found.levels)

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

    def count_by(self, rule: str) -> None:
        """Name all vertebrae by a rule of counting."""
        if self._node is not None:
            self._try(lambda: self.editor.countBy(self._node, rule))

    def choose_rule(self, rule: str) -> str:
        """The user's choice for these vertebrae and for later scans; returns it, or "" where it cannot name these."""
        if told(self._node).rule is not None:
            self.count_by(rule)
        kept = told(self._node).rule in (None, rule)
        if kept:
            self.prefer(rule)
        return rule if kept else ""

    def prefer(self, rule: str) -> None:
        """What the user has chosen for scans without vertebrae, now or earlier."""
        self._state.preferred_counting = rule
        self._tell()

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
        "unsure": point.is_uncertain(),
    }
