"""How a run tells where it is, and how it is cancelled."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..errors import Cancelled

LOOKS = 8  # at a scan that lies in another pose, on average

Progress = Callable[[float, str], None]


class Reporter:
    """Passes progress on and turns a cancelled run into an exception."""

    def __init__(self, progress: Progress | None, cancelled: Callable[[], bool] | None) -> None:
        self.progress, self.cancelled = progress, cancelled

    def __call__(self, fraction: float, message: str) -> None:
        """Report ``message`` at ``fraction`` of the run.

        Raises:
            Cancelled: the user has cancelled.
        """
        if self.cancelled and self.cancelled():
            raise Cancelled("Labeling was canceled.")
        if self.progress:
            self.progress(fraction, message)


def ever_shorter(first: float, last: float) -> Iterator[tuple[float, float]]:
    """Spans of the progress for a number of steps that nobody knows beforehand."""
    while True:
        following = first + (last - first) / LOOKS
        yield first, following
        first = following
