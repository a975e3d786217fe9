"""The corners of the slice views in which the level is said: text of the page, over the pictures of the views."""

from __future__ import annotations

from collections.abc import Collection

from .views import UPDATE_MS, Later


class LevelCorners:
    """What :class:`VertebraLabelingMRML.level_readout.LevelReadout` says, for the page; the pictures stay as they are.

    Args:
        state: trame state; ``view_levels`` (name of the view -> text, and whether it is uncertain) is kept up to date.
        later: calls a function from the event loop.
    """

    def __init__(self, state, later: Later) -> None:
        self._state, self._later, self._waiting = state, later, False
        self._said: dict[str, dict[str, object]] = {}

    def canShow(self, sliceNode) -> bool:
        """All slice views of this program are on the page."""
        return True

    def say(self, sliceNode, text: str, uncertain: bool) -> None:
        """Show a text in a view, amber where it is uncertain; an empty one takes away what is there."""
        name = sliceNode.GetLayoutName()
        said = {"text": text, "uncertain": uncertain} if text else None
        if self._said.get(name) == said:
            return
        if said is None:
            del self._said[name]
        else:
            self._said[name] = said
        self._tell_soon()

    def keepOnly(self, viewIDs: Collection[str]) -> None:
        """The views of the page stay as long as the program runs."""

    def clear(self) -> None:
        """Say nothing in any view."""
        if self._said:
            self._said = {}
            self._tell_soon()

    def texts(self) -> dict[str, str]:
        """What the corners say now: name of the view -> text."""
        return {name: said["text"] for name, said in self._said.items()}

    def _tell_soon(self) -> None:
        """Send it together with the positions of the slices, once for all that happens until then."""
        if not self._waiting:
            self._waiting = True
            self._later(UPDATE_MS, self._tell)

    def _tell(self) -> None:
        self._waiting = False
        self._state.view_levels = dict(self._said)
