"""Cross-validation by patient: label every held-out scan with the network that has not seen its patient.

    vertebra-labeling train --data DIR --splits DIR/splits.json --fold 0 --out runs/fold0      (and 1, 2)
    python -m VertebraLabelingTraining.evaluation.crossval --data DIR --runs runs/fold0 runs/fold1 runs/fold2 \\
        --out runs/cv

Writes below ``--out`` one ``.mrk.json`` per scan into ``predicted``, its truth into ``truth`` and the solver's evidence
into ``evidence``, in folders named as in the data folder, so that ``vertebra-labeling evaluate runs/cv/predicted/ct
runs/cv/truth/ct`` gives the scores. The truth written is that of :func:`added_truth.read_truth`; to score against the
data folder's own, give that folder to ``evaluate``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Collection
from pathlib import Path

import torch
from VertebraLabelingLib.errors import NoSpineError
from VertebraLabelingLib.formats.mrk_json import write_labels
from VertebraLabelingLib.formats.truth import write_truth
from VertebraLabelingLib.networks.weights import read_card
from VertebraLabelingLib.pipeline.labeler import VertebraLabeler
from VertebraLabelingLib.scans.read_scan import read_volume
from VertebraLabelingLib.system.atomic import write_text

from ..data.added_truth import read_truth
from ..data.cases import find_cases, fold_names
from ..data.evidence_folder import evidence_path, nothing_found, truth_path
from ..models.export import export, parts_of
from ..networks.trainer import CHECKPOINT

LabelerOf = Callable[[Path, Collection[str], int], VertebraLabeler]
"""Run folder, names of the cases to label, fold -> who labels them; raises where they were seen in training."""


def held_out_labeler(run: Path, names: Collection[str], fold: int) -> VertebraLabeler:
    """The networks of a run, ready to label the cases of its fold.

    Raises:
        ValueError: one of them was trained on one of the cases.
    """
    parts = parts_of(run)
    for checkpoint in (run / CHECKPOINT, *parts.values()):
        refuse_seen(checkpoint, names)
    model = run / "model.pt"
    export(run / CHECKPOINT, model, f"cross-validation fold {fold}", parts=parts)
    return VertebraLabeler(model)


def refuse_seen(weights: Path, names: Collection[str]) -> None:
    """Raise a ValueError where a run's checkpoint, or a model file, was trained on one of the cases."""
    if weights.with_suffix(".json").is_file():
        who, seen = weights, set(read_card(weights)["training"]["cases"])
    else:
        saved = torch.load(weights, map_location="cpu", weights_only=True)
        who, seen = weights.parent, {*saved["cases"], *saved.get("seen", ())}
    known = sorted(seen.intersection(names))
    if known:
        raise ValueError(f"{who} was trained on {known[0]}: its score would not be honest.")


def label_held_out(
    data: Path, splits: Path, run: Path, fold: int, out: Path, labeler_of: LabelerOf = held_out_labeler
) -> int:
    """Label the scans of one fold with the network of its run; returns how many were labeled."""
    names = set(fold_names(splits, fold))
    labeler = labeler_of(run, names, fold)
    count = 0
    for name, ct in find_cases([data]).items():
        if name not in names:
            continue
        truth = read_truth(name, ct)
        cut = frozenset(point.level for point in truth if point.cut)
        write_truth(_made(truth_path(out, name)), {point.level: point.ras for point in truth}, cut)
        volume = read_volume(ct)
        try:
            labels = labeler.label(volume)
        except NoSpineError as error:
            print(f"{name}: {error}")
            write_text(_made(evidence_path(out, name)), nothing_found(volume).to_json())
            continue
        write_labels(_made(out / "predicted" / f"{name}.mrk.json"), labels)
        write_text(_made(evidence_path(out, name)), labels.evidence.to_json())
        found = " ".join(point.level for point in labels.points)
        print(json.dumps({"case": name, "levels": found, "seconds": labels.provenance["seconds"]}), flush=True)
        count += 1
    return count


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--splits", type=Path, help="default: splits.json in the data folder")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run folders of fold 0, 1, 2")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    for fold, run in enumerate(arguments.runs):
        label_held_out(arguments.data, arguments.splits or arguments.data / "splits.json", run, fold, arguments.out)


if __name__ == "__main__":
    main()
