"""How far the answers move when a chosen number moves by a third.

    python -m VertebraLabelingTraining.evaluation.parameter_effects --data DATA --model MODEL.pt --out FILE.md
    python -m VertebraLabelingTraining.evaluation.parameter_effects --data DATA --runs R0 R1 R2 --out FILE.md

The numbers of the solver are moved on the golden evidence (:mod:`.golden_evidence`), in minutes, without networks.
Those of the other stages are moved where networks run, on :data:`HELD_OUT`, whole, and two fields of view of each;
those of the pose search on some of them turned, upside down and small. The networks are those of the folds, of which
each labels the scans of its own, or a model's, which may have seen these patients; the table says which. Each run
begins with the stage whose number is moved; what the detection network says of a pose is kept. Some hours on two
cores; ``--stages`` names the stages to measure anew, the rows of the others stay as they are in ``--out``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.core.metrics import score_case
from VertebraLabelingLib.core.parameters import GROUPS, SHIPPED, PipelineParameters, chosen_numbers
from VertebraLabelingLib.core.volume import Volume, to_canonical
from VertebraLabelingLib.errors import InputError, NoSpineError
from VertebraLabelingLib.formats.mrk_json import MarkupPoint, read_points
from VertebraLabelingLib.system.atomic import write_text

from ..data.cases import find_cases, truth_file
from .draw_crops import draw_crop
from .golden_evidence import evidence_of, named, read_evidence

if TYPE_CHECKING:
    from VertebraLabelingLib.pipeline.stages import Stage

PART = 1 / 3
CROPS, SEED = 2, 0  # fields of view of each scan
POSED = ("ct/acrin_nsclc042", "ct/crlm1006", "ct/nlst_ohif", "ct/gewb_f67")
HELD_OUT = (
    *POSED,
    "ct/acrin_flt_A_headneck",
    "ct/lidc002",
    "ct/lidc0314",
    "ct/lscc04457_head",
    "ct/lung4d_113",
    "ct/maastro_thorax",
    "ct/radiogenomics_r01001",
    "ct/tcga_lihc_acq1",
)  # one of each patient
POSES = ("turned by 45 degrees", "on the belly", "feet first", "size 0.65")
FOLDS, MODEL = "F", "M"
HEAD = ("| stage | number | value | on | networks | a third less | a third more |", "|---|---|---|---|---|---|---|")
TEXT = """# Chosen numbers

For developers. The numbers of the pipeline that were chosen on data, or by a reason where they move nothing
(`core/parameters.py`, where each is explained). The card of a model holds them. The last two columns tell what changes
when one number alone moves by a third (shares and probabilities to at most 0.99): whole vertebrae that are strictly
identified, net; mean distance (mm); mean confidence ("sure"); cases whose warnings change. "=": nothing, to
a hundredth of a millimeter and a thousandth.

`chain`: all cases of the golden evidence. `pose`: 4 scans, each turned by 45 degrees, on the belly, feet first and at
0.65 of its size. Other stages: 12 scans of `ct`, and two fields of view of each; the rows of `detection`, `levels`,
`centroids`, `missing`, `smoothing` and `implants` are of networks of another training by the same recipe.

Networks:
F: those of the folds, of which each labels patients that it has not seen;
M: the model that ships, which has seen them and is surer of them, so that less moves.

Chosen on:
{sources}.

```sh
python -m VertebraLabelingTraining.evaluation.parameter_effects --data DATA --out docs/parameters.md \\
  --runs runs/fold-0 runs/fold-1 runs/fold-2   # or, without the networks of the folds: --model MODEL.pt
```

"""


class Labeled(Protocol):
    """What labels all cases with other numbers."""

    def __call__(self, parameters: PipelineParameters) -> dict[str, SpineLabels | None]: ...


@dataclass(frozen=True)
class Truth:
    """Where the vertebrae of a case are: level -> world RAS mm, and which of them the image shows whole."""

    points: dict[str, Sequence[float]]
    whole: frozenset[str]


@dataclass(frozen=True)
class Score:
    """Of one set of numbers on all cases."""

    named: int
    total: int
    distance: float
    confidence: float
    told: dict[str, tuple[str, ...]] = field(default_factory=dict)


def moved(parameters: PipelineParameters, group: str, name: str, factor: float) -> PipelineParameters:
    """The parameters with one number (or tuple of numbers) times ``factor``."""
    numbers = getattr(parameters, group)
    value = getattr(numbers, name)
    unit = next(item.metadata["unit"] for item in fields(numbers) if item.name == name)
    if isinstance(value, tuple):
        return replace(parameters, **{group: replace(numbers, **{name: tuple(factor * each for each in value)})})
    other = factor * value
    if unit in ("share", "probability") and value < 1:
        other = min(other, 0.99)
    return replace(parameters, **{group: replace(numbers, **{name: other})})


def score(labels: dict[str, SpineLabels | None], truths: dict[str, Truth]) -> Score:
    """Compare the labels of all cases with their truths."""
    named, total, distances, sure, told = 0, 0, [], [], {}
    for name, truth in truths.items():
        found = labels[name]
        points = {point.level: point.ras for point in found.points} if found else {}
        case = score_case(name, points, truth.points, set(truth.points) - truth.whole)
        hits = [vertebra for vertebra in case.vertebrae if vertebra.strict]
        named, total = named + len(hits), total + len(case.vertebrae)
        distances += [np.linalg.norm(np.subtract(points[hit.level], truth.points[hit.level])) for hit in hits]
        sure += [point.confidence for point in found.points] if found else []
        told[name] = tuple(map(str, found.warnings)) if found else ("no vertebra found",)
    return Score(named, total, float(np.mean(distances)), float(np.mean(sure)), told)


def difference(before: Score, after: Score) -> str:
    """What changes, in a cell of the table."""
    said = []
    if after.named != before.named:
        said.append(f"{after.named - before.named:+d} named")
    if abs(after.distance - before.distance) >= 0.005:
        said.append(f"{after.distance - before.distance:+.2f} mm")
    if abs(after.confidence - before.confidence) >= 0.0005:
        said.append(f"{after.confidence - before.confidence:+.3f} sure")
    warned = sum(after.told[name] != before.told[name] for name in before.told)
    if warned:
        said.append(f"{warned} warned")
    return ", ".join(said) or "="


def effects(group: str, label: Labeled, truths: dict[str, Truth]) -> Iterator[tuple[str, str, str]]:
    """Name of each number of a stage, and what a third less and a third more change."""
    before = score(label(SHIPPED), truths)
    for item in fields(GROUPS[group]):
        cells = [
            difference(before, score(label(moved(SHIPPED, group, item.name, factor)), truths))
            for factor in (1 - PART, 1 + PART)
        ]
        print(group, item.name, *cells, sep=" | ", file=sys.stderr, flush=True)
        yield item.name, cells[0], cells[1]


def golden(folder: Path) -> tuple[Labeled, dict[str, Truth]]:
    """The solver on the golden evidence."""
    cases = read_evidence(folder)
    evidence = {name: evidence_of(case) for name, case in cases.items()}
    truths = {name: Truth(case["truth"], frozenset(case["whole"])) for name, case in cases.items()}
    return lambda parameters: {name: named(evidence[name], parameters.chain) for name in cases}, truths


def first_stage(group: str) -> Stage:
    """The first stage that reads the numbers of a group; those of the chain are read on the golden evidence."""
    from VertebraLabelingLib.pipeline import stages

    return {
        "detection": stages.DETECT,
        "pose": stages.POSE,
        "levels": stages.LEVELS,
        "centroids": stages.CENTROIDS,
        "missing": stages.MISSING,
        "smoothing": stages.CENTROIDS,
        "implants": stages.AROUND,
        "ends": stages.AROUND,
    }[group]


class Runs:
    """Scans labeled from a stage on, again and again."""

    def __init__(self, data: Path, runs: Sequence[Path] | None, model: Path | None) -> None:
        from VertebraLabelingLib.pipeline.labeler import VertebraLabeler

        from .altered_scans import of_folds

        self.found = find_cases([data])
        groups = [(VertebraLabeler(model), HELD_OUT)] if model else of_folds(runs, data, self.found)
        self.models = {name: labeler.model for labeler, names in groups for name in names}
        self.kept: dict[tuple, Evidence] = {}

    def of(self, group: str) -> tuple[Labeled, dict[str, Truth]]:
        """What labels the cases of a stage with other numbers, and their truths."""
        from VertebraLabelingLib.pipeline import stages

        cases = dict(self.posed() if group == "pose" else self.usual())
        every = (*stages.FIRST_STAGES, *stages.NETWORK_STAGES, *stages.LAST_STAGES)
        first = every.index(first_stage(group))
        begun = {
            case: stages.run_stages(every[:first], stages.State(volume), self._engine(case, SHIPPED))
            for case, (volume, _) in cases.items()
        }

        def label(parameters: PipelineParameters) -> dict[str, SpineLabels | None]:
            def one(case: str, state: stages.State) -> SpineLabels | None:
                try:
                    done = stages.run_stages(every[first:], state, self._engine(case, parameters))
                except NoSpineError:
                    return None
                return replace(done.labels, warnings=(*done.labels.warnings, *done.warnings))

            return {case: one(case, state) for case, state in begun.items()}

        return label, {name: truth for name, (_, truth) in cases.items()}

    def _engine(self, case: str, parameters: PipelineParameters):
        from VertebraLabelingLib.pipeline import stages
        from VertebraLabelingLib.pipeline.reporting import Reporter

        model = replace(self.models[case.split("__")[0]], parameters=parameters)
        return stages.Engine(lambda: model, "cpu", Reporter(None, None))

    def scans(self, names: Sequence[str]) -> Iterator[tuple[str, Volume, list[MarkupPoint]]]:
        """Name, canonical volume and truth of those whose patients the networks have not seen."""
        from VertebraLabelingLib.scans.read_scan import read_volume

        there = [name for name in names if name in self.models and name in self.found]
        if not there:
            raise InputError("The data folder holds none of the scans that the table is measured on.")
        for name in there:
            ct = self.found[name]
            yield name, to_canonical(read_volume(ct)), read_points(truth_file(ct, name))

    def usual(self) -> Iterator[tuple[str, tuple[Volume, Truth]]]:
        """Whole scans, and fields of view of them."""
        for name, volume, points in self.scans(HELD_OUT):
            yield name, (volume, _truth(points, [point.level for point in points if not point.cut]))
            rng = np.random.default_rng([SEED, *name.encode()])
            for number in range(CROPS):
                crop = draw_crop(volume, points, rng)
                if crop is not None:
                    yield f"{name}__{number}", (crop.volume, _truth(points, crop.whole))

    def posed(self) -> Iterator[tuple[str, tuple[Volume, Truth]]]:
        """Scans in which the patient lies or is otherwise than the networks know."""
        from .alterations import ALTERATIONS

        for name, volume, points in self.scans(POSED):
            for pose in POSES:
                altered, places = ALTERATIONS[pose](volume, np.array([point.ras for point in points]))
                there = [replace(point, ras=tuple(place)) for point, place in zip(points, places.tolist())]
                whole = [point.level for point in points if not point.cut]
                yield f"{name}__{pose}", (altered, _truth(there, whole))


def _truth(points: Sequence[MarkupPoint], whole: Sequence[str]) -> Truth:
    return Truth({point.level: point.ras for point in points}, frozenset(whole))


def keep_looks(kept: dict) -> None:
    """Let the detection network look at each grid once for each set of its own numbers."""
    from VertebraLabelingLib.pipeline import stages

    look = stages.run_network

    def remembered(network, grid, volume, device, report, span, p):
        key = (grid.array.shape, grid.ijk_to_ras.tobytes(), float(np.sum(grid.array, dtype=np.float64)), p)
        key += (volume.corners.tobytes(),)
        if key not in kept:
            kept[key] = look(network, grid, volume, device, report, span, p)
        return kept[key]

    stages.run_network = remembered


def rows_of(path: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """(stage, number) -> the last three cells of a table that is there."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return {(row[0], row[1].strip("`")): tuple(row[4:]) for row in cells if len(row) == HEAD[0].count("|") - 1}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--golden", type=Path, default=Path("VertebraLabeling/Testing/Python/data/golden"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of CT with truth")
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--runs", type=Path, nargs="+", help="run folders of fold 0, 1, 2")
    who.add_argument("--model", type=Path, help="a model file; this or --runs is needed for all stages but the chain")
    parser.add_argument("--out", type=Path, required=True, help="the table, Markdown")
    parser.add_argument("--stages", nargs="+", choices=list(GROUPS), default=list(GROUPS), help="to measure anew")
    options = parser.parse_args(arguments)
    if not options.runs and not options.model and set(options.stages) != {"chain"}:
        parser.error("give --model or --runs, or --stages chain")
    rows = rows_of(options.out)
    runs = None
    for group in options.stages:
        networks = MODEL if options.model and group != "chain" else FOLDS
        if group == "chain":
            label, truths = golden(options.golden)
        else:
            if runs is None:
                runs = Runs(options.data, options.runs, options.model)
                keep_looks(runs.kept)
            label, truths = runs.of(group)
        rows |= {(group, name): (networks, *cells) for name, *cells in effects(group, label, truths)}
        write_text(options.out, page(rows))
    return 0


def page(rows: dict[tuple[str, str], Sequence[str]]) -> str:
    """The page with a row for each number; one that was not measured has question marks."""
    lines, letters = list(HEAD), {}
    for group, name, value, unit, chosen_on in chosen_numbers():
        letter = letters.setdefault(chosen_on, "ABCDEFGH"[len(letters)])
        shown = ", ".join(f"{each:g}" for each in (value if isinstance(value, tuple) else (value,)))
        cells = " | ".join(rows.get((group, name), "???"))
        lines.append(f"| {group} | `{name}` | {shown} {unit} | {letter} | {cells} |")
    sources = ";\n".join(f"{letter}: {chosen_on}" for chosen_on, letter in letters.items())
    return TEXT.format(sources=sources) + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
