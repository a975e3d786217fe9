"""Keep what C++ libraries print (ITK, GDCM, MetaIO) off the user's terminal: it goes to the log instead."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

_STDERR = 2
_one_at_a_time = threading.RLock()


@contextmanager
def native_output_to_log() -> Iterator[None]:
    """Send what is written to file descriptor 2 inside the block to the log at level DEBUG.

    The libraries write there without asking Python, so the descriptor itself is replaced. Where it cannot be (no
    console, as in Slicer on Windows) the block simply runs.
    """
    with _one_at_a_time:
        try:
            sys.stderr.flush()
            saved = os.dup(_STDERR)
        except (OSError, AttributeError, ValueError):
            yield
            return
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), _STDERR)
            try:
                yield
            finally:
                sys.stderr.flush()
                os.dup2(saved, _STDERR)
                os.close(saved)
                sink.seek(0)
                text = sink.read(100_000).decode("utf-8", "replace").strip()
        if text:
            logger.debug("native library output: %s", text)
