"""``vertebra-labeling carry POINTS TARGET --source CT -o DIR``: carry points to another CT, or to an MR."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from ..errors import InputError, printable

_EXAMPLES = """\
examples:
  vertebra-labeling carry out/ct.mrk.json mr_t2.nii.gz --source ct.nii.gz -o carried
  vertebra-labeling carry out/ct.mrk.json dicom/ --series 7 -o carried     same DICOM frame of reference: no --source
  vertebra-labeling carry out/ct.mrk.json bone_kernel.nii.gz --same-frame -o carried
"""

TWO_PATIENTS = "The DICOM headers of the two scans name two patients: check that they are of one."


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser(
        "carry",
        help="carry points to another CT or an MR of the same patient",
        description="Carry points to another scan of the same patient. Where both have one frame of reference nothing "
        "is computed; else the scans are registered around the spine, vertebra by vertebra, and what does not fit well "
        "enough is refused.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("points", type=Path, metavar="POINTS", help="the .mrk.json file of the source")
    parser.add_argument("target", type=Path, metavar="TARGET", help="NIfTI, NRRD or MetaImage file, or DICOM folder")
    parser.add_argument("--source", type=Path, metavar="CT", help="the scan that the points were made from")
    parser.add_argument("--source-series", metavar="N", help="its DICOM series number where its folder holds several")
    parser.add_argument("--series", metavar="N", help="DICOM series number of the target where a folder holds several")
    parser.add_argument(
        "--same-frame", action="store_true", help="both scans are known to share their world coordinates"
    )
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="folder for points and picture")
    parser.add_argument("--no-picture", action="store_true", help="write no check picture (needs no matplotlib)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the sub-command."""
    from ..batch.naming import safe_name, stem
    from ..core.counting import COUNT
    from ..core.label_warning import note
    from ..core.scan_source import ScanSource
    from ..formats.mrk_json import read_labels, write_labels
    from ..registration.carry import carry
    from ..review.carry_picture import write_carry_picture
    from ..review.snapshot import need_matplotlib
    from ..scans.identify import identify, of_two_patients, shares_frame
    from ..scans.read_scan import read_scan
    from ..system.atomic import new_path

    labels = read_labels(arguments.points)
    name = safe_name(stem(arguments.target) + (f"_{arguments.series}" if arguments.series else ""))
    points, picture = (arguments.output / f"{name}{suffix}" for suffix in (".mrk.json", ".png"))
    _refuse_present(points)
    target = read_scan(arguments.target, arguments.series)
    made_from = ScanSource.from_dict(labels.provenance.get("source"))
    is_of = _identity(identify, arguments.target, arguments.series)
    same_frame = arguments.same_frame or _one_frame(shares_frame, arguments.target, arguments.series, made_from)
    source, doubts = None, ()
    if not same_frame:
        if arguments.source is None:
            raise InputError(
                "The scans do not share a known frame of reference: give the scan of the points by --source, or say "
                "--same-frame where you know that they do."
            )
        own = _identity(identify, arguments.source, arguments.source_series)
        if made_from is not None and own != made_from:
            raise InputError(
                f"{arguments.points.name} was not made from {arguments.source.name}: give the scan that it belongs to."
            )
        source = read_scan(arguments.source, arguments.source_series).volume
        sides = (arguments.source, arguments.source_series or "", arguments.target, arguments.series or "")
        doubts = (TWO_PATIENTS,) if of_two_patients(*sides) else ()
        if not arguments.no_picture:
            need_matplotlib()
            _refuse_present(picture)
    carried = carry(source, labels, target.volume, same_frame)
    kept = (COUNT, *(key for key in labels.provenance if key.startswith(("model", "weights"))))
    provenance = {key: labels.provenance[key] for key in kept if key in labels.provenance}
    warnings = (*labels.warnings, *map(note, (*doubts, str(carried))))
    told = replace(carried.labels, warnings=warnings, provenance=provenance)
    if is_of is not None:
        provenance["source"] = is_of.to_dict()
    try:
        arguments.output.mkdir(parents=True, exist_ok=True)
        with new_path(points) as temporary:
            write_labels(temporary, told)
        if source is not None and not arguments.no_picture:
            both = (source, labels), (target.volume, carried.labels)
            with new_path(picture) as temporary:
                write_carry_picture(temporary, *both, carried.errors_mm, name, str(carried))
    except OSError as error:
        raise InputError(
            f"{arguments.output} cannot be written ({error.strerror or error}): choose another folder."
        ) from error
    for warning in (*target.notes, *doubts, *labels.warnings):
        print(printable(f"warning: {warning}"))
    print(printable(str(carried)))
    print(printable(f"{name}: {', '.join(point.level for point in carried.labels.points)}; {points}"))
    return 0


def _refuse_present(path: Path) -> None:
    if path.exists():
        raise InputError(f"{path} is there already: rename it, or choose another folder with -o.")


def _identity(identify, path: Path, series: str | None):
    """What identifies a scan; ``None`` where it cannot be read, which reading will say."""
    try:
        return identify(path, series or "")
    except (InputError, OSError):
        return None


def _one_frame(shares_frame, path: Path, series: str | None, source) -> bool:
    """Whether a scan is known to have the frame of reference of the points."""
    try:
        return source is not None and shares_frame(path, series or "", source)
    except (InputError, OSError):  # which reading will say
        return False
