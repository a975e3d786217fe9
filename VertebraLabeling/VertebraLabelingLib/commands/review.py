"""``vertebra-labeling review``: look at proposed points scan by scan, and turn the decisions into truth."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path

from ..batch.jobs import Inputs
from ..errors import InputError, VertebraLabelingError, printable
from ..system.private_log import log_failure
from .options import add_engine_options

DECISIONS, PROPOSALS, SUFFIX = "decisions.csv", "proposals", ".mrk.json"

logger = logging.getLogger(__name__)

_EXAMPLES = """\
examples:
  vertebra-labeling review scans/ -o review                              label, draw, start decisions.csv
  vertebra-labeling review scans/ -o review --labels out                 points that are there already
  vertebra-labeling review --apply review/decisions.csv -o truth         write what was accepted or corrected
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser(
        "review",
        help="look at proposed points and turn the decisions into truth",
        description="Draw contact sheets of scans with proposed points (curved sagittal, coronal and rib view) and "
        "start a table of decisions; with --apply write the accepted and corrected points as truth. docs/review.md "
        "tells how to count and how to write corrections.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="CT files or folders, as for 'label'")
    parser.add_argument("-o", "--out", required=True, type=Path, metavar="DIR", help="folder for the output")
    parser.add_argument("--labels", type=Path, metavar="DIR", help="folder of <name>.mrk.json; what lacks is labeled")
    parser.add_argument(
        "--balance",
        type=Path,
        metavar="DIR",
        help="move points along the spine toward the usual spacing of truth in DIR",
    )
    parser.add_argument("--truth", type=Path, metavar="DIR", help="folder of known <name>.mrk.json, drawn as crosses")
    add_engine_options(parser)
    parser.add_argument("--per-page", type=int, default=4, metavar="N", help="scans on one picture (default: 4)")
    parser.add_argument("--apply", type=Path, metavar="CSV", help="write truth after these decisions instead")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the sub-command; returns 1 when a scan or a decision failed."""
    if arguments.apply:
        return apply(arguments.apply, arguments.labels or arguments.apply.parent / PROPOSALS, arguments.out)
    if not arguments.inputs or arguments.per_page < 1:
        raise InputError("Give the scans to review and at least one scan a page, or --apply and a table of decisions.")
    return render(arguments)


def render(arguments: argparse.Namespace) -> int:
    """Write the pages, the proposals and the empty lines of the table; returns the exit code."""
    from ..batch.inputs import find_scans
    from ..batch.outputs import OutputPlan, existing_labels, is_corrected
    from ..batch.ownership import settle
    from ..batch.workers import LabelerSpec, LazyLabeler
    from ..formats.mrk_json import read_labels, write_labels
    from ..review.review_decisions import Decision, read_decisions, write_decisions
    from ..review.review_sheet import review_scan, write_sheet
    from ..review.snapshot import need_matplotlib
    from ..scans.read_scan import read_scan

    need_matplotlib()
    proposals = OutputPlan(str(arguments.out / PROPOSALS), overwrite=True)
    found = find_scans(arguments.inputs)
    inputs = settle(found, proposals, adopt=True)
    for skip in inputs.skipped:
        print(printable(f"skipped: {skip.path} ({skip.reason})"))
    given = _points_in(arguments.labels, found)
    known = _points_in(arguments.truth, found)
    failures = [f"{problem.path}: {problem.message}" for problem in inputs.problems]
    spec = LabelerSpec(arguments.weights, arguments.device)
    if any((job.path, job.series) not in given for job in inputs.jobs):
        spec.check()
    labeler = LazyLabeler(spec)
    gaps = _usual_gaps(arguments.balance) if arguments.balance else None
    table = arguments.out / DECISIONS
    decisions = {row.case: row for row in read_decisions(table)} if table.exists() else {}
    page, pages = [], 0
    for number, job in enumerate(inputs.jobs, start=1):
        try:
            volume = read_scan(job.path, job.series or None, job.folders).volume
            kept = existing_labels(proposals, job)
            place = job.path, job.series
            decided = bool(decisions[job.name].verdict) if job.name in decisions else False
            if kept is not None and (decided or is_corrected(kept)):
                labels = kept  # a person's work is drawn, not made again; so is what a person has decided on
            else:
                labels = read_labels(given[place]) if place in given else labeler.label(volume)
                labels = _balanced(labels, gaps) if gaps else labels
            truth = read_labels(known[place]).points if place in known else ()
            page.append(review_scan(volume, labels, _title(job.name, labels), truth))
            if labels is not kept:
                write_labels(arguments.out / PROPOSALS / (job.name + SUFFIX), _with_source(labels, job))
            decisions.setdefault(job.name, Decision(job.name))
            for note in job.notes:
                print(printable(f"{job.name}: {note}"))
        except VertebraLabelingError as error:  # one scan must not end the review of the others
            failures.append(f"{job.name}: {error}")
        except OSError as error:
            failures.append(f"{job.name}: it cannot be written ({error.strerror or error}), choose another folder.")
        except Exception as error:
            log_failure(logger, job.name, error)
            failures.append(f"{job.name}: unexpected {type(error).__name__}, the log (--debug) has the details.")
        if page and (len(page) == arguments.per_page or number == len(inputs.jobs)):
            pages += 1
            write_sheet(arguments.out / f"page_{pages:03d}.png", page)
            page = []
    if pages:
        write_decisions(table, decisions.values())
        print(f"{pages} pages in {arguments.out}; write the verdicts into {table}")
    return _told(failures)


def _points_in(folder: Path | None, found: Inputs) -> dict[tuple[str, str], Path]:
    """The points of each scan in a folder of such files, by path and series of the scan.

    A file that does not say which scan it was made from counts by its name, where that can be one scan's only: a person
    looks at each picture.
    """
    from ..batch.outputs import OutputPlan
    from ..batch.ownership import settle

    if folder is None:
        return {}
    jobs = settle(found, OutputPlan(str(folder)), adopt=True).jobs
    files = {(job.path, job.series): folder / (job.name + SUFFIX) for job in jobs}
    return {place: file for place, file in files.items() if file.is_file()}


def _with_source(labels, job):
    """The labels with what identifies their scan."""
    from ..scans.identify import identify

    source = job.source or identify(job.path, job.series, job.folders)
    return replace(labels, provenance={**labels.provenance, "source": source.to_dict()})


def _usual_gaps(folder: Path) -> dict:
    from ..formats.mrk_json import holds_discs, read_points
    from ..review.review_balance import usual_gaps

    files = sorted(path for path in folder.glob("*" + SUFFIX) if not holds_discs(path))
    if not files:
        raise InputError(f"{folder} holds no {SUFFIX} file: give the folder of truth of the same kind of scan.")
    return usual_gaps({point.level: point.ras for point in read_points(file) if not point.cut} for file in files)


def _balanced(labels, gaps: dict):
    from ..review.review_balance import balanced

    moved = balanced({point.level: point.ras for point in labels.points}, gaps)
    return labels.with_points(tuple(replace(point, ras=moved[point.level]) for point in labels.points))


def _title(name: str, labels) -> str:
    found, lowest = labels.points, min((point.shown_confidence for point in labels.points), default=0.0)
    levels = f"{found[0].level}-{found[-1].level}" if found else "nothing"
    return f"{name}   {levels}, {len(found)} points, lowest confidence {lowest:.2f}"


def apply(table: Path, proposals: Path, out: Path) -> int:
    """Write the truth files of all decisions that make one; returns the exit code."""
    from ..formats.mrk_json import read_points
    from ..formats.truth import write_truth
    from ..review.review_decisions import REJECT, apply_decision, read_decisions

    counts: dict[str, int] = {}
    failures = []
    for row in read_decisions(table):
        target = out / (row.case + SUFFIX)
        try:
            if not row.case or Path(row.case).name != row.case:
                raise InputError(f"The case name {row.case!r} is no plain file name: correct the line.")
            if row.verdict in ("", REJECT):
                if target.exists():
                    raise InputError(f"{target} exists but the case is not accepted: delete the file.")
            else:
                points = read_points(proposals / (row.case + SUFFIX))
                truth = apply_decision(row, {point.level: point.ras for point in points})
                write_truth(target, truth.points, truth.cut, f"status=reviewed;landmark={row.landmark}")
            counts[row.verdict or "not looked at"] = counts.get(row.verdict or "not looked at", 0) + 1
        except InputError as error:
            failures.append(str(error))
        except OSError as error:
            raise InputError(f"{target} cannot be written ({error.strerror}): choose another folder.") from error
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())) or "no decisions")
    return _told(failures)


def _told(failures: list[str]) -> int:
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return int(bool(failures))
