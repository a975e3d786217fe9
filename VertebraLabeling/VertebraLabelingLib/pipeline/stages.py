"""The stages of a run as users see them: where each begins on the progress bar, and how a run is cancelled."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import Cancelled

Progress = Callable[[float, str], None]

# where each stage begins, of the progress 0..1; as long as they take for a large CT
LOADING, RESAMPLING, FINDING, LOOKING_AGAIN = 0.02, 0.05, 0.15, 0.5
REFINING, COUNTING, PLACING, NAMING = 0.55, 0.6, 0.75, 0.95


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
            raise Cancelled("Labeling was cancelled.")
        if self.progress:
            self.progress(fraction, message)
