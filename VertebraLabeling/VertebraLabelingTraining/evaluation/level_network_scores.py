"""How well level networks name held-out scans and crops by themselves, to compare two recipes of their training.

    python -m VertebraLabelingTraining.evaluation.level_network_scores --data DATA --model MODEL.pt \\
        --runs C0 C1 C2 --out DIR

``C0`` to ``C2`` are run folders of level networks that have not seen fold 0, 1, 2 (``train --network level``). The
bodies are found and placed by the other networks of ``MODEL.pt``, which may have seen every scan; the names are those
of the level network alone. So the numbers compare level networks; they are no score of the product: that is
:mod:`.crossval` and :mod:`.field_of_view_crops`, which need a detection network for each fold. Folds may be
left out (``-``).
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from VertebraLabelingLib.errors import InputError, WeightsError
from VertebraLabelingLib.networks.weights import parameters_in, read_card
from VertebraLabelingLib.pipeline.labeler import VertebraLabeler
from VertebraLabelingLib.system.atomic import write_text

from ..data.evidence_folder import read_samples
from ..models.export import export_further
from ..networks.trainer import CHECKPOINT
from .crop_scores import Scored, score_sample
from .crossval import label_held_out, refuse_seen
from .draw_crops import patients_of
from .field_of_view_crops import label_crops, score_folder

NO_RUN = Path("-")


def level_labeler(model: Path, run: Path, names: Collection[str], fold: int) -> VertebraLabeler:
    """A model with the level network of a run, which has all of the say on the names.

    Raises:
        ValueError: the level network was trained on one of the cases.
    """
    refuse_seen(run / CHECKPOINT, names)
    weights = run / "model.pt"
    numbers = parameters_in(read_card(model))
    alone = replace(numbers, levels=replace(numbers.levels, weight=1.0))
    export_further(model, weights, f"counting test, fold {fold}", {"counting": run / CHECKPOINT}, alone)
    return VertebraLabeler(weights)


def score_scans(out: Path, splits: Path) -> list[Scored]:
    """Score the whole scans that :func:`crossval.label_held_out` has labeled."""
    samples = read_samples(out)
    patients = patients_of(splits, [sample.name for sample in samples])
    return [score_sample(sample, patients[sample.name]) for sample in samples]


def table(name: str, scored: Sequence[Scored]) -> list[str]:
    """Lines of a table: how many are correct, with a landmark and without, and which are wrong."""
    lines = []
    for title, chosen in (
        (name, scored),
        (f"{name}, with a landmark", [item for item in scored if item.landmarks]),
        (f"{name}, ct", [item for item in scored if item.name.startswith("ct/")]),
    ):
        vertebrae = sum(item.count for item in chosen)
        missed = sum(len(item.missed) for item in chosen)
        correct = sum(item.correct for item in chosen)
        if chosen:
            lines.append(f"| {title} | {correct} of {len(chosen)} | {100 - 100 * missed / max(vertebrae, 1):.1f} % |")
    wrong = [f"{item.name}{'' if item.flagged else ' (not flagged)'}" for item in scored if not item.correct]
    return [*lines, f"wrong: {', '.join(wrong) or 'none'}"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of CT with truth, with splits.json")
    parser.add_argument("--model", type=Path, required=True, help="finds and places the bodies")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="of fold 0, 1, 2; - leaves one out")
    parser.add_argument("--count", type=int, default=240, help="number of crops of all folds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    labeler_of, splits = partial(level_labeler, options.model), options.data / "splits.json"
    try:
        shutil.rmtree(options.out / "scans", ignore_errors=True)
        runs = [None if run == NO_RUN else run for run in options.runs]
        for fold, run in enumerate(runs):
            if run is not None:
                label_held_out(options.data, splits, run, fold, options.out / "scans", labeler_of)
        label_crops(options.data, runs, options.count, options.seed, options.out / "crops", labeler_of)
        scans, crops = score_scans(options.out / "scans", splits), score_folder(options.out / "crops")
    except (InputError, WeightsError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    lines = ["| set | all correct | vertebrae named correctly |", "|---|---|---|", *table("crops", crops)]
    lines += table("scans", scans)
    write_text(options.out / "levels.md", "\n".join(lines) + "\n")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
