"""Which corrections no file has yet, and keeping them safe until one has."""

from __future__ import annotations

import secrets

from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingMRML.points import levelPoints, readLabels
from VertebraLabelingMRML.told import ruleOf

from .kept_points import Kept, KeptPoints
from .scene import Scene
from .views import Later

KEEP_AFTER_MS = 500


class Unsaved:
    """Compares the points with those that were saved or that a run has found.

    Args:
        state: trame state; ``unsaved`` is kept up to date.
        scene: whose points they are.
        store: where unsaved corrections lie meanwhile.
        later: calls a function from the event loop.

    Attributes:
        session: whose corrections they are.
    """

    def __init__(self, state, scene: Scene, store: KeptPoints, later: Later) -> None:
        self._state, self._scene, self._store, self._later = state, scene, store, later
        self._safe: set[tuple] = set()
        self._given_up: tuple = ()
        self._key, self._pending = secrets.token_hex(8), False
        self.session = ""

    @property
    def any(self) -> bool:
        """Whether there are unsaved corrections."""
        return self._scene.points_node is not None and self._fingerprint() not in self._safe

    def update(self) -> None:
        """The points may have changed: tell the page, and keep them on the disk in a moment."""
        self._state.unsaved = self.any
        if self.any and not self._pending:
            self._pending = True
            self._later(KEEP_AFTER_MS, self.keep)

    def settle(self) -> None:
        """The points are in a file, or just as a run has found them."""
        if self._scene.points_node is not None:
            self._safe.add(self._fingerprint())
        self._forget_or_keep()

    def keep(self) -> None:
        """Write unsaved corrections to the disk; delete what lies there where all is saved."""
        self._pending = False
        self._forget_or_keep()

    def give_up(self) -> None:
        """The user does not want the corrections any more, as they are now."""
        self._given_up = self._fingerprint()

    def close(self) -> None:
        """The scan is being closed: corrections that were not given up stay on the disk."""
        self._safe.add(self._given_up)
        self._forget_or_keep()
        self._safe, self._given_up = set(), ()
        self._key = secrets.token_hex(8)
        self._state.unsaved = False

    def _forget_or_keep(self) -> None:
        self._state.unsaved = self.any
        if not self.any:
            self._store.forget(self.session, self._key)
            return
        try:
            labels = readLabels(self._scene.points_node)
        except VertebraLabelingError:  # a level twice for a moment; the page tells
            return
        self._store.keep(self.session, Kept(self._key, self._scene.name, self._scene.origin, labels))

    def _fingerprint(self) -> tuple:
        if self._scene.points_node is None:
            return ()
        points = levelPoints(self._scene.points_node)
        places = (
            (each.point.level, each.point.status, *(round(value, 2) for value in each.point.ras)) for each in points
        )
        return ruleOf(self._scene.points_node), *places
