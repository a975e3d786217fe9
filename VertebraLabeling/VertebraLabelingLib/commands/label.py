"""``vertebra-labeling label INPUT... -o DIR``: label one scan or ten thousand."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from ..batch.scan_job import FAILED, ScanResult
from ..core.count_rules import AS_SEEN, RULES
from ..errors import InputError
from .options import add_engine_options

_EXAMPLES = """\
examples:
  vertebra-labeling label ct.nii.gz -o out                         one scan
  vertebra-labeling label dicom/ -o out --series 4                 series 4 of a DICOM folder
  vertebra-labeling label ct.nii.gz -o out --discs --format mrk.json,discs.png,report.txt
  vertebra-labeling label study/ -o out --format mrk.json,csv,png  every CT below a folder
  vertebra-labeling label "data/**/*_ct.nii.gz" @more.txt -o out --jobs 4
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser(
        "label",
        help="find and name the vertebrae of CT scans",
        description="Find and name the vertebrae of CT scans. Scans whose outputs are all there are not done again, so "
        "an interrupted batch is continued by the same command.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="NIfTI, NRRD or MetaImage file; DICOM folder; folder searched for both (BIDS too); pattern with * or **; "
        "@FILE with one input a line; .csv with a column path (and series, case)",
    )
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder for all outputs, made if needed")
    parser.add_argument(
        "--format",
        default="mrk.json",
        metavar="LIST",
        help="comma-separated: mrk.json (3D Slicer), csv, verse.json (VerSe centroids), png (picture), dicom (TID 1500 "
        "report, of DICOM scans), report.txt (three sentences), straight.nii.gz (the spine straightened, with its "
        "points), discs.png (a slab along each disc), discs.nii.gz (disc labels of the Spinal Cord Toolbox) "
        "(default: mrk.json)",
    )
    parser.add_argument(
        "--discs",
        action="store_true",
        help="also the points of the discs C2/C3 to L5/S1, beside mrk.json and csv, as .discs.mrk.json and .discs.csv",
    )
    add_engine_options(parser)
    parser.add_argument(
        "--series", metavar="N", help="DICOM series number where a folder holds several CT series, or 'all'"
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="do again, and replace, what is there already, except points that a person has corrected",
    )
    parser.add_argument(
        "--adopt",
        action="store_true",
        help="take .mrk.json files that do not say which scan they were made from for those of the scan of their name",
    )
    parser.add_argument(
        "--count",
        choices=RULES,
        default=AS_SEEN,
        help="names of a spine with more or fewer vertebrae than usual: seen (what is seen: T13 is a thirteenth "
        "rib-bearing vertebra, L6 a sixth lumbar one), above (seven, twelve, five from C1) or sacrum (five, twelve, "
        "seven upward) (default: seen)",
    )
    parser.add_argument("--jobs", type=_positive, default=1, metavar="N", help="worker processes (default: 1)")
    parser.add_argument(
        "--dask", metavar="ADDRESS", help="label on this Dask cluster, e.g. tcp://scheduler:8786; 'local' starts one"
    )
    told = parser.add_mutually_exclusive_group()
    told.add_argument("--quiet", action="store_true", help="print errors only")
    told.add_argument("--json-lines", action="store_true", help="print one JSON object a line, for other programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the sub-command; returns 1 when any input failed."""
    from ..batch.inputs import find_scans
    from ..batch.label_batch import in_processes, in_this_process, label_batch, on_dask
    from ..batch.outputs import DISCS, OutputPlan
    from ..batch.ownership import settle
    from ..batch.progress import JsonLines, Quiet, Terminal
    from ..batch.workers import LabelerSpec, LazyLabeler

    formats = _formats(arguments.format)
    if arguments.discs:
        formats += _of_discs(formats, DISCS)
    plan = OutputPlan(arguments.output, formats, arguments.overwrite, arguments.count)
    spec = LabelerSpec(arguments.weights, arguments.device)
    reporter = JsonLines() if arguments.json_lines else Quiet() if arguments.quiet else Terminal()
    inputs = settle(find_scans(arguments.inputs, arguments.series), plan, arguments.adopt)
    if any(plan.needs_labeler(job) for job in inputs.jobs):
        spec.check()
    if arguments.dask:
        runner = on_dask(spec, arguments.dask, arguments.jobs)
    elif arguments.jobs > 1 and len(inputs.jobs) > 1:
        runner = in_processes(spec, arguments.jobs)
    else:
        runner = in_this_process(LazyLabeler(spec))
    results = label_batch(inputs, plan, runner, reporter)
    if len(results) == 1 and isinstance(reporter, Terminal) and results[0].status != FAILED:
        print(table(results[0], arguments.output))
    return int(any(result.status == FAILED for result in results))


def _formats(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise InputError("--format names no format: use mrk.json or others that --help tells.")
    return names


def _of_discs(formats: tuple[str, ...], same: Mapping[str, str]) -> tuple[str, ...]:
    found = tuple(same[name] for name in formats if name in same)
    if not found:
        raise InputError(f"--discs needs a format that can hold disc points: add {' or '.join(same)} to --format.")
    return found


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def table(result: ScanResult, folder: str) -> str:
    """The vertebrae of one scan for people: level, confidence, RAS mm; then the count, warnings, time and files."""
    lines = [f"{'level':<7}{'confidence':>10}{'R mm':>10}{'A mm':>10}{'S mm':>10}"]
    for level, r, a, s, confidence in result.points:
        lines.append(f"{level:<7}{confidence:>10.2f}{r:>10.1f}{a:>10.1f}{s:>10.1f}")
    lines += [result.counted] if result.counted else []
    lines += [f"warning: {warning}" for warning in result.warnings]
    if result.message:
        lines.append(result.message)
    done = "was there already" if result.status == "present" else f"took {result.seconds:.1f} s"
    lines.append(f"{result.name}: {len(result.points)} vertebrae, {done}; {folder}: {', '.join(result.files)}")
    return "\n".join(lines)
