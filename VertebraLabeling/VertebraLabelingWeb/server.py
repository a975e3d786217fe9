"""Serves the page: one process, one scene, one session at a time."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import secrets
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trame.app import get_server
from trame.ui.html import DivLayout
from VertebraLabelingLib.background import labeling_process
from VertebraLabelingLib.batch.inputs import ScanJob
from VertebraLabelingLib.errors import VertebraLabelingError
from vtkmodules.vtkCommonCore import vtkObject

from .addresses import LOOPBACK, Addresses, PublicUrl
from .gate import Gate, session_cookie
from .kept_points import KeptPoints, default_folder
from .occupancy import Occupancy, Stay
from .page import Page
from .session_folder import remove_leftovers
from .session_routes import SessionRoutes
from .transfers import Transfers

STATIC = Path(__file__).with_name("static")
STATIC_URL = "vertebra_labeling"
POLL_S = 5.0
ENDED = '<div class="ended">The connection to this page has ended.</div>'  # connection.js says more, over it

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How to serve.

    Attributes:
        host, port: where to listen; port 0 takes a free one.
        upload_limit: bytes of one upload.
        public_url: where a proxy shows the page, as :meth:`addresses.PublicUrl.parse` takes it; empty without one.
        stay: how long a session without a connection is kept.
        poll: seconds between two looks of the browser at its connection.
        state_folder: where unsaved corrections are kept; ``None`` for the user's own.
        labeler: what labels in its own process; see :mod:`VertebraLabelingLib.background.labeling_process`.
        arguments: of the labeler, e.g. ``device``.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    upload_limit: int = 2 * 10**9
    public_url: str = ""
    stay: Stay = field(default_factory=Stay)
    poll: float = POLL_S
    state_folder: Path | None = None
    labeler: str = labeling_process.NETWORK
    arguments: dict[str, object] | None = None


def serve(jobs: Sequence[ScanJob], options: Options, prepare: Callable[[object, Page], None] | None = None) -> None:
    """Serve the page until the program is interrupted.

    Args:
        jobs: scans that the page offers; a single one is opened at once.
        options: how to serve.
        prepare: called with the trame server and the page before the start; for tests.

    Raises:
        VertebraLabelingError: the port or the public address cannot be used.
    """
    public = PublicUrl.parse(options.public_url) if options.public_url else None
    addresses = Addresses(public, any_host=options.host not in LOOPBACK and public is None)
    check_port(options)
    check_rendering()
    remove_leftovers()
    if not log.isEnabledFor(logging.DEBUG):
        vtkObject.GlobalWarningDisplayOff()  # of what VTK and trame-slicer say to their developers
    os.environ["TRAME_ARGS"] = ""  # trame would read our command line
    os.environ["WSLINK_READY_MSG"] = ""
    server = get_server("vertebra-labeling", client_type="vue3")
    store = KeptPoints(options.state_folder or default_folder())
    store.prune()
    page = Page(server, store, jobs, options.labeler, options.arguments, options.upload_limit)
    build_layout(server)
    token = None if options.host in LOOPBACK and public is None else secrets.token_urlsafe(16)
    server.controller.on_server_bind.add(lambda web_server: _bind(web_server, page, options, addresses, token))
    server.controller.on_server_ready.add(lambda **_: _announce(options.host, server.port, addresses, token))
    if prepare:
        prepare(server, page)
    try:
        server.start(host=options.host, port=options.port, timeout=0, open_browser=False, show_connection_info=False)
    finally:
        page.unsaved.keep()
        page.folder.remove()


def build_layout(server) -> None:
    """The page's template, style and script, all from this package."""
    server.enable_module(
        {
            "serve": {STATIC_URL: str(STATIC)},
            "scripts": [f"{STATIC_URL}/{name}.js" for name in ("page", "pictures", "report")],
        }
    )
    server.state.trame__title = "Vertebra Labeling"
    server.state.trame__favicon = f"{STATIC_URL}/icon.png"
    server.state.trame__template_error = ENDED
    with DivLayout(server) as layout:
        layout.root.add_child((STATIC / "page.html").read_text(encoding="utf-8"))


def check_port(options: Options) -> None:
    """Raise VertebraLabelingError where the address cannot be listened on."""
    try:
        family, kind, *_, address = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise VertebraLabelingError(
            f"{options.host}:{options.port} cannot be listened on ({reason}): choose another --port or --host."
        ) from error


def check_rendering() -> None:
    """Raise VertebraLabelingError where the system libraries are missing without which VTK crashes on Linux."""
    if not sys.platform.startswith("linux"):
        return
    needed = (("libX11.so.6",), ("libEGL.so.1", "libOSMesa.so.8", "libGL.so.1"))
    if not all(any(_loads(name) for name in names) for names in needed):
        raise VertebraLabelingError(
            "The libraries for rendering are missing: on Debian or Ubuntu, apt-get install libgl1 libegl1 libx11-6."
        )


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _bind(web_server, page: Page, options: Options, addresses: Addresses, token: str | None) -> None:
    """Put the gate before everything that is served, and add the ways of files and of the session."""

    async def close_sockets() -> None:
        for handler in web_server._ws_handlers:
            for client, each in list(handler.connections.items()):
                handler.authentified_client_ids.discard(client)  # it gets no more: all sends share a lock
                asyncio.get_running_loop().create_task(each.close(code=4001, message=b"opened elsewhere"))

    occupancy = Occupancy(page.begin_session, page.end, lambda: page.unsaved.any, options.stay)
    gate = Gate(occupancy, page.store, addresses, options.port, token, close_sockets)
    client = Path(web_server.config["static"]["/"])
    cookie = session_cookie(addresses, options.port)
    session = SessionRoutes(occupancy, page.store, addresses, cookie, client, STATIC_URL, options.poll)
    web_server.app.middlewares.append(gate.handle)
    web_server.app.router.add_routes([*session.routes(), *Transfers(page, options.upload_limit).routes()])


def _announce(host: str, port: int, addresses: Addresses, token: str | None) -> None:
    shown = f"[{host}]" if ":" in host else host
    if token is None:
        print(f"Vertebra Labeling: open http://{shown}:{port}/ in a browser. Ctrl+C ends it.", flush=True)
        return
    if host not in LOOPBACK:
        print(
            f"Warning: {host} can be reached from other computers, and the connection is not encrypted. Whoever has "
            "the link below can see the scan. Safer: leave out --host and use an SSH tunnel.",
            file=sys.stderr,
            flush=True,
        )
    if host in ("0.0.0.0", "::"):
        shown = socket.gethostname()
    url = addresses.public or f"http://{shown}:{port}/"
    print(f"Vertebra Labeling: open {url}?token={token} in a browser. Ctrl+C ends it.", flush=True)
