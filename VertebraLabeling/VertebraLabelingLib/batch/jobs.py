"""What a batch is about: the scans to label, and what was found and cannot be labeled."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..core.scan_source import ScanSource
from ..scans.read_scan import VOLUME_SUFFIXES


@dataclass(frozen=True)
class ScanJob:
    """One scan to label; can be sent to another process or computer that sees the same files.

    Attributes:
        path: the file, or the folder of the DICOM series.
        name: unique output name without suffix.
        series: key of the DICOM series in its folder (:func:`dicom_series.find_series`); empty for other formats. The
            headers do not travel with the job: those of ten thousand series would fill the memory.
        named: the user named this scan; one that was found in a tree and is no CT is skipped rather than failed.
        folders: those that hold a DICOM series which lies in several; ``path`` is what they have in common.
        wanted: the name that its place gives it; ``name`` is another where scans of one batch share it, or where it
            belongs to another scan (:mod:`.ownership`).
        former: names that earlier versions may have given it.
        source: what identifies the scan; ``None`` where that is still to be looked up.
        adopted: points of this name that do not say their source are this scan's.
        foreign: files of this name may be another scan's, all but the points.
        strangers: files that have a name of this scan's outputs and that this program has not made.
        notes: sentences for the user about the name.
    """

    path: str
    name: str
    series: str = ""
    named: bool = True
    folders: tuple[str, ...] = ()
    wanted: str = ""
    former: tuple[str, ...] = ()
    source: ScanSource | None = None
    adopted: bool = False
    foreign: bool = False
    strangers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_dicom(self) -> bool:
        """The scan came as DICOM: a series of files, or one file with many frames."""
        return bool(self.series) or not self.path.lower().endswith(VOLUME_SUFFIXES)


@dataclass(frozen=True)
class Problem:
    """An input that cannot be used, and the sentence that says why and what to do."""

    path: str
    message: str


@dataclass(frozen=True)
class Skip:
    """Something that was found and is not labeled, and the reason."""

    path: str
    reason: str


@dataclass
class Inputs:
    """What the arguments of a batch stand for."""

    jobs: list[ScanJob] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped: list[Skip] = field(default_factory=list)
    settled: bool = False  # the names are those of the output folder, see ownership.settle
