"""What the browser asks and tells about its session beside the WebSocket; ``static/connection.js`` does."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web

from .addresses import Addresses
from .index_page import INDEX, index_page
from .kept_points import KeptPoints
from .occupancy import Occupancy, duration

SESSION, LEAVE = "/session", "/leave"
UNKNOWN = "Your session has ended."
RESTARTED = "The program that serves this page was started anew."
NOTHING_KEPT = "Nothing was unsaved."


class SessionRoutes:
    """HTTP handlers of the session.

    Args:
        occupancy: who holds the page.
        store: what is kept of ended sessions.
        addresses: what may be asked for.
        cookie: name of the session's cookie.
        client: folder of trame's client.
        static_url: where our scripts are served.
        poll: seconds between two looks at the connection.
    """

    def __init__(
        self,
        occupancy: Occupancy,
        store: KeptPoints,
        addresses: Addresses,
        cookie: str,
        client: Path,
        static_url: str,
        poll: float,
    ) -> None:
        self._occupancy, self._store, self._addresses, self._cookie = occupancy, store, addresses, cookie
        self._client, self._static_url, self._poll = client, static_url, poll
        self._server = secrets.token_hex(8)

    def routes(self) -> list[web.AbstractRouteDef]:
        """For aiohttp's router."""
        return [
            web.get(f"/{INDEX}", self._index),
            web.get(SESSION, self._session),
            web.post(LEAVE, self._leave),
        ]

    async def _index(self, request: web.Request) -> web.Response:
        settings = {
            "server": self._server,
            "visit": self._occupancy.visit,
            "poll": round(1000 * self._poll),
            "keep": duration(self._occupancy.stay.keep),
        }
        text = index_page(self._client, self._static_url, settings)
        return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})

    async def _session(self, request: web.Request) -> web.Response:
        """``{"state": "open"}``, ``"elsewhere"``, where a newer tab has the page, or ``{"state": "ended", "text":
        sentences}``, and what is wrong with the address.

        The query says what the browser knows: ``server``, which it got the page from, ``visit``, when, and ``at``, its
        address.
        """
        session, asked = request.cookies.get(self._cookie), request.query
        answer = {"state": "open", "address": self._addresses.problem(asked.get("at", ""), request.host)}
        if session is None or session != self._occupancy.holder:
            why = RESTARTED if asked.get("server") != self._server else UNKNOWN
            why = self._occupancy.why_ended(session) or why
            answer |= {"state": "ended", "text": f"{why} {self._kept(session)}"}
        elif (visit := _visit_of(asked)) is not None and visit < self._occupancy.shown:
            answer["state"] = "elsewhere"
        return web.json_response(answer, headers={"Cache-Control": "no-store"})

    async def _leave(self, request: web.Request) -> web.Response:
        visit = _visit_of(request.query)
        if visit is not None and request.cookies.get(self._cookie) == self._occupancy.holder:
            self._occupancy.leave(visit)
        return web.Response(status=204)

    def _kept(self, session: str | None) -> str:
        kept = self._store.of(session)
        if not kept:
            return NOTHING_KEPT
        until = time.strftime("%Y-%m-%d %H:%M", time.localtime(kept[0].time + self._store.seconds))
        return f"The unsaved corrections of '{kept[0].scan}' are kept until {until}: go on, and they are offered."


def _visit_of(asked: Mapping[str, str]) -> int | None:
    """The ``visit`` of a query; ``None`` where there is none."""
    visit = asked.get("visit", "")
    return int(visit) if visit.isdecimal() and len(visit) < 16 else None
