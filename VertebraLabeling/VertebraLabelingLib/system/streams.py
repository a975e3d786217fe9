"""Standard streams that stop nothing: of any encoding, and also when whoever reads them has gone."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

_OURS = "VertebraLabeling"  # what the names of our loggers begin with


@contextmanager
def any_stream() -> Iterator[None]:
    """Inside the block a line that the streams cannot take stops nothing.

    Characters that an encoding lacks (cp1252 on Windows, ASCII under cron) are written as escapes. A stream that is
    closed, whose reader has gone (``| head``) or whose disk is full takes no more lines; the work goes on.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_Patient(stream) for stream in before)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before


def configure_logging(debug: bool) -> None:
    """Logs of this process to stderr: with ``debug`` everything, else only our own warnings.

    What libraries warn of may hold values of headers, such as the name of a patient, so it is told with ``debug`` only.
    """
    logging.captureWarnings(True)
    handler = logging.StreamHandler()
    if debug:
        warnings.simplefilter("default")
    else:
        handler.addFilter(lambda record: record.name.startswith(_OURS))
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s" if debug else "%(message)s",
        handlers=[handler],
    )


class _Patient:
    """Passes text on to a stream as long as that takes it."""

    def __init__(self, stream) -> None:
        self._stream, self._open = stream, stream is not None
        with suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="backslashreplace")

    def __getattr__(self, name: str):
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or do nothing where that fails for good."""
        self._try(self._write, text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """As :meth:`write`."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """As :meth:`write`."""
        self._try(lambda: self._stream.flush())

    def isatty(self) -> bool:
        """Whether a person may be looking."""
        try:
            return self._open and self._stream.isatty()
        except ValueError:
            return False

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except UnicodeError:  # a stream that could not be reconfigured
            self._stream.write(text.encode("ascii", "backslashreplace").decode())

    def _try(self, action: Callable[..., None], *arguments: str) -> None:
        if self._open:
            try:
                action(*arguments)
            except (OSError, ValueError):
                self._open = False
                self._drain()

    def _drain(self) -> None:
        """Let what is left in the stream go to nowhere, or Python would complain of it at its end."""
        with suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            self._stream.flush()
