"""Evidence of scans that the shipped model has never seen, kept for tests of all that follows the networks.

    python -m VertebraLabelingTraining.evaluation.golden_evidence --data DATA --out FOLDER     (labels, some minutes)
    python -m VertebraLabelingTraining.evaluation.golden_evidence --out FOLDER --table-only    (solves again, seconds)

Writes ``evidence.json.gz`` (what the solver was given, and the truth as text), ``cases.csv`` (one line a case: what is
named, which whole vertebrae are missed, which points lie on none of the truth, what is told) and ``points.csv`` (one
line a point). The tables are what the solver of today makes of the evidence: a reviewer reads their difference. Solving
needs neither torch nor the scans.

The scans are those of :data:`HELD_OUT`, whole, and fields of view drawn from them (:mod:`.draw_crops`).
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.core.metrics import score_case
from VertebraLabelingLib.core.parameters import SHIPPED, ChainParameters
from VertebraLabelingLib.core.volume import Volume, to_canonical
from VertebraLabelingLib.errors import NoSpineError
from VertebraLabelingLib.formats.mrk_json import MarkupPoint, read_points
from VertebraLabelingLib.solver.chain import solve
from VertebraLabelingLib.system.atomic import atomic_path, write_text

from .draw_crops import draw_crop

HELD_OUT = (
    "lidc_idri_0001",
    "acrin_nsclc042",
    "crlm1004",
    "crlm1006",
    "gewb_f67",
    "lidc002",
    "lidc0314",
    "lscc04457_head",
    "lung4d_113",
    "maastro_thorax",
    "nlst_ohif",
    "radiogenomics_r01001",
)
CROPS_OF_EACH, SEED = 5, 0
EVIDENCE, CASES, POINTS = "evidence.json.gz", "cases.csv", "points.csv"
CASE_COLUMNS = (
    "case",
    "whole",
    "named",
    "missed",
    "others",
    "mean mm",
    "shift margin",
    "lowest confidence",
    "warnings",
)
POINT_COLUMNS = ("case", "level", "r", "a", "s", "confidence")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of CT with truth")
    parser.add_argument("--out", type=Path, required=True, help="folder of the evidence and its tables")
    parser.add_argument("--table-only", action="store_true", help="keep the evidence and write its tables anew")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.table_only:
        write_evidence(options.out, dict(label_cases(options.data)))
    cases, points = tables(read_evidence(options.out))
    write_text(options.out / CASES, cases)
    write_text(options.out / POINTS, points)
    print(cases)
    return 0


def held_out_scans(
    data: Path, names: Sequence[str] = HELD_OUT
) -> Iterator[tuple[str, Volume, tuple[MarkupPoint, ...]]]:
    """Name, canonical volume and truth of scans that the shipped model has never seen; the demo CT is downloaded."""
    from VertebraLabelingLib.scans.read_scan import read_volume
    from VertebraLabelingLib.scans.sample_ct import fetch_sample

    for name in names:
        path = data / "ct" / f"{name}.nii.gz"
        volume = to_canonical(read_volume(path if path.is_file() else fetch_sample(Path(".cache"))))
        yield name, volume, read_points(data / "ct" / f"{name}.mrk.json")


def held_out_cases(
    data: Path, crops: int = CROPS_OF_EACH
) -> Iterator[tuple[str, Volume, tuple[MarkupPoint, ...], list[str]]]:
    """Name, volume, truth and whole levels of each held-out scan and of the first ``crops`` fields of view of it."""
    for name, volume, truth in held_out_scans(data):
        yield name, volume, truth, [point.level for point in truth if not point.cut]
        rng = np.random.default_rng([SEED, *name.encode()])
        for number in range(crops):
            crop = draw_crop(volume, truth, rng)
            if crop is not None:
                yield f"{name}__{number}", crop.volume, truth, list(crop.whole)


def label_cases(data: Path) -> Iterator[tuple[str, dict]]:
    """Case name -> evidence and truth, of each held-out scan and its fields of view; runs the networks."""
    from VertebraLabelingLib.pipeline.labeler import VertebraLabeler

    labeler = VertebraLabeler(device="cpu")
    for name, volume, truth, whole in held_out_cases(data):
        yield name, _case(labeler, volume, truth, whole)


def _case(labeler, volume: Volume, truth: Sequence[MarkupPoint], whole: Sequence[str]) -> dict:
    try:
        evidence = labeler.label(volume).evidence
    except NoSpineError:
        evidence = None
    return {
        "evidence": None if evidence is None else json.loads(evidence.to_json()),
        "truth": {point.level: [round(float(value), 1) for value in point.ras] for point in truth},
        "whole": list(whole),
    }


def write_evidence(folder: Path, cases: dict[str, dict]) -> None:
    """Write all cases into one file, the same bytes for the same cases."""
    text = json.dumps(cases, sort_keys=True, separators=(",", ":"))
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as stream:
        stream.write(text.encode())
    with atomic_path(folder / EVIDENCE) as path:
        path.write_bytes(packed.getvalue())


def read_evidence(folder: Path) -> dict[str, dict]:
    """Case name -> ``evidence``, ``truth`` (level -> world RAS mm) and ``whole`` (levels), as written."""
    with gzip.open(folder / EVIDENCE, "rt", encoding="utf-8") as stream:
        return json.load(stream)


def evidence_of(case: dict) -> Evidence | None:
    """What the solver is given of a case; ``None`` where the networks saw nothing."""
    return None if case["evidence"] is None else Evidence.from_json(json.dumps(case["evidence"]))


def named(evidence: Evidence | None, parameters: ChainParameters = SHIPPED.chain) -> SpineLabels | None:
    """What the solver makes of evidence; ``None`` where it finds no vertebra."""
    try:
        return None if evidence is None else solve(evidence, None, parameters)
    except NoSpineError:
        return None


def solved(case: dict) -> SpineLabels | None:
    """What the solver makes of a case; ``None`` where it finds no vertebra."""
    return named(evidence_of(case))


def tables(cases: dict[str, dict]) -> tuple[str, str]:
    """The text of ``cases.csv`` and ``points.csv``."""
    case_rows, point_rows = [], []
    for name, case in sorted(cases.items()):
        labels = solved(case)
        points = labels.points if labels else ()
        case_rows.append(_case_row(name, case, labels))
        point_rows += [
            (name, point.level, *(f"{value:.1f}" for value in point.ras), f"{point.confidence:.2f}") for point in points
        ]
    return _csv(CASE_COLUMNS, case_rows), _csv(POINT_COLUMNS, point_rows)


def _case_row(name: str, case: dict, labels: SpineLabels | None) -> tuple[str, ...]:
    points = {point.level: point.ras for point in labels.points} if labels else {}
    cut = set(case["truth"]) - set(case["whole"])
    score = score_case(name, points, case["truth"], cut)
    errors = [
        np.linalg.norm(np.subtract(points[level], case["truth"][level])) for level in case["whole"] if level in points
    ]
    return (
        name,
        _run(case["whole"]),
        _run(list(points)),
        " ".join(score.missed),
        " ".join(score.false_positives),
        f"{np.mean(errors):.1f}" if errors else "",
        f"{labels.provenance['shift_margin']:.1f}" if labels else "",
        f"{min(point.confidence for point in labels.points):.2f}" if labels else "",
        " | ".join(map(str, labels.warnings)) if labels else "no vertebra found",
    )


def _run(levels: Sequence[str]) -> str:
    return f"{levels[0]}-{levels[-1]} ({len(levels)})" if levels else "none"


def _csv(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


if __name__ == "__main__":
    sys.exit(main())
