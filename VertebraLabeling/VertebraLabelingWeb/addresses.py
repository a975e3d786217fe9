"""Under which addresses the page may be opened: those of this computer, and the one that a proxy gives it.

A browser tells in ``Host`` which name it asked for and in ``Origin`` which page sends the request. Another site can
point its own name at this computer (DNS rebinding), so names are compared with what the operator has said. Headers
that a proxy may add (``X-Forwarded-Host`` and its like) are never read: whoever sends the request can write them.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from VertebraLabelingLib.errors import InputError

LOOPBACK = ("localhost", "127.0.0.1", "::1")
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class PublicUrl:
    """Where a proxy shows the page.

    Attributes:
        scheme: ``http`` or ``https``.
        host: in lower case, without a port.
        port: ``None`` where it is the scheme's own.
        path: begins and ends with a slash.
    """

    scheme: str
    host: str
    port: int | None
    path: str

    @classmethod
    def parse(cls, text: str) -> PublicUrl:
        """Read an address such as ``https://reading.example.org/spine/``.

        Raises:
            InputError: it is none.
        """
        try:
            parts = urlsplit(text)
            good = parts.scheme in DEFAULT_PORTS and parts.hostname and parts.username is None
            if not good or parts.query or parts.fragment:
                raise ValueError(text)
            port = None if parts.port == DEFAULT_PORTS[parts.scheme] else parts.port
        except ValueError as error:
            raise InputError(
                f"{text!r} is no address for --public-url: give it as https://HOST/ or https://HOST/PATH/."
            ) from error
        path = f"/{parts.path.strip('/')}/" if parts.path.strip("/") else "/"
        return cls(parts.scheme, parts.hostname, port, path)

    @property
    def netloc(self) -> str:
        """Host and port, as browsers write them."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return shown if self.port is None else f"{shown}:{self.port}"

    @property
    def origin(self) -> str:
        """As browsers send it."""
        return f"{self.scheme}://{self.netloc}"

    def __str__(self) -> str:
        return f"{self.origin}{self.path}"


class Addresses:
    """Decides which requests are meant for this server.

    Args:
        public: the address behind a proxy; ``None`` where there is no proxy.
        any_host: whether other names than those of loopback are served; then a token must be asked for.
    """

    def __init__(self, public: PublicUrl | None = None, any_host: bool = False) -> None:
        self.public, self._any_host = public, any_host

    def allow(self, host: str, origin: str | None) -> bool:
        """Whether a request with these headers comes from the page, or opens it.

        Args:
            host: the ``Host`` header; a proxy may have put this computer's name into it.
            origin: the ``Origin`` header, which proxies leave alone; ``None`` where there is none.
        """
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        if self.public is not None and origin is not None and origin == self.public.origin:
            return name in LOOPBACK or name == self.public.host or self._any_host
        if self.public is not None and name == self.public.host:
            return origin is None
        if name not in LOOPBACK and not self._any_host:
            return False
        return origin is None or _netloc(origin) == host.lower()

    def problem(self, address: str, host: str) -> str:
        """Why a page that was opened under ``address`` cannot work here, in a sentence; empty where it can.

        Args:
            address: what stands in the browser's address line.
            host: the ``Host`` header that came with it.
        """
        try:
            parts = urlsplit(address)
            origin = f"{parts.scheme}://{parts.netloc}".lower()
            folder = parts.path.rpartition("/")[0] + "/"
            url = PublicUrl.parse(f"{origin}{folder}")
        except (ValueError, InputError):
            return ""
        if not self.allow(host, origin):
            return (
                f"A proxy shows this page as {url}, which the program does not know: start it with --public-url {url}."
            )
        if self.public is not None and origin == self.public.origin and folder != self.public.path:
            return f"A proxy shows this page as {url}, not as {self.public}: correct --public-url or the proxy."
        return ""


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
