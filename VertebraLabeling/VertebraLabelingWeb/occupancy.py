"""Who holds the page. There is one MRML scene in a process, so one browser session at a time may see it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

CONNECT_S = 60.0  # a browser that got the page may take as long to load its scripts and connect


class Occupancy:
    """The one session that holds the page, until it has been gone for a while.

    Args:
        on_end: called when a session has ended, before another can begin.
        grace: seconds that a session may be without a connection, e.g. a lost network.
    """

    def __init__(self, on_end: Callable[[], None], grace: float) -> None:
        self._on_end, self._grace = on_end, grace
        self._connections, self._loading = 0, False
        self._timer: asyncio.TimerHandle | None = None
        self.holder: str | None = None

    def claim(self, session: str) -> bool:
        """Take the page for a session, which will connect next; false while another one holds it."""
        if self.holder not in (None, session):
            return False
        self.holder, self._loading = session, True
        if self._connections == 0:
            self._wait()
        return True

    def connected(self) -> None:
        """The holder has opened a connection."""
        self._connections += 1
        self._loading = False
        self._stop_waiting()

    def disconnected(self) -> None:
        """The holder has closed a connection."""
        self._connections -= 1
        if self._connections == 0:
            self._wait()

    def _wait(self) -> None:
        self._stop_waiting()
        seconds = max(self._grace, CONNECT_S) if self._loading else self._grace
        self._timer = asyncio.get_running_loop().call_later(seconds, self._end)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        self._timer = None
        self._on_end()
        self.holder = None
