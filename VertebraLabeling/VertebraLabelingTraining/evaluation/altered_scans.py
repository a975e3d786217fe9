"""Label held-out scans that were altered as scans of other hospitals may differ, and say what names survive.

    python -m VertebraLabelingTraining.evaluation.altered_scans --data DATA --runs R0 R1 R2 --out DIR
    python -m VertebraLabelingTraining.evaluation.altered_scans --data DATA --model MODEL.pt --out DIR

Each scan is labeled by the network of the fold that holds its patient, once for each of :data:`ALTERATIONS`; or by a
model, then the scans are those of patients that it has not seen. Scans are all of ``ct/`` and every sixth of the
others. Writes ``report.json`` below ``--out`` and prints a table; flagged is what
:mod:`.crop_scores` calls so.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from VertebraLabelingLib.core.label_warning import REVIEW_KINDS
from VertebraLabelingLib.core.labels import LOW_CONFIDENCE
from VertebraLabelingLib.core.metrics import score_case
from VertebraLabelingLib.core.volume import Volume, to_canonical
from VertebraLabelingLib.errors import InputError, NoSpineError
from VertebraLabelingLib.formats.mrk_json import MarkupPoint
from VertebraLabelingLib.networks.weights import read_card
from VertebraLabelingLib.pipeline.labeler import VertebraLabeler
from VertebraLabelingLib.scans.read_scan import read_volume
from VertebraLabelingLib.system.atomic import write_text

from ..data.added_truth import read_truth
from ..data.cases import find_cases, fold_names
from .alterations import ALTERATIONS, Alteration
from .crossval import held_out_labeler
from .draw_crops import patients_of

EVERY = 6
_SETS = ("ct/", "openkbp/")


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of CT with truth, with splits.json")
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--runs", type=Path, nargs="+", help="run folders of fold 0, 1, 2")
    who.add_argument("--model", type=Path, help="a model file, for scans that it has not seen")
    parser.add_argument("--only", nargs="+", choices=list(ALTERATIONS), metavar="NAME", help="default: all")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    rows: list[dict] = []
    found = find_cases([options.data])
    groups = (
        of_model(options.model, options.data, found) if options.model else of_folds(options.runs, options.data, found)
    )
    for labeler, names in groups:
        ct, others = ([name for name in names if name.startswith("ct/") == is_ct] for is_ct in (True, False))
        for name in (*ct, *others[::EVERY]):
            volume, truth = to_canonical(read_volume(found[name])), read_truth(name, found[name])
            for kind in options.only or ALTERATIONS:
                rows.append({"alteration": kind, **label_altered(labeler, name, volume, truth, ALTERATIONS[kind])})
            options.out.mkdir(parents=True, exist_ok=True)
            write_text(options.out / "report.json", json.dumps(rows, indent=1) + "\n")
            print(name, flush=True)
    print(table(rows))


def of_folds(runs: Sequence[Path], data: Path, found: Collection[str]) -> Iterator[tuple[VertebraLabeler, list[str]]]:
    """Who labels, and the scans of that fold."""
    for fold, run in enumerate(runs):
        names = sorted(set(fold_names(data / "splits.json", fold)) & set(found))
        yield held_out_labeler(run, names, fold), names


def of_model(model: Path, data: Path, found: Collection[str]) -> Iterator[tuple[VertebraLabeler, list[str]]]:
    """The model, and its :func:`unseen_names`."""
    yield VertebraLabeler(model), unseen_names(model, data, found)


def unseen_names(model: Path, data: Path, found: Collection[str]) -> list[str]:
    """The scans that are in a fold and whose patients a model has not seen.

    Raises:
        InputError: there are none.
    """
    splits = json.loads((data / "splits.json").read_text(encoding="utf-8"))
    seen = set(read_card(model)["training"]["cases"])
    scored = {name for fold in splits["folds"] for names in fold.values() for name in names}
    patients = patients_of(data / "splits.json", [*scored, *seen])
    known = {patients[name] for name in seen}
    unseen = sorted(name for name in scored & set(found) if patients[name] not in known)
    if not unseen:
        raise InputError(f"{model.name} has seen all patients with truth: score the networks of the folds.")
    return unseen


def label_altered(
    labeler: VertebraLabeler, name: str, volume: Volume, truth: Sequence[MarkupPoint], alteration: Alteration
) -> dict:
    """Score one scan after one alteration: :class:`metrics.CaseScore` as plain values, and whether it was flagged."""
    altered, points = alteration(volume, np.array([point.ras for point in truth]))
    expected = {point.level: tuple(ras) for point, ras in zip(truth, points.tolist())}
    cut = {point.level for point in truth if point.cut}
    try:
        labels = labeler.label(altered)
    except NoSpineError:
        return {**asdict(score_case(name, {}, expected, cut)), "flagged": True, "said": [], "seconds": None}
    score = score_case(name, {point.level: point.ras for point in labels.points}, expected, cut)
    lowest = min(point.confidence for point in labels.points)
    flagged = lowest < LOW_CONFIDENCE or any(warning.kind in REVIEW_KINDS for warning in labels.warnings)
    said, seconds = [str(warning) for warning in labels.warnings], labels.provenance["seconds"]
    return {**asdict(score), "flagged": flagged, "said": said, "seconds": seconds}


def table(rows: Sequence[dict]) -> str:
    """Markdown: one line for each alteration."""
    head = [f"{name.rstrip('/')}: {column}" for name in _SETS for column in ("strict id", "scans correct", "mm")]
    lines = [f"| scans | {' | '.join(head)} | wrong, not flagged |", "|---" * (len(head) + 2) + "|"]
    for kind in dict.fromkeys(row["alteration"] for row in rows):
        own = [row for row in rows if row["alteration"] == kind]
        cells = [cell for name in _SETS for cell in _cells([row for row in own if row["name"].startswith(name)])]
        wrong = [row for row in own if not _is_correct(row)]
        unseen = sum(not row["flagged"] for row in wrong)
        lines.append(f"| {kind} | {' | '.join(cells)} | {unseen} of {len(wrong)} |")
    return "\n".join(lines)


def _cells(rows: Sequence[dict]) -> tuple[str, str, str]:
    whole = [vertebra for row in rows for vertebra in row["vertebrae"]]
    hits = [vertebra["distance_mm"] for vertebra in whole if vertebra["strict"]]
    if not whole:
        return "-", "-", "-"
    correct = f"{sum(map(_is_correct, rows))} of {len(rows)}"
    return f"{len(hits) / len(whole):.1%}", correct, f"{np.mean(hits):.1f}" if hits else "-"


def _is_correct(row: dict) -> bool:
    return not row["false_positives"] and all(vertebra["strict"] for vertebra in row["vertebrae"])


if __name__ == "__main__":
    main()
