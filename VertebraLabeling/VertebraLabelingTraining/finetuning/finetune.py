"""Fine-tune a model on a user's own corrected scans; the result is kept only where it is no worse than its parent.

    vertebra-labeling train --init shipped --data corrected/ --out runs/mine

Some cases are held out for validation, the parent is scored on them, each of its networks trains on the others, the
result is scored on the same held-out cases, and becomes a model file only when the score has not fallen.
"""

from __future__ import annotations

import hashlib
import math
import re
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

import torch
from VertebraLabelingLib.core.labels import PREDICTED
from VertebraLabelingLib.errors import InputError, VertebraLabelingError
from VertebraLabelingLib.formats.mrk_json import read_labels
from VertebraLabelingLib.networks.weights import default_weights, load_parts, read_card

from ..data.cases import Case, find_cases, read_cases, truth_file
from ..evaluation.validation import is_worse, score_model, table
from ..models.curves import plot_curves
from ..models.export import export, parts_of
from ..networks import detection_task
from ..networks.centroid_task import CentroidConfig, CentroidTrainer
from ..networks.config import RunConfig
from ..networks.detection_task import DetectionTrainer
from ..networks.level_task import LevelConfig, LevelTrainer
from ..networks.trainer import CHECKPOINT, HISTORY, Trainer
from .tuned_card import write_tuned_card

DETECTION, LEVEL, CENTROID = "detection", "level", "centroid"
SHIPPED = "shipped"  # stands for the weights that come with the program


@dataclass(frozen=True)
class HeldOut:
    """Which cases are kept for validation.

    Attributes:
        share: share of the cases, 0..1; at least one.
        patterns: shell patterns of case names; where given, they choose instead of the share.
    """

    share: float = 0.25
    patterns: tuple[str, ...] = ()


def fine_tune(
    start: str,
    data: Sequence[Path],
    out: Path,
    settings: Mapping[str, RunConfig],
    held_out: HeldOut,
    device: str = "cpu",
    exclude: Collection[str] = (),
    resume: bool = False,
    progress: Callable[[float, str], None] | None = None,
) -> Path:
    """Fine-tune and validate; see the module's docstring. What is done is printed.

    Args:
        start: model file, training checkpoint, or ``"shipped"``.
        data: folders of CT files with corrected ``<name>.mrk.json`` beside them.
        out: run folder, which also receives the model.
        settings: of each network, by the names of :func:`tuning_settings`; those that the parent lacks are passed over.
        held_out: how the validation cases are chosen; the seed is that of the first settings.
        exclude: shell patterns of cases to leave out altogether.
        resume: continue from the checkpoint in ``out``.

    Returns:
        the model file; its ``.json`` and ``.md`` lie beside it.

    Raises:
        InputError: too few cases, or all of them were seen by the parent.
        WeightsError: the parent cannot be used.
        VertebraLabelingError: the score fell; no model was written.
    """
    parent = parent_model(start, out)
    card = read_card(parent)
    seen = card.get("training", {}).get("cases", [])
    found = usable_cases(find_cases(data, list(exclude)))
    seed = settings[DETECTION].seed
    training, validation = split_cases(found, seen, held_out, seed)
    print(f"start: {parent.stem}, version {card['version']}")
    print(f"training: {len(training)} cases{_uncorrected(training)}")
    print(f"validation: {len(validation)} of {len(found)} cases, seed {seed}: {', '.join(validation)}")

    before = score_model(parent, validation, device, _stage(progress, "labeling before: "))
    cases = read_cases(training)
    trainers = _trainers(parent, cases, out, settings, device)
    for trainer in trainers.values():
        trainer.initialize(parent)
        if resume and trainer.resume():  # with another split it would be refused: it trained on what this validates on
            print(f"resumed at step {trainer.step}")
    for name, trainer in trainers.items():
        trainer.run(progress=_stage(progress, f"{name}: "))
        if not all(value.isfinite().all() for value in trainer.average.state_dict().values()):
            raise VertebraLabelingError("The training diverged, so no model was written: give a lower --learning-rate.")
    plot_curves(out / HISTORY, out / "curves.png")

    model = out / f"{parent.stem}-{_plain(out.name)}.pt"
    with tempfile.TemporaryDirectory(dir=out) as folder:
        candidate = Path(folder) / model.name
        export(out / CHECKPOINT, candidate, card["version"], parts=parts_of(out), kept_from=parent)
        after = score_model(candidate, validation, device, _stage(progress, "labeling after: "))
    print(f"\n{len(validation)} validation cases, not trained on:\n{table(before, after)}")
    if is_worse(before, after):
        raise VertebraLabelingError(
            f"The score on the {len(validation)} validation cases fell (see the table above), so no model was written: "
            "correct more scans, or give fewer --steps or a lower --learning-rate."
        )
    own = [case.name for case in cases]
    more = {
        "parent": {"name": parent.stem, "version": card["version"], "sha256": card["sha256"]},
        "own_cases": own,
        "validation": {"cases": list(validation), "before": before, "after": after},
    }
    export(out / CHECKPOINT, model, f"{card['version']}+{_plain(out.name)}", more, parts_of(out), kept_from=parent)
    write_tuned_card(model, parent, before, after)
    return model


def tuning_settings() -> dict[str, RunConfig]:
    """Settings for each network: a few hundred small steps from trained weights, normalizations frozen."""
    alike = {"warmup": 0.1, "freeze_norms_from": 0.0, "ema": 0.99, "checkpoint_every": 100}
    return {
        DETECTION: detection_task.FINE_TUNING,
        LEVEL: LevelConfig(steps=400, learning_rate=5e-4, shares={"*": 1.0}, **alike),
        CENTROID: CentroidConfig(steps=300, learning_rate=5e-4, shares={"*": 1.0}, **alike),
    }


def _trainers(
    parent: Path, cases: list[Case], out: Path, settings: Mapping[str, RunConfig], device: str
) -> dict[str, Trainer]:
    """Who trains each network of the parent; one that nothing can be learned for from these cases stays as it is."""
    widths = tuple(read_card(parent)["widths"])
    trainers: dict[str, Trainer] = {
        DETECTION: DetectionTrainer(replace(settings[DETECTION], widths=widths), cases, out, device)
    }
    known = load_parts(parent)
    for name, kind in ((LEVEL, LevelTrainer), (CENTROID, CentroidTrainer)):
        if kind.part in known:
            try:
                trainers[name] = kind(settings[name], cases, out / kind.part)
            except InputError as error:
                print(f"the {name} network stays as it is: {error}")
    return trainers


def parent_model(start: str, out: Path) -> Path:
    """The model file to start from; a training checkpoint is exported into the run folder first."""
    path = default_weights() if start == SHIPPED else Path(start)
    if not path.is_file() or path.with_suffix(".json").is_file():
        read_card(path)  # a missing file is told here
        return path
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        exported = Path(out) / f"{_plain(path.resolve().parent.name)}.pt"
        export(path, exported, f"step {saved['step']}")
    except (KeyError, TypeError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise InputError(
            f"{path.name} is neither a model with its .json card nor a training checkpoint: give another --init."
        ) from error
    except Exception as error:  # what torch raises for foreign pickles has no common base
        if "weights_only" not in str(error) and "pickle" not in type(error).__name__.lower():
            raise
        raise InputError(f"{path.name} holds more than weights and was not opened: give another --init.") from error
    return exported


def usable_cases(found: Mapping[str, Path]) -> dict[str, Path]:
    """The cases whose truth can be read; the others are named and left out, before anything is split."""
    usable = {}
    for name, ct in found.items():
        try:
            read_labels(truth_file(ct))
            usable[name] = ct
        except InputError as error:
            print(f"left out: {name}: {error}")
    return usable


def split_cases(
    found: Mapping[str, Path], seen: Collection[str], held_out: HeldOut, seed: int
) -> tuple[dict[str, Path], dict[str, Path]]:
    """Split into training and validation cases.

    The validation cases are those with the smallest hash of seed and name, so that the split stays nearly the same when
    cases are added. A case that the parent was trained on is never held out: its score before would not be honest.

    Raises:
        InputError: nothing is left for one of the two.
    """
    known = set(seen)
    fresh = [name for name in found if name not in known]
    if held_out.patterns:
        chosen = [name for name in found if any(fnmatch(name, pattern) for pattern in held_out.patterns)]
        trained = sorted(known.intersection(chosen))
        if trained:
            raise InputError(f"The weights were trained on {trained[0]}: it cannot be held out, choose other cases.")
    else:
        count = max(1, math.ceil(held_out.share * len(found) - 1e-9))
        chosen = sorted(fresh, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest())[:count]
    validation = {name: found[name] for name in sorted(chosen)}
    training = {name: ct for name, ct in found.items() if name not in validation}
    if not validation or not training:
        raise InputError(
            f"{len(found)} cases can be used, {len(fresh)} of them new to the weights: fine-tuning needs at least one "
            "new case to validate and another one to train."
        )
    return training, validation


def _uncorrected(cases: Mapping[str, Path]) -> str:
    """A hint for people who forgot to correct: training on one's own predictions teaches nothing."""
    plain = sum(
        all(point.status == PREDICTED and point.confidence < 1 for point in read_labels(truth_file(ct)).points)
        for ct in cases.values()
    )
    return f"; {plain} of them hold no point that was moved, named or confirmed: were they corrected?" if plain else ""


def _stage(progress: Callable[[float, str], None] | None, prefix: str) -> Callable[[float, str], None] | None:
    return (lambda fraction, name: progress(fraction, prefix + name)) if progress else None


def _plain(name: str) -> str:
    """A folder name as part of a file name and of a version."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.") or "tuned"
