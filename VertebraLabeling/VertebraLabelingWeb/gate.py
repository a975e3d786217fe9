"""Stands before every request: who may see the page, and who must wait.

* Only the session that holds the page (:mod:`occupancy`) gets anything; the cookie that names it is readable by no
  script, and other sites can send it with nothing but a plain visit.
* A request must name this computer, or the address that the operator has named, and come from the page itself
  (:mod:`addresses`): else another site could reach a loopback server, or open the WebSocket, from the user's browser.
* Where other computers reach the page, it is handed out only with the token that the program printed.
* The browser is told to load from, and send to, this server only.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable
from zlib import crc32

from aiohttp import web

from .addresses import Addresses
from .index_page import INDEX
from .kept_points import KEPT_S, KeptPoints
from .notices import notice
from .occupancy import Occupancy, duration
from .session_routes import LEAVE, SESSION

PAGES = ("/", f"/{INDEX}")
SOCKET = "/ws"
GOODBYE_S = 1.0  # for a socket that is closed to hear so
NO_PAGE = (
    "A proxy that shows the page below a path must take that path off before it passes a request on. With nginx, "
    "proxy_pass ends with a slash: location /spine/ { proxy_pass http://127.0.0.1:8080/; }"
)
NEW_LINK = "The program that serves this page was started anew: open the new link that it has printed."

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def cookie_suffix(addresses: Addresses, port: int) -> str:
    """Of the names of cookies: all ports of a computer share them, and so may all paths of a proxy."""
    return f"{port}_{crc32(str(addresses.public).encode()):x}" if addresses.public else str(port)


def session_cookie(addresses: Addresses, port: int) -> str:
    """Name of the cookie that names the session."""
    return f"vertebra_session_{cookie_suffix(addresses, port)}"


class Gate:
    """An aiohttp middleware.

    Args:
        occupancy: who holds the page.
        store: what is kept of a browser's last session becomes that of its next one.
        addresses: what may be asked for.
        port: of the server.
        token: what a browser must show to get in; ``None`` on loopback without a proxy.
        close_sockets: closes the open WebSockets; the newest tab of a session wins.
    """

    def __init__(
        self,
        occupancy: Occupancy,
        store: KeptPoints,
        addresses: Addresses,
        port: int,
        token: str | None,
        close_sockets: Callable[[], Awaitable[None]],
    ) -> None:
        self._occupancy, self._store, self._addresses = occupancy, store, addresses
        self._token, self._close_sockets = token, close_sockets
        self._transports: set[asyncio.Transport] = set()
        self._session_cookie = session_cookie(addresses, port)
        self._token_cookie = f"vertebra_token_{cookie_suffix(addresses, port)}"

    @web.middleware
    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through, or answer it with a notice."""
        if not self._addresses.allow(request.host, request.headers.get("Origin")):
            return notice(403, "This address is not served.", self._what_is_served())
        if not self._may_enter(request):
            if request.path == SESSION:
                return web.json_response({"state": "ended", "text": NEW_LINK})
            return notice(403, "This page needs its link.", "Open the whole link, with its token, that was printed.")
        if request.path in PAGES:
            return await self._page(request, handler)
        if request.path in (SESSION, LEAVE):
            return await handler(request)
        session = request.cookies.get(self._session_cookie)
        if request.path.endswith(("/", f"/{INDEX}")) and request.method == "GET":
            return notice(404, "There is no page at this address.", NO_PAGE)
        if session is None or session != self._occupancy.holder:
            return notice(409, "Your session has ended.", "Reload the page to begin a new one.")
        if request.path == SOCKET:
            return await self._socket(request, handler)
        return await handler(request)

    async def _page(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        former = request.cookies.get(self._session_cookie)
        session = former
        if session is None or session != self._occupancy.holder:
            session = secrets.token_urlsafe(24)
        if not self._occupancy.claim(session):
            return notice(503, "This page is in use.", self._in_use(), retry=True)
        if session != former:
            self._store.hand_over(former, session)
        if request.path != f"/{INDEX}" or "token" in request.query:
            response: web.StreamResponse = web.Response(status=303, headers={"Location": INDEX})
        else:
            response = await handler(request)
        self._keep(response, self._session_cookie, session)
        if self._token:
            self._keep(response, self._token_cookie, self._token)
        hosts = {request.host, *([self._addresses.public.netloc] if self._addresses.public else [])}
        sockets = " ".join(f"ws://{host} wss://{host}" for host in sorted(hosts))
        response.headers["Content-Security-Policy"] = (
            "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
            f"connect-src 'self' {sockets}; frame-ancestors 'none'; form-action 'self'"
        )
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    async def _socket(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return await handler(request)
        loop, former, own = asyncio.get_running_loop(), set(self._transports), {request.transport} - {None}
        self._transports |= own
        await self._close_sockets()
        loop.call_later(GOODBYE_S, _abort, former)
        self._occupancy.connected()
        watch = loop.create_task(_abort_when_closing(own))
        try:
            return await handler(request)
        finally:
            watch.cancel()
            self._transports -= own
            loop.call_later(GOODBYE_S, _abort, own)
            self._occupancy.disconnected()

    def _may_enter(self, request: web.Request) -> bool:
        if self._token is None:
            return True
        shown = request.cookies.get(self._token_cookie, ""), request.query.get("token", "")
        return any(secrets.compare_digest(each.encode(), self._token.encode()) for each in shown)

    def _what_is_served(self) -> str:
        if self._addresses.public is not None:
            return f"Open {self._addresses.public}: this is the address that --public-url names."
        return (
            "Open the address that the program printed. Where a proxy shows the page, start the program with the "
            "address that stands in the browser: --public-url https://HOST/"
        )

    def _in_use(self) -> str:
        left = self._occupancy.seconds_left()
        away = f" The session before has lost its connection and is kept for {duration(left)} at most." if left else ""
        return (
            f"One person at a time can label here, and nobody sees another's scan.{away} The page opens here by itself "
            "as soon as it is free. Or start a second one: vertebra-labeling serve --port NUMBER"
        )

    def _keep(self, response: web.StreamResponse, name: str, value: str) -> None:
        public = self._addresses.public
        response.set_cookie(
            name,
            value,
            max_age=round(KEPT_S),
            httponly=True,
            samesite="Lax",
            secure=public is not None and public.scheme == "https",
            path="/",
        )


def _abort(transports: Iterable[asyncio.Transport]) -> None:
    """Give up what is still on its way. Of a network that went without a word nothing is ever taken, and all that is
    sent, also to the socket that is open now, would wait for it."""
    for each in transports:
        each.abort()


async def _abort_when_closing(transports: Iterable[asyncio.Transport]) -> None:
    """Nor does the heartbeat end a connection with bytes on their way: the session would go on, and hold the page."""
    while not any(each.is_closing() for each in transports):
        await asyncio.sleep(GOODBYE_S)
    await asyncio.sleep(GOODBYE_S)
    _abort(transports)
