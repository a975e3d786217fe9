"""Logs that carry no patient data: libraries put the values of headers into their warnings and errors."""

from __future__ import annotations

import logging
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


def log_failure(logger: logging.Logger, what: str, error: BaseException) -> None:
    """Log where an unexpected error arose, at level ERROR; what it says goes to level DEBUG only."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s failed. Traceback (most recent call last):\n%s%s", what, frames, type(error).__name__)
    logger.debug("%s failed", what, exc_info=error)


@contextmanager
def words_to_log(logger: logging.Logger, *libraries: str) -> Iterator[None]:
    """Send the warnings of some libraries, and what they log, to a log at level DEBUG inside the block.

    Args:
        libraries: names of their loggers.
    """
    handler = _AtDebug(logger)
    others = [logging.getLogger(name) for name in libraries]
    before = [(other, other.propagate) for other in others]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for other in others:
            other.addHandler(handler)
            other.propagate = False
        try:
            yield
        finally:
            for other, propagate in before:
                other.removeHandler(handler)
                other.propagate = propagate
    for warning in caught:
        logger.debug("%s: %s", warning.category.__name__, warning.message)


class _AtDebug(logging.Handler):
    """Passes records on at level DEBUG."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        self._logger.debug("%s: %s", record.name, record.getMessage())
