"""A network between browser and server that can fail as networks do: cut, or silent."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress

LOOPBACK = "127.0.0.1"
FEW_BYTES = 2**14  # that the network itself holds
MANY_BYTES = 2**24  # more than the system keeps for a reader who does not come


class Cable:
    """Passes bytes on between a port of its own and that of a server.

    Args:
        port: of the server.
    """

    def __init__(self, port: int) -> None:
        self._server, self._state, self._end = port, "good", False
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._forgotten: list[socket.socket] = []
        self._selector, self._lock = selectors.DefaultSelector(), threading.Lock()
        self._listener = socket.create_server((LOOPBACK, 0))
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._listener.getsockname()[1]}"

    def cut(self) -> None:
        """Both ends see at once that the connection is gone, and no new one is made."""
        with self._lock:
            self._state = "cut"
            self._drop()

    def silence(self) -> None:
        """Nothing comes through any more, and neither end is told: a computer sleeps, or is out of reach."""
        with self._lock:
            self._state = "silent"

    def choke(self) -> None:
        """Nothing of the server's comes through any more, and neither end is told."""
        with self._lock:
            self._state = "choked"

    def mend(self) -> None:
        """New connections are made again; of the old ones nothing is known any more at the browser's end."""
        with self._lock:
            for near in filter(self._is_near, list(self._pairs)):
                self._forget(self._pairs[near])  # the server's end stays open, was never told, and nobody reads there
                self._close(near)
            self._state = "good"

    def stop(self) -> None:
        self._end = True
        self._thread.join(5)
        self._drop()
        self._listener.close()

    def _run(self) -> None:
        while not self._end:
            for key, _ in self._selector.select(0.1):
                with self._lock, suppress(OSError):
                    if key.fileobj is self._listener:
                        self._connect()
                    elif key.fileobj in self._pairs and self._passes(key.fileobj):
                        self._pass_on(key.fileobj)
            if self._state in ("silent", "choked"):
                threading.Event().wait(0.05)  # what waits to be read stays readable

    def _is_near(self, end: socket.socket) -> bool:
        """Whether this is the browser's end of a connection."""
        return end.getsockname()[1] == self._listener.getsockname()[1]

    def _passes(self, source: socket.socket) -> bool:
        return self._state == "good" or (self._state == "choked" and self._is_near(source))

    def _connect(self) -> None:
        near, _ = self._listener.accept()
        if self._state == "cut":
            near.close()
            return
        far = socket.socket()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FEW_BYTES)
        far.connect((LOOPBACK, self._server))
        for one, other in ((near, far), (far, near)):
            self._pairs[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, source: socket.socket) -> None:
        target = self._pairs[source]
        try:
            data = source.recv(2**16)
            if data and target.fileno() >= 0:
                target.sendall(data)
                return
        except OSError:
            pass
        self._close(source)
        self._close(target)

    def _close(self, end: socket.socket) -> None:
        if self._pairs.pop(end, None) is not None:
            self._selector.unregister(end)
        end.close()

    def _forget(self, end: socket.socket) -> None:
        if self._pairs.pop(end, None) is not None:
            self._selector.unregister(end)
            self._forgotten.append(end)

    def _drop(self) -> None:
        for end in list(self._pairs):
            self._close(end)
        for end in self._forgotten:
            end.close()
