"""The chain solver on ImFusion VID: ``python -m VertebraLabelingTraining.vid.evaluate_vid --data DIR evaluate|tune``.

Detections and their scores are VID's own; only the naming is ours. Three kinds of evidence: the three region scores as
they are (*scores*); costs of all levels learned from training scans (*learned*, :mod:`.vid_levels`); the same with the
bodies that follow from pedicles whose body was not detected (*pedicles*, :mod:`.vid_pedicles`). Two protocols:
*patients apart* (no training scan of a validation patient is used) and *as published* (patients recur: mostly the prone
and the supine scan of one colonography).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.metrics import CaseScore, bootstrap_interval, summarize
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.solver.chain_parameters import ChainParameters

from ..evaluation.chain_tuning import Sample, calibrate, reliability, score, shift_margins, tune
from .vid_data import SAME_VERTEBRA_MM, VidScan, mean_spacing, read_vid
from .vid_levels import LevelModel, out_of_fold
from .vid_parameters import VID_LEARNED, VID_SCORES
from .vid_pedicles import with_inferred

PUBLISHED_ID = 0.9719


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    protocol: str
    evidence: str
    cases: list[CaseScore]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m VertebraLabelingTraining.vid.evaluate_vid", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with VID's training and validation files")
    commands = parser.add_subparsers(dest="command", required=True)
    evaluate = commands.add_parser("evaluate", help="score the validation scans and print the table")
    evaluate.add_argument("--bootstrap", type=int, default=2000, help="samples of the intervals")
    tuning = commands.add_parser("tune", help="search the solver's weights on training scans, patients apart")
    tuning.add_argument("--evidence", choices=("scores", "learned"), default="learned")
    tuning.add_argument("--rounds", type=int, default=3)
    tuning.add_argument("--seed", type=int, default=0)
    tuning.add_argument("--out", type=Path, help="write the weights to this JSON file")
    options = parser.parse_args(arguments)
    try:
        training, validation = read_vid(options.data, "training"), read_vid(options.data, "validation")
        if options.command == "evaluate":
            run_evaluate(training, validation, options.bootstrap)
        else:
            run_tune(apart(training, validation), options)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def apart(training: Sequence[VidScan], validation: Sequence[VidScan]) -> list[VidScan]:
    """The training scans whose patient is not in validation."""
    patients = {scan.patient for scan in validation}
    return [scan for scan in training if scan.patient not in patients]


def to_samples(scans: Sequence[VidScan], evidence: Sequence[Evidence]) -> list[Sample]:
    """Scans with their evidence, ready for scoring."""
    return [Sample(given, scan.truth, name=scan.name) for scan, given in zip(scans, evidence)]


def run_evaluate(training: Sequence[VidScan], validation: Sequence[VidScan], bootstrap: int) -> None:
    """Score all validation scans under both protocols with both kinds of evidence and print what came out."""
    separate = apart(training, validation)
    patients = {scan.patient for scan in training}
    recurring = sum(scan.patient in patients for scan in validation)
    print(f"training {len(training)} scans, {len(separate)} of them of patients apart")
    print(f"validation {len(validation)} scans, {recurring} of them of patients who recur in training")
    print(
        f"detected within {SAME_VERTEBRA_MM:.0f} mm, with no other one nearer: {_recall(validation):.2%} of vertebrae\n"
    )

    plain = to_samples(validation, [scan.evidence for scan in validation])
    show = _table_printer(validation, bootstrap)
    show(Row("no training", "scores", score(plain, VID_SCORES)))
    checked = _learned(separate, validation, with_inferred)
    show(Row("patients apart", "pedicles", score(checked, VID_LEARNED)))
    show(Row("patients apart", "learned", score(_learned(separate, validation), VID_LEARNED)))
    show(Row("as published", "pedicles", score(_learned(training, validation, with_inferred), VID_LEARNED)))
    print(f"extra: placed points that are no true hit; published graph network: {PUBLISHED_ID:.2%}\n")
    for name, scans, parameters in (("scores", plain, VID_SCORES), ("pedicles, apart", checked, VID_LEARNED)):
        _print_calibration(name, scans, parameters)


def _learned(
    training: Sequence[VidScan],
    validation: Sequence[VidScan],
    prepare: Callable[[VidScan], VidScan] = lambda scan: scan,
) -> list[Sample]:
    """Validation scans with evidence learned from the training scans, all of them prepared in the same way."""
    model = LevelModel().fit([prepare(scan) for scan in training])
    return to_samples(validation, [model.evidence(prepare(scan)) for scan in validation])


def run_tune(scans: Sequence[VidScan], options: argparse.Namespace) -> None:
    """Tune on a random part of the training scans, check on the others, and print the weights."""
    learned = options.evidence == "learned"
    scans = [with_inferred(scan) for scan in scans] if learned else scans
    evidence = out_of_fold(scans) if learned else [scan.evidence for scan in scans]
    ready = to_samples(scans, evidence)
    start = replace(VID_LEARNED if learned else VID_SCORES, spacing=mean_spacing(scans))
    report: Callable[[str], None] = lambda line: print(line, flush=True)  # noqa: E731
    best, reached = tune(ready, start, rounds=options.rounds, seed=options.seed, report=report)
    print(f"{len(ready)} scans: strict id {reached[0]:.2%}, all vertebrae right in {reached[1]:.1%}")
    best = calibrate(ready, best)
    if options.out:
        part = options.out.with_suffix(".part")
        part.write_text(best.to_json() + "\n", encoding="utf-8")
        part.replace(options.out)
    print(best.to_json())


def _recall(scans: Sequence[VidScan]) -> float:
    found = sum(int((scan.matched_levels() < 26).sum()) for scan in scans)
    return found / sum(len(scan.truth) for scan in scans)


def _table_printer(validation: Sequence[VidScan], bootstrap: int) -> Callable[[Row], None]:
    """Print the head of the table; returns what prints a row, as soon as it is known."""
    patient = {scan.name: scan.patient for scan in validation}
    vertebrae = sum(len(scan.truth) for scan in validation)
    print(f"n = {len(validation)} scans, {vertebrae} vertebrae, {len(set(patient.values()))} patients")
    head = (
        "protocol",
        "evidence",
        "strict id",
        "95 % by scan",
        "95 % by patient",
        "all right",
        "< 50 % right",
        "extra",
    )
    print("{:16}{:10}{:>10}{:>16}{:>17}{:>11}{:>14}{:>7}".format(*head), flush=True)

    def show(row: Row) -> None:
        summary = summarize(row.cases)
        intervals = [
            bootstrap_interval(row.cases, "strict_id", patient_of=key, samples=bootstrap) for key in (str, patient.get)
        ]
        low, high = ("{:.1%}-{:.1%}".format(*interval) for interval in intervals)
        right = sum(not case.missed for case in row.cases)
        bad = sum(len(case.missed) > len(case.vertebrae) / 2 for case in row.cases)
        print(
            f"{row.protocol:16}{row.evidence:10}{summary['strict_id']:>10.2%}{low:>16}{high:>17}"
            f"{f'{right}/{len(row.cases)}':>11}{bad:>14}{summary['false_positives']:>7}",
            flush=True,
        )

    return show


def _print_calibration(name: str, scans: Sequence[Sample], parameters: ChainParameters) -> None:
    confidence, right = reliability(scans, parameters)
    bins = np.digitize(confidence, (0.5, 0.7, 0.9, 0.97))
    print(f"confidence against truth ({name}):")
    for number, label in enumerate(("below 0.5", "0.5-0.7", "0.7-0.9", "0.9-0.97", "above 0.97")):
        chosen = bins == number
        if chosen.any():
            mean, share = confidence[chosen].mean(), right[chosen].mean()
            print(f"  {label:>10}: {chosen.sum():5} points, mean confidence {mean:.3f}, right {share:.3f}")
    margins, shifted = shift_margins(scans, parameters)
    warned = margins < parameters.shift_warning
    print(f"  warned of a shift: {(warned & shifted).sum()} of {shifted.sum()} shifted scans,", end=" ")
    print(f"{(warned & ~shifted).sum()} of the other {(~shifted).sum()}")


if __name__ == "__main__":
    sys.exit(main())
