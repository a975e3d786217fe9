"""Who holds the page, and until when. There is one MRML scene in a process, so one session at a time may see it.

A session whose connection is gone is away. It is kept, and ends in this order:

1. a short while after its tab was closed, or when it never connected at all;
2. when somebody else asks for the page, unless it has been away for a moment only or has unsaved corrections;
3. when it has been away for as long as the server keeps a session.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

CONNECT_S = 60.0  # a browser that got the page may take as long to load its scripts and connect
REMEMBERED = 50  # sessions whose end can still be explained

LEFT = "You had closed the page."
GAVE_WAY = "The connection was lost, nothing was unsaved, and somebody else opened the page."


@dataclass(frozen=True)
class Stay:
    """How long a session without a connection is kept, in seconds.

    Attributes:
        grace: after its tab was closed; and before anybody else can have the page.
        keep: after its connection was lost.
    """

    grace: float = 20.0
    keep: float = 3600.0


class Occupancy:
    """The one session that holds the page.

    Args:
        on_begin: called with a session that has got the page.
        on_end: called when a session has ended, before another can begin.
        has_unsaved: whether the session has corrections that no file has.
        stay: how long a session may be away.
    """

    def __init__(
        self,
        on_begin: Callable[[str], None],
        on_end: Callable[[], None],
        has_unsaved: Callable[[], bool],
        stay: Stay,
    ) -> None:
        self._on_begin, self._on_end, self._has_unsaved, self.stay = on_begin, on_end, has_unsaved, stay
        self._connections = 0
        self._loading = self._has_connected = self._has_left = False
        self._away_since = self._ends_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._ended: dict[str, str] = {}
        self.holder: str | None = None
        self.visit = 0  # counts how often the page was handed out
        self.shown = 0  # the visit when a connection was last opened

    def claim(self, session: str) -> bool:
        """Take the page for a session, which will connect next; false while another one holds it."""
        if self.holder not in (None, session):
            if not self._gives_way():
                return False
            self._end(GAVE_WAY)
        if self.holder is None:
            self.holder, self._has_connected = session, False
            self._on_begin(session)
        self.visit += 1
        self._loading, self._has_left = True, False
        if self._connections == 0:
            self._wait()
        return True

    def connected(self) -> None:
        """The holder has opened a connection."""
        self._connections += 1
        self.shown = self.visit
        self._loading = self._has_left = False
        self._has_connected = True
        self._stop_waiting()

    def disconnected(self) -> None:
        """The holder has closed a connection."""
        self._connections -= 1
        if self._connections == 0:
            self._wait()

    def leave(self, visit: int) -> None:
        """The tab that got the page at ``visit`` was closed or is being reloaded; older tabs have no say."""
        if visit == self.visit and self.holder is not None:
            self._has_left = True
            if self._connections == 0:
                self._wait()

    def why_ended(self, session: str | None) -> str:
        """A sentence, empty for sessions that this server does not know."""
        return self._ended.get(session or "", "")

    def seconds_left(self) -> float | None:
        """How long a session that is away is kept at most; ``None`` while it is not away."""
        return None if self._timer is None else max(0.0, self._ends_at - time.monotonic())

    @property
    def _patience(self) -> float:
        return max(self.stay.grace, CONNECT_S) if self._loading else self.stay.grace

    def _gives_way(self) -> bool:
        away = self._connections == 0 and time.monotonic() - self._away_since >= self._patience
        return away and not self._has_unsaved()

    def _wait(self) -> None:
        self._stop_waiting()
        short = self._has_left or not self._has_connected
        seconds = self._patience if short else max(self.stay.keep, self._patience)
        self._away_since = time.monotonic()
        self._ends_at = self._away_since + seconds
        why = LEFT if self._has_left else f"The connection was lost for more than {duration(seconds)}."
        self._timer = asyncio.get_running_loop().call_later(seconds, self._end, why)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self, why: str) -> None:
        self._stop_waiting()
        self._ended[self.holder or ""] = why
        for session in list(self._ended)[:-REMEMBERED]:
            del self._ended[session]
        self._on_end()
        self.holder = None


def duration(seconds: float) -> str:
    """``1 hour``, ``45 minutes``, ``20 seconds``: what a person would say."""
    for unit, name in ((3600, "hour"), (60, "minute"), (1, "second")):
        count = round(seconds / unit)
        if seconds >= unit and (name != "hour" or abs(seconds - count * unit) < 60):
            return f"{count} {name}{'s' if count > 1 else ''}"
    return "a second"
