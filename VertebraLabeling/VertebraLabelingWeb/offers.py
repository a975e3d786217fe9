"""Offers corrections that were not saved when their session ended: to be put back on their scan, saved or deleted."""

from __future__ import annotations

import time
from collections.abc import Callable

from VertebraLabelingLib.errors import InputError
from VertebraLabelingMRML import display, found_in, slice_views
from VertebraLabelingMRML.points import createPointsNode, writeLabels

from .kept_points import Kept, KeptPoints
from .questions import Answer, Questions
from .scene import Scene

ABOUT = "kept"


class Offers:
    """Asks what is to become of kept corrections.

    Args:
        scene: where a scan may be open.
        store: what is kept.
        questions: asks.
        open_again: opens the scan of an origin; false where that cannot be done without the user.
        on_put_back: called with the points node.
    """

    def __init__(
        self,
        scene: Scene,
        store: KeptPoints,
        questions: Questions,
        open_again: Callable[[str, bool], bool],
        on_put_back: Callable[[object], None],
    ) -> None:
        self._scene, self._store, self._questions = scene, store, questions
        self._open_again, self._on_put_back = open_again, on_put_back
        self._put_off: set[str] = set()
        self.session = ""

    def begin(self, session: str) -> None:
        """A session has begun."""
        self.session = session
        self._put_off.clear()

    def find(self, key: str) -> Kept | None:
        """What is kept of this session under a key."""
        return next((kept for kept in self._store.of(self.session) if kept.key == key), None)

    def ask(self) -> None:
        """Offer the newest corrections that fit the open scan, or without a scan the newest; each once.

        While a scan has points already, nothing is offered: it would take their place.
        """
        if self._questions.about or self._scene.points_node is not None:
            return
        waiting = [kept for kept in self._store.of(self.session) if kept.key not in self._put_off]
        fitting = [kept for kept in waiting if self._fits(kept)]
        if not waiting:
            return
        kept = (fitting or waiting)[0]
        what = f"Corrections of '{kept.scan}' were not saved ({_clock(kept.time)}); they are kept until "
        what += _clock(kept.time + self._store.seconds)
        if fitting:
            text, first = f"{what}.", (Answer("Put them back", lambda: self._put_back(kept)),)
        elif kept.origin and kept.origin == self._scene.origin:
            text, first = f"{what}, but '{kept.scan}' is another image now: save them as a file to compare.", ()
        elif self._open_again(kept.origin, False):
            text, first = f"{what}.", (Answer("Open the scan again", lambda: self._open_again(kept.origin, True)),)
        else:
            text, first = f"{what}: open that scan again and they can be put back on it, or save them as a file.", ()
        self._questions.ask(
            ABOUT,
            text,
            *first,
            Answer("Save .mrk.json", href=f"kept/{kept.key}.mrk.json"),
            Answer("Delete them", lambda: self._store.forget(self.session, kept.key)),
            Answer("Later", lambda: self._put_off.add(kept.key)),
        )

    def _fits(self, kept: Kept) -> bool:
        """Whether the open scan is the very image, at the very place, that the points were found in."""
        memory = found_in.recall(kept.labels.provenance)
        if memory is None or self._scene.volume_node is None:
            return False
        try:
            state = found_in.stateOf(self._scene.volume_node)
        except InputError:
            return False
        moved, changed = found_in.rigidMotion(self._scene.name, memory.state, state)
        return moved is None and not changed

    def _put_back(self, kept: Kept) -> None:
        """Raise InputError where the scan was closed or labeled meanwhile."""
        if not self._fits(kept) or self._scene.points_node is not None:
            raise InputError(
                f"'{kept.scan}' was closed or labeled meanwhile: open it again to put its corrections back."
            )
        node = createPointsNode(self._scene.volume_node)
        writeLabels(node, kept.labels, self._scene.volume_node)
        display.style(node)
        slice_views.arrange(node)
        self._on_put_back(node)
        self._store.forget(self.session, kept.key)


def _clock(seconds: float) -> str:
    """Hour and minute of this server, with the day where it is not today."""
    then = time.localtime(seconds)
    today = time.strftime("%Y-%m-%d", then) == time.strftime("%Y-%m-%d")
    return time.strftime("%H:%M" if today else "%Y-%m-%d %H:%M", then)
