"""Peak memory of this process above what it held at a moment (Linux; elsewhere nothing is reported)."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


class PeakMemory:
    """Peak resident memory since this object was made, above what was resident then.

    Linux restarts the peak of ``/proc/self/status`` on request. Where it refuses (some containers), the peak includes
    what came before, so the figure is an upper bound.
    """

    def __init__(self) -> None:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        self._before = _kilobytes("VmRSS")

    @property
    def gigabytes(self) -> float | None:
        """GiB above the start; None where the system does not tell."""
        peak = _kilobytes("VmHWM")
        return None if peak is None or self._before is None else round(max(0, peak - self._before) / 2**20, 2)


def _kilobytes(field: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(field + ":")), None)
