"""How held-out scans of unusual counts are named (:mod:`.changed_counts`), beside the same scans as they are.

    python -m VertebraLabelingTraining.evaluation.count_scores --data DATA --runs R0 R1 R2 --out DIR
    python -m VertebraLabelingTraining.evaluation.count_scores --data DATA --model MODEL.pt --runs C0 C1 C2 --out DIR

``R0`` to ``R2`` are run folders of the folds with all networks. With ``--model``, ``C0`` to ``C2`` are run folders of
level networks alone; the model's other networks find and place the bodies, so only scans of patients that it has not
seen are labeled. Folds may be left out (``-``). Evidence and truth go below ``--out`` and are not made again; the table
is of the solver as it is, so it can be run again without networks.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from VertebraLabelingLib.core.volume import Volume, to_canonical
from VertebraLabelingLib.errors import NoSpineError
from VertebraLabelingLib.formats.mrk_json import MarkupPoint
from VertebraLabelingLib.formats.truth import write_truth
from VertebraLabelingLib.pipeline.labeler import VertebraLabeler
from VertebraLabelingLib.scans.read_scan import read_volume
from VertebraLabelingLib.system.atomic import write_text

from ..data.added_truth import read_truth
from ..data.cases import find_cases, fold_names
from ..data.evidence_folder import evidence_path, nothing_found, read_samples, truth_path
from ..networks.variant_counts import USUAL
from .altered_scans import unseen_names
from .changed_counts import KINDS, changed_scans
from .crop_scores import Scored, score_sample
from .crossval import LabelerOf, held_out_labeler
from .draw_crops import patients_of
from .level_network_scores import NO_RUN, level_labeler


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of CT with truth, with splits.json")
    parser.add_argument("--runs", type=Path, nargs="+", default=[], help="of fold 0, 1, 2; - leaves one out")
    parser.add_argument("--model", type=Path, help="finds and places the bodies; the runs are of level networks")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    splits, found = options.data / "splits.json", find_cases([options.data / "ct"])
    found = {f"ct/{name}": path for name, path in found.items()}
    allowed = set(unseen_names(options.model, options.data, found)) if options.model else set(found)
    labeler_of: LabelerOf = partial(level_labeler, options.model) if options.model else held_out_labeler
    for fold, run in enumerate(options.runs):
        names = sorted(set(fold_names(splits, fold)) & allowed)
        if run == NO_RUN or not names:
            continue
        labeler = labeler_of(run, names, fold)
        for name in names:
            label_scan(
                labeler, name, to_canonical(read_volume(found[name])), read_truth(name, found[name]), options.out
            )
            print(name, flush=True)
    print(table(score_folder(options.out, splits)))


def label_scan(labeler: VertebraLabeler, name: str, volume: Volume, truth: list[MarkupPoint], out: Path) -> None:
    """Write evidence and truth of a scan and of all its changes, unless they are there."""
    for kind, scan, expected in _variants(volume, truth):
        case = f"{name}+{kind}".replace(" ", "-")
        if evidence_path(out, case).is_file():
            continue
        for path in (evidence_path(out, case), truth_path(out, case)):
            path.parent.mkdir(parents=True, exist_ok=True)
        cut = frozenset(point.level for point in expected if point.cut)
        write_truth(truth_path(out, case), {point.level: point.ras for point in expected}, cut)
        try:
            evidence = labeler.label(scan).evidence
        except NoSpineError:
            evidence = nothing_found(scan)
        write_text(evidence_path(out, case), evidence.to_json())


def _variants(volume: Volume, truth: list[MarkupPoint]) -> Iterator[tuple[str, Volume, list[MarkupPoint]]]:
    yield USUAL, volume, truth
    for made in changed_scans(volume, truth):
        yield f"{made.kind}+{made.level}", made.volume, made.truth


def score_folder(out: Path, splits: Path) -> list[Scored]:
    """Solve what :func:`label_scan` has written and compare it with the truth."""
    samples = read_samples(out)
    scans = [sample.name.split("+")[0] for sample in samples]
    patients = patients_of(splits, scans)
    scored = [score_sample(sample, patients[scan]) for sample, scan in zip(samples, scans)]
    rows = [
        {
            "name": item.name,
            "correct": item.correct,
            "flagged": item.flagged,
            "missed": item.missed,
            "wrong": item.wrong,
        }
        for item in scored
    ]
    write_text(out / "report.json", json.dumps(rows, indent=1) + "\n")
    return scored


def table(scored: Sequence[Scored]) -> str:
    """Markdown: a line for each kind of change."""
    lines = ["| count | cases (patients) | all correct | wrong, flagged | correct, flagged |", "|---|---|---|---|---|"]
    kinds = {kind: kind.replace(" ", "-") for kind in (USUAL, *KINDS)}
    groups = {kind: [item for item in scored if item.name.split("+")[1] == key] for kind, key in kinds.items()}
    groups["all changed"] = [item for item in scored if item.name.split("+")[1] != USUAL]
    for kind, own in groups.items():
        correct, wrong = ([item for item in own if item.correct == value] for value in (True, False))
        flagged = [f"{sum(item.flagged for item in part)} of {len(part)}" for part in (wrong, correct)]
        patients = len({item.patient for item in own})
        lines.append(f"| {kind} | {len(own)} ({patients}) | {len(correct)} | {' | '.join(flagged)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
