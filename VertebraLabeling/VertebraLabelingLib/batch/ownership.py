"""Whose a name is in an output folder: a result belongs to a scan, not to what its file is called.

A name that was once given to a scan stays, whatever is added to the tree, moved or renamed. Another scan that would
have the same name gets one of its own, with a word. Files that do not say whose they are, as earlier versions and other
programs write them, are left alone unless the user adopts them.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

from ..core.scan_source import ScanSource
from ..errors import InputError
from ..formats.mrk_json import read_labels, read_source
from ..scans.identify import identify
from ..system.native_output import native_output_to_log
from .jobs import Inputs, ScanJob, Skip
from .journal import read_journal
from .naming import name_key, output_path, own_name, safe_name
from .outputs import POINTS, WRITERS, OutputPlan, is_corrected, name_in

_OUR_OWN = "summary"  # files of the batch itself
_ADOPT = "if it is of this scan, delete the files of {} and run again with --adopt."


def settle(inputs: Inputs, plan: OutputPlan, adopt: bool = False) -> Inputs:
    """Give each job the name that is its scan's in the output folder.

    Args:
        adopt: files that do not say whose they are belong to the scan of their name.

    Returns:
        The same inputs with names that stay; what is the same scan as another input is skipped.
    """
    if inputs.settled:
        return inputs
    folder = _Folder(plan)
    jobs = list(inputs.jobs)
    if folder.names or len({_OUR_OWN, *(name_key(job.wanted) for job in jobs)}) <= len(jobs):
        with native_output_to_log():
            jobs = [_identified(job) for job in jobs]
    names = _Names(folder, adopt, Counter(name_key(name) for job in jobs for name in {*job.former, job.wanted}))
    places: dict[int, ScanJob | Skip] = {}
    for step in (names.keep, names.find_again, names.give):
        for number, job in enumerate(jobs):
            settled = None if number in places else step(job)
            if settled is not None:
                places[number] = settled
    settled_jobs = [places[number] for number in range(len(jobs))]
    return replace(
        inputs,
        jobs=[job for job in settled_jobs if isinstance(job, ScanJob)],
        skipped=[*inputs.skipped, *(skip for skip in settled_jobs if isinstance(skip, Skip))],
        settled=True,
    )


def _identified(job: ScanJob) -> ScanJob:
    """The job with its source; one that cannot be read keeps none, and fails when its turn comes."""
    try:
        return job if job.source else replace(job, source=identify(job.path, job.series, job.folders))
    except (InputError, OSError):
        return job


class _Folder:
    """The names that are taken in an output folder, and by which scan.

    Attributes:
        names: key of a name (:func:`naming.name_key`) -> digest of its scan; empty where that is not known.
        of_scan: the names of a digest as they are written, corrected ones first; ``sources`` the scan of each key.
        silent: names whose points do not say their scan themselves.
    """

    def __init__(self, plan: OutputPlan) -> None:
        self.names: dict[str, str] = {}
        self._written: dict[str, dict[str, str]] = {}  # key -> names as they are written -> digest
        self.sources: dict[str, ScanSource] = {}
        self.silent: set[str] = set()
        folder, wanted = Path(plan.folder), (POINTS, *plan.formats)
        try:
            files = sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))
        except OSError:  # there is no folder yet, or it cannot be used, which writing will say
            files = []
        self._files = files
        self._suffixes = tuple(WRITERS[name].suffix for name in wanted if name != POINTS)
        there = set(map(name_key, files))
        self._known = known = {
            name: result
            for name, result in read_journal(folder).items()
            if result.source and there.intersection(map(name_key, result.files))
        }
        for suffix in dict.fromkeys(WRITERS[name].suffix for name in wanted):
            for file in files:
                name = name_in(file, suffix)
                if name and name != _OUR_OWN:
                    said = read_source(folder / file) if suffix == WRITERS[POINTS].suffix else None
                    if said is None and suffix == WRITERS[POINTS].suffix:
                        self.silent.add(name_key(name))
                    result = known.get(name) or known.get(safe_name(name))
                    self._take(name, said or (ScanSource.from_dict(result.source) if result else None))
        for name, result in known.items():
            if name not in map(safe_name, self._written.get(name_key(name), ())):
                self._take(name, ScanSource.from_dict(result.source))
        self.of_scan: dict[str, list[str]] = {}
        for key in sorted(self.names):
            self.of_scan.setdefault(self.names[key], []).append(self.written(key))
        for digest, names in self.of_scan.items():
            if digest and len(names) > 1:
                names.sort(key=lambda name: not _is_corrected(output_path(folder, name, WRITERS[POINTS].suffix)))

    def written(self, name: str) -> str:
        """A name as the folder has it, which may differ by case alone."""
        key = name_key(name)
        there = [each for each, digest in self._written.get(key, {}).items() if digest == self.names[key]]
        return name if name in there or not there else there[0]

    def is_foreign(self, name: str, source: ScanSource) -> bool:
        """The journal has the files of a name as another scan's: its points were renamed or exchanged by hand."""
        result = self._known.get(name)
        return result is not None and ScanSource.from_dict(result.source) != source

    def strangers(self, name: str, source: ScanSource) -> tuple[str, ...]:
        """Files of a name that is this scan's, which the journal does not have as made here: a person put them there,
        or they are scans. Where no journal tells of the scan, they are taken for its outputs."""
        result = self._known.get(name)
        if result is None or ScanSource.from_dict(result.source) != source:
            return ()
        own = set(map(name_key, result.files))
        like = {name_key(f"{name}{suffix}") for suffix in self._suffixes} - own
        return tuple(file for file in self._files if name_key(file) in like)

    def _take(self, name: str, source: ScanSource | None) -> None:
        if source and not self.names.get(name_key(name)):
            self.sources[name_key(name)] = source
        digest = source.digest if source else ""
        self.names[name_key(name)] = self.names.get(name_key(name)) or digest
        there = self._written.setdefault(name_key(name), {})
        there[name] = there.get(name) or digest


def _is_corrected(points: Path) -> bool:
    """A person may have changed the points of a file."""
    try:
        return is_corrected(read_labels(points))
    except InputError:
        return False


class _Names:
    """Names jobs in three steps, each for those that the steps before left."""

    def __init__(self, folder: _Folder, adopt: bool, wishes: Counter) -> None:
        self._folder, self._adopt, self._wishes = folder, adopt, wishes
        self._given: dict[str, ScanJob] = {}

    def keep(self, job: ScanJob) -> ScanJob | Skip | None:
        """The wanted name, or the own one, where the folder has it for this scan."""
        if job.source is None:
            return None
        for name in (job.wanted, own_name(job.wanted, job.source.short)):
            if self._folder.names.get(name_key(name)) == job.source.digest:
                return self._named(job, self._folder.written(name))
        return None

    def find_again(self, job: ScanJob) -> ScanJob | Skip | None:
        """Another name that the folder has for this scan, unless an input has it: the scan was moved or renamed."""
        owned = self._folder.of_scan.get(job.source.digest, []) if job.source else []
        name = next((name for name in owned if name_key(name) not in self._given), None)
        return name and self._named(job, name, f"This scan was labeled as {name} before, and keeps that name.")

    def give(self, job: ScanJob) -> ScanJob | Skip | None:
        """The wanted name if it is free, else one of its own."""
        adopted = self._adopted(job)
        if adopted:
            return self._named(job, adopted, f"The points in {adopted}.mrk.json were adopted for this scan.", True)
        wanted = name_key(job.wanted)
        other = self._given.get(wanted)
        taken = wanted in self._folder.names or wanted == _OUR_OWN
        if not taken and (other is None or (job.source is not None and other.source == job.source)):
            return self._named(job, job.wanted, self._about_former(job))
        if job.source is None:  # it cannot be read, and will fail under this name without a file
            return replace(job, notes=())
        name = own_name(job.wanted, job.source.short)
        if name_key(name) in self._folder.names or name_key(name) in self._given:
            name = own_name(job.wanted, job.source.digest)
        return self._named(job, name, self._why(job, name))

    def _named(self, job: ScanJob, name: str, note: str = "", adopted: bool = False) -> ScanJob | Skip:
        other = self._given.setdefault(name_key(name), job)
        if other is not job:
            return Skip(job.path, f"the same scan as {other.path}")
        silent = name_key(name) in self._folder.silent and bool(self._folder.names.get(name_key(name)))
        foreign = job.source is not None and self._folder.is_foreign(name, job.source)
        told = f"The points in {name}.mrk.json were renamed: other files of that name are made anew." if foreign else ""
        notes = (*job.notes, *filter(None, (note, told)))
        strangers = self._folder.strangers(name, job.source) if job.source else ()
        job = replace(job, name=name, adopted=adopted or silent, foreign=foreign, notes=notes)
        return replace(job, strangers=strangers)

    def _adopted(self, job: ScanJob) -> str:
        """The name of points that do not say whose they are, where only this scan can have had it."""
        names = (job.wanted, *job.former) if self._adopt and job.source else ()
        fitting = [
            self._folder.written(name)
            for name in dict.fromkeys(names)
            if self._is_nobodys(name) and self._wishes[name_key(name)] == 1
        ]
        return fitting[0] if fitting else ""

    def _is_nobodys(self, name: str) -> bool:
        return name_key(name) in self._folder.silent and not self._folder.names.get(name_key(name))

    def _about_former(self, job: ScanJob) -> str:
        """A sentence about a file that an earlier version may have written for this scan."""
        name = next((name for name in job.former if name != job.wanted and self._is_nobodys(name)), None)
        if name is None:
            return ""
        told = f"{name}.mrk.json does not say which scan it was made from and was left alone"
        return f"{told}; {_ADOPT.format(job.wanted)}"

    def _why(self, job: ScanJob, name: str) -> str:
        """Why the scan is not called as wanted."""
        wanted = name_key(job.wanted)
        if wanted == _OUR_OWN:
            return f"This scan is named {name}: files named {job.wanted} are those of the batch itself."
        if wanted in self._given or self._folder.names.get(wanted):
            source = self._given[wanted].source if wanted in self._given else self._folder.sources.get(wanted)
            same = job.source and source and job.source.same_series(source)
            what = "other images of the same series" if same else "another scan"
            return f"The name {job.wanted} belongs to {what}, so this one is named {name}."
        if wanted in self._folder.silent:
            told = f"{job.wanted}.mrk.json does not say which scan it was made from, so it was left alone"
            return f"{told} and this scan is named {name}; {_ADOPT.format(name)}"
        return f"Files named {job.wanted} are there from elsewhere, so this scan is named {name}."
