"""Label random crops of held-out scans from scratch and say how many are correct, and how many wrong ones are flagged.

    python -m VertebraLabelingTraining.evaluation.field_of_view_crops --data DATA \\
        --runs R0 R1 R2 --count 240 --seed 0 --out DIR
    python -m VertebraLabelingTraining.evaluation.field_of_view_crops --data DATA --out DIR  (scores DIR again)

Each crop is a volume of its own, labeled by the network of the fold that holds its patient (:mod:`.draw_crops`
says how crops are drawn). Writes below ``--out`` for every crop the solver's evidence and the truth (folders
``evidence`` and ``truth``, as :mod:`.crossval` does), ``crops.json`` (patients and landmarks) and ``report.json``;
prints a table. Scores always come from the saved evidence, so a change of the solver needs no second run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.volume import to_canonical
from VertebraLabelingLib.errors import InputError, NoSpineError
from VertebraLabelingLib.formats.mrk_json import MarkupPoint, read_points
from VertebraLabelingLib.formats.truth import write_truth
from VertebraLabelingLib.pipeline.labeler import VertebraLabeler
from VertebraLabelingLib.scans.read_scan import read_volume
from VertebraLabelingLib.system.atomic import write_text

from ..data.added_truth import read_added
from ..data.cases import find_cases, fold_names, truth_file
from ..data.evidence_folder import evidence_path, nothing_found, read_samples, truth_path
from .crop_scores import Scored, report, score_sample, table
from .crossval import LabelerOf, held_out_labeler
from .draw_crops import Crop, draw_crop, patients_of, shares

CROPS, REPORT = "crops.json", "report.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of CT with truth, with splits.json")
    parser.add_argument("--runs", type=Path, nargs="+", help="run folders of fold 0, 1, 2; without, score again")
    parser.add_argument("--count", type=int, default=240, help="number of crops")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        if options.runs:
            label_crops(options.data, options.runs, options.count, options.seed, options.out)
        result = report(score_folder(options.out))
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    write_text(options.out / REPORT, json.dumps(result, indent=1) + "\n")
    print(table(result["groups"]))
    return 0


def label_crops(
    data: Path, runs: Sequence[Path | None], count: int, seed: int, out: Path, labeler_of: LabelerOf = held_out_labeler
) -> None:
    """Draw the crops and run the networks on them; what an earlier run left in ``out`` is replaced.

    The crops depend on the data, the seed and the number of folds alone, not on the networks.

    Args:
        data: folder of CT with truth, with ``splits.json``.
        runs: of fold 0, 1, ...; ``None`` leaves a fold out.
        count: number of crops of all folds together.
        seed: of the draws.
        out: folder to write to.
        labeler_of: makes the labeler of a fold.
    """
    splits = data / "splits.json"
    found = find_cases([data])
    fold_of = {name: fold for fold in range(len(runs)) for name in fold_names(splits, fold) if name in found}
    patients = patients_of(splits, sorted(fold_of))
    quota = shares(patients, count)
    for folder in ("evidence", "truth"):
        shutil.rmtree(out / folder, ignore_errors=True)
    listed: dict[str, dict] = {}
    for fold, run in enumerate(runs):
        if run is None:
            continue
        labeler = labeler_of(run, [name for name, its in fold_of.items() if its == fold], fold)
        for patient in sorted({patients[name] for name, its in fold_of.items() if its == fold}):
            scans = [name for name in sorted(patients) if patients[name] == patient]
            listed.update(_label_patient(patient, scans, found, quota[patient], seed, labeler, out))
            write_text(out / CROPS, json.dumps(listed, indent=1) + "\n")


def _label_patient(
    patient: str,
    scans: Sequence[str],
    found: dict[str, Path],
    count: int,
    seed: int,
    labeler: VertebraLabeler,
    out: Path,
) -> dict[str, dict]:
    """Cut and label the crops of one patient, in turn from each of the scans; crop name -> patient, landmarks."""
    rng = np.random.default_rng([seed, *patient.encode()])
    listed = {}
    for place, name in enumerate(scans):
        numbers = range(place, count, len(scans))
        if not numbers:
            continue
        volume, truth = to_canonical(read_volume(found[name])), read_points(truth_file(found[name], name))
        added = read_added(name, truth)
        for number in numbers:
            crop = draw_crop(volume, truth, rng, added)
            if crop is None:
                print(f"{name}: no run of three whole vertebrae, no crop", flush=True)
                break
            label = f"{name}__{number}"
            evidence = _label(labeler, crop)
            _write(out, label, evidence, crop, [*truth, *added])
            listed[label] = {"patient": patient, "landmarks": list(crop.landmarks)}
            print(json.dumps({"crop": label, "whole": f"{crop.whole[0]}-{crop.whole[-1]}"}), flush=True)
    return listed


def _label(labeler: VertebraLabeler, crop: Crop) -> Evidence:
    try:
        return labeler.label(crop.volume).evidence
    except NoSpineError:
        return nothing_found(crop.volume)


def _write(out: Path, name: str, evidence: Evidence, crop: Crop, truth: Sequence[MarkupPoint]) -> None:
    for path in (evidence_path(out, name), truth_path(out, name)):
        path.parent.mkdir(parents=True, exist_ok=True)
    cut = frozenset(point.level for point in truth if point.level not in crop.whole)
    write_truth(truth_path(out, name), {point.level: point.ras for point in truth}, cut)
    write_text(evidence_path(out, name), evidence.to_json())


def score_folder(out: Path) -> list[Scored]:
    """Solve every crop of a folder from its saved evidence and score it."""
    if not (out / CROPS).is_file():
        raise InputError(f"{out} holds no crops: give --runs to make them.")
    listed = json.loads((out / CROPS).read_text(encoding="utf-8"))
    return [score_sample(s, listed[s.name]["patient"], listed[s.name]["landmarks"]) for s in read_samples(out)]


if __name__ == "__main__":
    sys.exit(main())
