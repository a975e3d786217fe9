"""Evidence of scans whose patients no network has seen, kept for tests of all that follows the networks.

    python -m VertebraLabelingTraining.evaluation.golden_evidence --pack CV CROPS COUNTS --out FOLDER
    python -m VertebraLabelingTraining.evaluation.golden_evidence --out FOLDER                  (only solves again)

``CV``, ``CROPS`` and ``COUNTS`` are output folders of :mod:`.crossval`, :mod:`.field_of_view_crops` and
:mod:`.count_scores`: whole scans, fields of view of them, and whole scans of changed counts. Writes
``evidence.json.gz`` (what the solver was given, and the truth as text), ``cases.csv`` (one line a case: what is named,
which whole vertebrae are missed, which points lie on none of the truth, what is told) and ``points.csv`` (one line a
point). The tables are what the solver of today makes of the evidence: a reviewer reads their difference. Solving needs
neither torch nor the scans, and takes seconds.
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
from VertebraLabelingLib.errors import NoSpineError
from VertebraLabelingLib.solver.chain import solve
from VertebraLabelingLib.system.atomic import atomic_path, write_text

from ..data.evidence_folder import read_samples
from ..networks.variant_counts import USUAL

EVIDENCE, CASES, POINTS = "evidence.json.gz", "cases.csv", "points.csv"
_AS_IT_IS = f"+{USUAL}"  # count_scores labels unchanged scans too, and crossval has them
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
    parser.add_argument("--pack", type=Path, nargs="+", help="folders of evidence to keep from now on")
    parser.add_argument("--out", type=Path, required=True, help="folder of the evidence and its tables")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.pack:
        write_evidence(options.out, {case: data for folder in options.pack for case, data in packed(folder)})
    cases, points = tables(read_evidence(options.out))
    write_text(options.out / CASES, cases)
    write_text(options.out / POINTS, points)
    print(cases)
    return 0


def packed(folder: Path) -> Iterator[tuple[str, dict]]:
    """Case name -> evidence and truth, of each case of a folder of evidence."""
    for sample in read_samples(folder):
        if not sample.name.endswith(_AS_IT_IS):
            yield (
                sample.name,
                {
                    "evidence": json.loads(sample.evidence.to_json()) if len(sample.evidence.points) else None,
                    "truth": {level: [round(float(value), 1) for value in ras] for level, ras in sample.truth.items()},
                    "whole": [level for level in sample.truth if level not in sample.cut],
                },
            )


def write_evidence(folder: Path, cases: dict[str, dict]) -> None:
    """Write all cases into one file, the same bytes for the same cases."""
    text = json.dumps(cases, sort_keys=True, separators=(",", ":"))
    written = io.BytesIO()
    with gzip.GzipFile(fileobj=written, mode="wb", mtime=0) as stream:
        stream.write(text.encode())
    with atomic_path(folder / EVIDENCE) as path:
        path.write_bytes(written.getvalue())


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
