"""What a batch leaves beside its outputs: ``summary.json``, ``summary.csv`` and a page, made from the :mod:`.journal`.

They cover all runs into the same folder; what was passed over, and the numbers, are those of the last one.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .. import __version__
from ..core.counting import COUNT
from ..errors import printable
from ..system.atomic import write_text
from .jobs import Skip
from .journal import JOURNAL, append, line_of, read_journal
from .progress import counts
from .review_page import review_page
from .scan_job import PRESENT, SKIPPED, ScanResult

JSON_NAME, CSV_NAME, PAGE_NAME = "summary.json", "summary.csv", "review.html"
COLUMNS = (
    *("case", "status", "levels", "count", "lowest_confidence", "warnings", "seconds", "error", "input", "source"),
    "counted",
)
_RENAMED = "Vertebrae were renamed, added or deleted since; these warnings are those of the names before."


class Summary:
    """Collects the results of a batch.

    Args:
        folder: the output folder.
        several: the batch has more than one input. A single one is added to a summary that is there, but starts none.
    """

    def __init__(self, folder: str, several: bool = True) -> None:
        self._folder = Path(folder)
        self._enabled = several or (self._folder / JSON_NAME).exists()
        self._known = _scans(read_journal(self._folder))
        self._told: dict[str, ScanResult] = {}

    def add(self, result: ScanResult) -> ScanResult:
        """Keep a result; one with points of an earlier run gets back what that run knew (warnings, model)."""
        key = result.name or result.path
        before = self._known.get(key)
        if result.kept and before and before.points and before.source in ({}, result.source):
            points = result.points or before.points
            seconds = before.seconds if result.status == PRESENT else result.seconds
            result = replace(result, points=points, seconds=seconds, **_known_of(result, before))
        if before and not result.files and before.source in ({}, result.source):
            result = replace(result, files=before.files)
        self._known[key] = self._told[key] = kept = self._with_earlier_files(result, before)
        if self._enabled or kept.files:
            append(self._folder, kept)
        return result

    def _with_earlier_files(self, result: ScanResult, before: ScanResult | None) -> ScanResult:
        """The result with the files that earlier runs wrote under its name: the journal tells them from a person's."""
        earlier = (
            file
            for file in (before.files if before else ())
            if file not in result.files and os.path.exists(self._folder / file)
        )
        return replace(result, files=(*result.files, *earlier))

    def write(self, skipped: Sequence[Skip] = ()) -> None:
        """Write the summaries.

        Raises:
            OSError: they cannot be written; older ones are untouched.
        """
        if not self._enabled:
            return
        # another batch may have written into the same folder meanwhile
        known = {**_scans(read_journal(self._folder)), **self._told}
        results = sorted(known.values(), key=lambda result: (result.name, result.path))
        passed_over = [{"path": skip.path, "reason": skip.reason} for skip in skipped]
        data = {
            "version": __version__,
            "run": counts(list(self._told.values()), skipped),
            "scans": [result.to_dict() for result in results],
            "skipped": passed_over,
        }
        write_text(self._folder / JSON_NAME, json.dumps(data, indent=1) + "\n")
        write_text(self._folder / CSV_NAME, _table(results, skipped))
        pictures = {result.name for result in results if (self._folder / f"{result.name}.png").exists()}
        write_text(self._folder / PAGE_NAME, review_page(results, pictures, skipped))
        write_text(self._folder / JOURNAL, "".join(line_of(result) for result in results))


def _known_of(result: ScanResult, before: ScanResult) -> dict[str, object]:
    """What the run that made the points knew of them; of vertebrae that a person has renamed not how they were counted,
    and its warnings as those of other names."""
    is_renamed = bool(result.points) and result.levels != before.levels
    told = (_RENAMED,) if is_renamed and before.warnings else ()
    provenance = {key: value for key, value in before.provenance.items() if not (is_renamed and key == COUNT)}
    return {
        "warnings": tuple(dict.fromkeys((*told, *before.warnings, *result.warnings))),
        "provenance": provenance,
        "counted": result.counted or ("" if is_renamed else before.counted),
    }


def _scans(journal: dict[str, ScanResult]) -> dict[str, ScanResult]:
    """The lines of scans; inputs that never became one are told again by each run, if they are still wrong."""
    return {name: result for name, result in journal.items() if result.name}


def _table(results: Sequence[ScanResult], skipped: Sequence[Skip]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for result in results:
        sure = "" if result.confidence is None else f"{result.confidence:.4f}"
        writer.writerow(
            _no_formula(printable(cell))
            for cell in (
                *(result.name, result.status, " ".join(result.levels), str(len(result.levels)), sure),
                *(" | ".join(result.warnings), f"{result.seconds:.2f}", result.message, result.path),
                *(str(result.source.get("digest", "")), result.counted),
            )
        )
    for skip in skipped:
        row = ("", SKIPPED, "", "0", "", "", "0.00", skip.reason, skip.path, "", "")
        writer.writerow(_no_formula(printable(cell)) for cell in row)
    return text.getvalue()


def _no_formula(cell: str) -> str:
    """A spreadsheet runs cells that start like this as formulas; paths come from outside."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
