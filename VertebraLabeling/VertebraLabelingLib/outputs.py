"""Which files a scan gives, which of them are there already, and how each is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import InputError
from .formats import csv_table, mrk_json, verse_json
from .io import Scan
from .labels import SpineLabels
from .naming import output_path

POINTS = "mrk.json"


def _write_png(path: Path, labels: SpineLabels, scan: Scan, name: str) -> None:
    from .snapshot import write_snapshot  # matplotlib

    write_snapshot(path, scan.volume, labels, name)


_Writer = Callable[[Path, SpineLabels, Scan, str], None]

WRITERS: dict[str, _Writer] = {
    "csv": lambda path, labels, scan, name: csv_table.write_labels(path, labels, name),
    "verse.json": lambda path, labels, scan, name: verse_json.write_labels(path, labels, scan.volume),
    "png": _write_png,
    POINTS: lambda path, labels, scan, name: mrk_json.write_labels(path, labels),
}
"""Format -> writer; the format is the suffix. The points come last: where they are, everything else is."""


@dataclass(frozen=True)
class OutputPlan:
    """Where outputs go.

    Attributes:
        folder: all files of a batch lie directly in it.
        formats: keys of :data:`WRITERS`.
        overwrite: replace files that are there; otherwise only missing ones are made.
    """

    folder: str
    formats: tuple[str, ...] = (POINTS,)
    overwrite: bool = False

    def __post_init__(self) -> None:
        unknown = [name for name in self.formats if name not in WRITERS]
        if unknown or not self.formats:
            raise InputError(f"{', '.join(unknown) or 'Nothing'} is no output format: use {', '.join(WRITERS)}.")
        ordered = tuple(name for name in WRITERS if name in self.formats)
        object.__setattr__(self, "formats", ordered)

    def path(self, name: str, format_name: str) -> Path:
        """The output file of a scan in one format; never outside the folder."""
        return output_path(Path(self.folder), name, f".{format_name}")

    def file_names(self, name: str) -> tuple[str, ...]:
        """Names of all output files of a scan."""
        return tuple(self.path(name, format_name).name for format_name in self.formats)

    def missing(self, name: str) -> tuple[str, ...]:
        """The formats still to be written."""
        return tuple(f for f in self.formats if self.overwrite or not self.path(name, f).exists())


def existing_labels(plan: OutputPlan, name: str) -> SpineLabels | None:
    """The points that an earlier run left, perhaps corrected by hand since; ``None`` where they are to be made anew.

    Raises:
        InputError: the file is damaged.
    """
    path = plan.path(name, POINTS)
    return mrk_json.read_labels(path) if path.exists() and not plan.overwrite else None


def write_outputs(plan: OutputPlan, formats: Sequence[str], name: str, labels: SpineLabels, scan: Scan) -> None:
    """Write some formats of one scan; each file appears whole or not at all.

    Raises:
        OSError: a file cannot be written.
    """
    os.makedirs(plan.folder, exist_ok=True)
    for format_name in formats:
        WRITERS[format_name](plan.path(name, format_name), labels, scan, name)
