"""``vertebra-labeling evaluate PRED TRUTH``: scores of predicted points, as a table and as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..core.metrics import REGIONS, CaseScore, report, score_case
from ..errors import InputError
from ..formats.mrk_json import MarkupPoint, holds_discs, read_points
from ..system.atomic import write_text

SUFFIX = ".mrk.json"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser(
        "evaluate",
        help="score predicted points against truth",
        description="Score .mrk.json predictions against truth: two files, or two folders whose files are matched by "
        "name. A truth without prediction counts as missed; truth points described as 'cut' count neither way.",
    )
    parser.add_argument("predicted", type=Path, metavar="PRED", help="a .mrk.json file, or a folder of them")
    parser.add_argument("truth", type=Path, metavar="TRUTH", help="a .mrk.json file, or a folder of them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all scores to FILE as well")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the sub-command; returns 1 when a prediction could not be read (it counts as missed)."""
    pairs = matched(arguments.predicted, arguments.truth)
    cases, failed = [], False
    for name, (prediction, truth) in pairs.items():
        points: tuple[MarkupPoint, ...] = ()
        try:
            points = read_points(prediction) if prediction else ()
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            failed = True
        cases.append(_score(name, points, read_points(truth)))
    scores = report(cases)
    print(table(scores))
    missing = [name for name, (prediction, _) in pairs.items() if prediction is None]
    if missing:
        print(f"\nno prediction (counted as missed): {', '.join(missing)}")
    for path in without_truth(arguments.predicted, pairs):
        print(f"no truth (not scored): {path}")
    if arguments.json:
        try:
            write_text(arguments.json, json.dumps(scores, indent=1, allow_nan=False) + "\n")
        except OSError as error:
            raise InputError(f"{arguments.json} cannot be written ({error.strerror}): choose another place.") from error
    return int(failed)


def matched(predicted: Path, truth: Path) -> dict[str, tuple[Path | None, Path]]:
    """Truth files with their predictions: case name -> (prediction or ``None``, truth).

    In folders a prediction is the file at the same place below its folder, or the only one of that name, where the
    truth has it once too: two patients' ``ct`` must not share one.

    Raises:
        InputError: a path does not exist, a folder holds no truth, or a file is compared with a folder.
    """
    for path in (predicted, truth):
        if not path.exists():
            raise InputError(f"{path} does not exist: check the path.")
    if predicted.is_dir() != truth.is_dir():
        raise InputError("A file cannot be compared with a folder: give two files or two folders.")
    if truth.is_file():
        return {_name(truth.name): (predicted, truth)}
    truths, predictions = _files(truth), _files(predicted)
    if not truths:
        raise InputError(f"{truth} holds no {SUFFIX} file: give the folder of the truth.")
    by_name = _by_name(predictions)
    shared = {name for name, paths in _by_name(truths).items() if len(paths) > 1}
    return {
        name: (predictions.get(name) or (None if path.name in shared else _only(by_name.get(path.name, []))), path)
        for name, path in truths.items()
    }


def without_truth(predicted: Path, pairs: dict[str, tuple[Path | None, Path]]) -> list[Path]:
    """The predictions of a folder that were matched with no truth."""
    used = {prediction for prediction, _ in pairs.values()}
    return [path for path in _files(predicted).values() if path not in used] if predicted.is_dir() else []


def _files(folder: Path) -> dict[str, Path]:
    files = (path for path in sorted(folder.rglob(f"*{SUFFIX}")) if not holds_discs(path))
    return {_name(path.relative_to(folder).as_posix()): path for path in files}


def _name(file_name: str) -> str:
    return file_name[: -len(SUFFIX)] if file_name.endswith(SUFFIX) else file_name


def _by_name(files: dict[str, Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in files.values():
        found.setdefault(path.name, []).append(path)
    return found


def _only(paths: list[Path]) -> Path | None:
    return paths[0] if len(paths) == 1 else None


def _score(name: str, predicted: tuple[MarkupPoint, ...], truth: tuple[MarkupPoint, ...]) -> CaseScore:
    return score_case(
        name,
        {point.level: point.ras for point in predicted},
        {point.level: point.ras for point in truth},
        {point.level for point in truth if point.cut},
    )


def table(scores: dict) -> str:
    """The scores of :func:`metrics.report` as a table for people."""
    head = f"{'':12}{'strict id':>10}{'VerSe id':>10}{'precision':>10}"
    head += f"{'mean':>8}{'median':>8}{'p95':>8}{'all pairs':>10}{'n':>7}"
    lines = [head, *(_row(name, scores["regions"][name]) for name in REGIONS if scores["regions"][name]["n_vertebrae"])]
    lines += [_row("all", scores), ""]
    lines.append(
        f"{scores['scans_all_correct']} of {scores['n_scans']} scans all correct, {scores['shifted_scans']} shifted by "
        f"a level, {scores['false_positives']} false positives"
    )
    for name, case in scores["cases"].items():
        if case["missed"] or case["wrong"]:
            missed, wrong = (" ".join(case[key]) or "none" for key in ("missed", "wrong"))
            lines.append(f"  {name}: missed {missed}, wrong {wrong}{', shifted' if case['shifted_scans'] else ''}")
    return "\n".join(lines)


def _row(name: str, part: dict) -> str:
    rates = "".join(_cell(part[key], "{:.1f} %", 10, 100) for key in ("strict_id", "verse_id", "precision"))
    errors = "".join(_cell(part[key], "{:.1f}", 8) for key in ("mean_mm", "median_mm", "p95_mm"))
    return f"{name:12}{rates}{errors}{_cell(part['mean_all_mm'], '{:.1f} mm', 10)}{part['n_vertebrae']:>7}"


def _cell(value: float | None, form: str, width: int, factor: float = 1.0) -> str:
    return f"{'-' if value is None else form.format(value * factor):>{width}}"
