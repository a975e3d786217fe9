"""What a batch tells while it runs: a bar and a line per scan for people, or JSON lines for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import IO, Protocol

from ..errors import printable
from .jobs import Inputs, Skip
from .scan_job import DONE, FAILED, PRESENT, SKIPPED, ScanResult

_BAR = 24
_SECONDS_BETWEEN_DRAWINGS = 0.1


class Reporter(Protocol):
    """Told by :mod:`label_batch` what happens."""

    def start(self, inputs: Inputs) -> None:
        """The inputs are known."""

    def progress(self, name: str, fraction: float, message: str) -> None:
        """A scan that runs in this process has come to ``fraction`` (0..1)."""

    def finished(self, result: ScanResult) -> None:
        """One scan is done, present, skipped or failed."""

    def end(self, results: Sequence[ScanResult]) -> None:
        """All scans are through."""


def counts(results: Sequence[ScanResult], skipped: Sequence[Skip]) -> dict[str, int]:
    """How many inputs ended in which way; the same numbers everywhere."""
    told = {status: sum(result.status == status for result in results) for status in (DONE, PRESENT, SKIPPED, FAILED)}
    return {**told, SKIPPED: told[SKIPPED] + len(skipped)}


class Quiet:
    """Says nothing but errors, one sentence each on stderr."""

    def start(self, inputs: Inputs) -> None:
        """See :class:`Reporter`."""

    def progress(self, name: str, fraction: float, message: str) -> None:
        """See :class:`Reporter`."""

    def finished(self, result: ScanResult) -> None:
        """See :class:`Reporter`."""
        if result.status == FAILED:
            print(error_line(result), file=sys.stderr, flush=True)

    def end(self, results: Sequence[ScanResult]) -> None:
        """See :class:`Reporter`."""


class Terminal(Quiet):
    """A bar for the whole batch on stderr (only where that is a terminal) and a line per scan on stdout."""

    def __init__(self) -> None:
        self._total = self._count = self._worked = 0
        self._skipped: Sequence[Skip] = ()
        self._started = self._drawn = 0.0
        self._bar = sys.stderr.isatty()
        if self._bar:
            print("finding scans...", end="", file=sys.stderr, flush=True)

    def start(self, inputs: Inputs) -> None:
        """See :class:`Reporter`."""
        self._total, self._started, self._skipped = len(inputs.jobs), time.monotonic(), inputs.skipped
        self._erase()
        for skip in inputs.skipped:
            print(printable(f"skipped: {skip.path} ({skip.reason})"))

    def progress(self, name: str, fraction: float, message: str) -> None:
        """See :class:`Reporter`."""
        if time.monotonic() - self._drawn > _SECONDS_BETWEEN_DRAWINGS:
            self._draw(fraction, f"{name}: {message}")

    def finished(self, result: ScanResult) -> None:
        """See :class:`Reporter`."""
        self._erase()
        super().finished(result)
        if result.status != FAILED and self._total > 1:
            print(result_line(result), flush=True)
        self._count += 1
        self._worked += result.status in (DONE, FAILED)
        self._draw(0.0, "")

    def end(self, results: Sequence[ScanResult]) -> None:
        """See :class:`Reporter`."""
        self._erase()
        numbers = counts(results, self._skipped)
        if sum(numbers.values()) > 1:
            words = {DONE: "labeled", PRESENT: "already there", SKIPPED: "skipped", FAILED: "failed"}
            told = ", ".join(f"{count} {words[status]}" for status, count in numbers.items() if count)
            print(f"{sum(numbers.values())} inputs in {duration(time.monotonic() - self._started)}: {told}")

    def _draw(self, fraction: float, message: str) -> None:
        if not self._bar or self._count >= self._total:
            return
        share = min(1.0, (self._count + fraction) / max(1, self._total))
        filled = "#" * round(_BAR * share)
        left = self._time_left(fraction)
        line = f"[{filled:-<{_BAR}}] {self._count}/{self._total} {left} {message}"
        print(f"\r\x1b[K{line[:110]}", end="", file=sys.stderr, flush=True)
        self._drawn = time.monotonic()

    def _time_left(self, fraction: float) -> str:
        """From the scans that took work; those that were there already say nothing about speed."""
        worked = self._worked + fraction
        if worked < 0.2:
            return ""
        each = (time.monotonic() - self._started) / worked
        return f"about {duration(each * (self._total - self._count - fraction))} left"

    def _erase(self) -> None:
        if self._bar:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class JsonLines:
    """One JSON object a line: ``start``, ``progress``, ``scan`` (a whole :class:`ScanResult`), ``end``."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stdout
        self._skipped: Sequence[Skip] = ()

    def start(self, inputs: Inputs) -> None:
        """See :class:`Reporter`."""
        self._skipped = inputs.skipped
        skipped = [{"path": skip.path, "reason": skip.reason} for skip in inputs.skipped]
        self._write(event="start", scans=len(inputs.jobs), problems=len(inputs.problems), skipped=skipped)

    def progress(self, name: str, fraction: float, message: str) -> None:
        """See :class:`Reporter`."""
        self._write(event="progress", name=name, fraction=round(fraction, 3), message=message)

    def finished(self, result: ScanResult) -> None:
        """See :class:`Reporter`."""
        self._write(event="scan", **result.to_dict())

    def end(self, results: Sequence[ScanResult]) -> None:
        """See :class:`Reporter`."""
        self._write(event="end", scans=len(results), **counts(results, self._skipped))

    def _write(self, **event: object) -> None:
        print(json.dumps(event), file=self._stream, flush=True)


def error_line(result: ScanResult) -> str:
    """``error: <input>: <sentence>``, the input named once."""
    named = result.path in result.message or result.path.replace("\\", "/").rsplit("/", 1)[-1] in result.message
    return printable(f"error: {result.message}" if named else f"error: {result.path}: {result.message}")


def result_line(result: ScanResult) -> str:
    """One line for the log."""
    if result.status == SKIPPED:
        return f"{result.name}: skipped, {result.message}"
    found = f"{result.levels[0]}-{result.levels[-1]}, {len(result.levels)} levels" if result.levels else "no levels"
    sure = f", lowest confidence {result.confidence:.2f}" if result.confidence is not None else ""
    if result.status == PRESENT:
        return f"{result.name}: already there ({found})" + (f"\n  {result.message}" if result.message else "")
    return "".join((f"{result.name}: {found}{sure}, {result.seconds:.1f} s", *(f"\n  {w}" for w in result.warnings)))


def duration(seconds: float) -> str:
    """``42 s``, ``3 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
