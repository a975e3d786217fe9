"""Stands before every request: who may see the page, and who must wait.

* Only the session that holds the page (:mod:`occupancy`) gets anything; the cookie that names it is readable by no
  script, and other sites can send it with nothing but a plain visit.
* A request must name this computer (else another site could reach a loopback server through its own DNS name) and come
  from the page itself (else any site that is open in the browser could open the WebSocket).
* Bound to more than loopback, the page is handed out only with the token that the program printed.
* The browser is told to load from, and send to, this server only.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from .notices import notice
from .occupancy import Occupancy

LOOPBACK = ("localhost", "127.0.0.1", "::1")
PAGES = ("/", "/index.html")
SOCKET = "/ws"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gate:
    """An aiohttp middleware.

    Args:
        occupancy: who holds the page.
        port: of the server; cookies are shared by all ports of a computer, so it is in their names.
        token: what a browser must show to get in; ``None`` on loopback, where only host names of loopback are served.
        close_sockets: closes the open WebSockets; the newest tab of a session wins.
    """

    def __init__(
        self, occupancy: Occupancy, port: int, token: str | None, close_sockets: Callable[[], Awaitable[None]]
    ) -> None:
        self._occupancy, self._token, self._close_sockets = occupancy, token, close_sockets
        self._session_cookie, self._token_cookie = f"vertebra_session_{port}", f"vertebra_token_{port}"

    @web.middleware
    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through, or answer it with a notice."""
        if not self._is_ours(request):
            return notice(403, "This address is not served.", "Open the address that the program printed.")
        if not self._may_enter(request):
            return notice(403, "This page needs its link.", "Open the whole link, with its token, that was printed.")
        if request.path in PAGES:
            return await self._page(request, handler)
        session = request.cookies.get(self._session_cookie)
        if session is None or session != self._occupancy.holder:
            return notice(409, "Your session has ended.", "Reload the page to begin a new one.")
        if request.path == SOCKET:
            return await self._socket(request, handler)
        return await handler(request)

    async def _page(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        session = request.cookies.get(self._session_cookie)
        if session is None or session != self._occupancy.holder:
            session = secrets.token_urlsafe(24)
        if not self._occupancy.claim(session):
            return notice(
                503,
                "This page is in use.",
                "One person at a time can label here, and nobody sees another's scan. The page opens here by itself "
                "as soon as it is free. Or start a second one: vertebra-labeling serve --port NUMBER",
                retry=True,
            )
        if request.path != "/index.html" or "token" in request.query:
            response: web.StreamResponse = web.Response(status=303, headers={"Location": "/index.html"})
        else:
            response = await handler(request)
        self._keep(response, self._session_cookie, session)
        if self._token:
            self._keep(response, self._token_cookie, self._token)
        response.headers["Content-Security-Policy"] = (
            "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
            f"connect-src 'self' ws://{request.host} wss://{request.host}; frame-ancestors 'none'; form-action 'self'"
        )
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    async def _socket(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        await self._close_sockets()
        self._occupancy.connected()
        try:
            return await handler(request)
        finally:
            self._occupancy.disconnected()

    def _is_ours(self, request: web.Request) -> bool:
        try:
            host, origin = urlsplit(f"//{request.host}"), request.headers.get("Origin")
            same_origin = origin is None or urlsplit(origin).netloc == host.netloc
        except ValueError:
            return False
        return same_origin and (self._token is not None or host.hostname in LOOPBACK)

    def _may_enter(self, request: web.Request) -> bool:
        if self._token is None:
            return True
        shown = request.cookies.get(self._token_cookie, ""), request.query.get("token", "")
        return any(secrets.compare_digest(each.encode(), self._token.encode()) for each in shown)

    @staticmethod
    def _keep(response: web.StreamResponse, name: str, value: str) -> None:
        response.set_cookie(name, value, httponly=True, samesite="Lax", path="/")
