"""A page on how a model was made: settings, seed, commit, cases and curves of every stage, and the file's SHA-256.

    python -m VertebraLabelingTraining.models.model_page runs/first runs/second --weights MODEL.pt --out docs/models

writes ``docs/models/<version>.md`` and the curves beside it. The runs are the stages in their order; the page is only
made when the weights are those of the last one, or with ``--mean-of-last N`` the mean of the last N (:mod:`.average`).
The runs of the small networks follow as ``--counting RUN --placing RUN RUN``, each in the order of training.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.networks.weights import PARTS, load_parts, load_state, read_card
from VertebraLabelingLib.system.atomic import write_text

from ..networks.config import TrainConfig
from ..networks.loop import CHECKPOINT, HISTORY
from ..networks.small import KINDS
from .average import mean_of
from .curves import plot_curves
from .printing import print_result

LAST_STEPS = 50  # the final losses are means over these


@dataclass(frozen=True)
class Stage:
    """What a run folder says of one stage of training.

    Attributes:
        name: name of the run folder.
        config: all settings.
        steps: optimizer steps done.
        cases: names of the cases trained on.
        commit: git commit of the code; empty where it was not recorded.
        start: file and SHA-256 of the weights it started from (:func:`provenance.start_of`); empty where not recorded.
        seconds: computing time.
        losses: mean of each loss term over the last steps.
        average: tensors of the averaged weights.
    """

    name: str
    config: dict
    steps: int
    cases: tuple[str, ...]
    commit: str
    start: dict[str, str]
    seconds: float
    losses: dict[str, float]
    average: dict


def read_stage(run: Path) -> Stage:
    """Read a run folder.

    Raises:
        InputError: it holds no finished checkpoint with its history.
    """
    run = Path(run)
    try:
        saved = torch.load(run / CHECKPOINT, map_location="cpu", weights_only=True)
        rows = [json.loads(line) for line in (run / HISTORY).read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise InputError(f"{run} holds no {CHECKPOINT} and {HISTORY}: name the --out folder of a training.") from error
    last = rows[-LAST_STEPS:]
    terms = [name for name in rows[-1] if name not in ("step", "seconds")] if rows else []
    return Stage(
        name=run.resolve().name,
        config=json.loads(json.dumps(saved["config"])),
        steps=saved["step"],
        cases=tuple(saved["cases"]),
        commit=saved.get("commit", ""),
        start=saved.get("start", {}),
        seconds=computing_seconds([row["seconds"] for row in rows]),
        losses={name: sum(row[name] for row in last) / len(last) for name in terms},
        average=saved["average"],
    )


def computing_seconds(clock: Sequence[float]) -> float:
    """Sum of the times of a run that was resumed: the clock of its history begins again at zero each time."""
    ends = [here for here, following in zip(clock, [*clock[1:], -1.0]) if following < here]
    return sum(ends)


def write_page(
    runs: Sequence[Path],
    weights: Path,
    out: Path,
    commit: str = "",
    averaged: int = 1,
    parts: Mapping[str, Sequence[Path]] | None = None,
) -> Path:
    """Write the page and the curves of each stage.

    Args:
        runs: run folders, in the order of training.
        weights: the exported model file.
        out: folder of the pages.
        commit: what to say of stages whose checkpoint records no commit.
        averaged: of how many last stages the weights are the mean.
        parts: name of a part -> its run folders in the order of training; all parts of the weights, and no other.

    Raises:
        InputError: a folder is no run, or the weights are not those of the runs.
        WeightsError: the weights are damaged.
    """
    card, stages = read_card(weights), [read_stage(run) for run in runs]
    if not same_weights(load_state(weights), mean_of([stage.average for stage in stages[-averaged:]])):
        raise InputError(f"{weights.name} does not hold the weights of {stages[-1].name}: name the runs it came from.")
    given = {name: [read_stage(run) for run in its] for name, its in (parts or {}).items()}
    held = load_parts(weights)
    for name in sorted({*held, *given}):
        if name not in held or name not in given or not same_weights(held[name], given[name][-1].average):
            raise InputError(f"{weights.name} and the {name} run do not agree: name the run it came from.")
    version, out = card["version"], Path(out)
    out.mkdir(parents=True, exist_ok=True)
    texts = []
    for number, (run, stage) in enumerate(zip(runs, stages), start=1):
        title, picture = f"Stage {number}: {stage.name}", f"{version}-stage-{number}.png"
        plot_curves(Path(run) / HISTORY, out / picture)
        texts.append(stage_text(title, stage, picture, commit, TrainConfig().to_dict()))
    for name, its in given.items():
        for number, (run, stage) in enumerate(zip(parts[name], its), start=1):
            which = number if len(its) > 1 else None
            texts.append(part_section(name, which, Path(run), stage, version, out, commit))
    page = out / f"{version}.md"
    what = "averaged weights of the last stage" if averaged == 1 else f"mean of the last {averaged} stages' weights"
    made = (
        "Made by `python -m VertebraLabelingTraining.models.model_page` from the run folders; it checked that the file "
        f"holds the\n{what} in fp16. What the model is for, its licences and limits: its model card."
    )
    write_text(page, head(weights.stem, card, made) + "\n".join(texts))
    return page


def part_section(
    part: str, number: int | None, run: Path, stage: Stage, version: str, out: Path, commit: str = ""
) -> str:
    """The section of a small network's run, whose curves are drawn beside the page; ``number`` where it has stages."""
    picture = f"{version}-{part}.png" if number is None else f"{version}-{part}-{number}.png"
    plot_curves(run / HISTORY, out / picture)
    title = f"The {part} network" if number is None else f"The {part} network, stage {number}"
    return stage_text(title, stage, picture, commit, asdict(KINDS[part][1]))


def same_weights(state: dict, average: dict) -> bool:
    """Whether exported tensors are the averaged weights of a checkpoint, rounded to fp16."""
    if set(state) != set(average):
        return False
    return all(
        torch.equal(value, average[name].half().float() if value.is_floating_point() else average[name])
        for name, value in state.items()
    )


def head(name: str, card: dict, made: str) -> str:
    """Title and file; ``made`` says how."""
    return f"""# {name}, version {card["version"]}

{made}

| | |
|---|---|
| SHA-256 | `{card["sha256"]}` |
| channel widths | {", ".join(map(str, card["widths"]))} |

"""


def stage_text(title: str, stage: Stage, picture: str, commit: str, default: dict) -> str:
    """The section of one run; ``default`` holds the settings that need not be told."""
    default = json.loads(json.dumps(default))
    changed = {name: value for name, value in stage.config.items() if value != default.get(name)}
    groups = Counter(name.split("/")[0] if "/" in name else _group(name) for name in stage.cases)
    start = f"`{stage.start['file']}`, SHA-256 `{stage.start['sha256']}`" if stage.start else "not recorded"
    losses = ", ".join(f"{name} {value:.3f}" for name, value in stage.losses.items())
    return f"""## {title}

| | |
|---|---|
| steps | {stage.steps} of {stage.config["steps"]} |
| seed | {stage.config["seed"]} |
| commit of the code | {f"`{stage.commit}`" if stage.commit else commit or "not recorded"} |
| started from | {start} |
| computing time | {stage.seconds / 60:.0f} min |
| cases | {len(stage.cases)}: {", ".join(f"{group} {count}" for group, count in sorted(groups.items()))} |
| losses, mean of the last {LAST_STEPS} steps | {losses} |

![Training curves of {stage.name}]({picture})

Settings that differ from the defaults of this version:

```json
{json.dumps(changed, indent=1)}
```

<details><summary>All settings</summary>

```json
{json.dumps(stage.config, indent=1)}
```

</details>

<details><summary>All cases</summary>

{", ".join(f"`{name}`" for name in stage.cases)}

</details>
"""


def _group(name: str) -> str:
    """Cases that lie in no folder are grouped by the first word of their name."""
    return name.split("_")[0]


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/models"))
    parser.add_argument("--commit", default="", help="said of stages whose checkpoint records no commit")
    parser.add_argument("--mean-of-last", type=int, default=1, metavar="N", help="the weights are the mean of N stages")
    for part in PARTS:
        parser.add_argument(f"--{part}", type=Path, nargs="+", metavar="RUN", help=f"runs of the {part} network")
    arguments = parser.parse_args()
    parts = {part: getattr(arguments, part) for part in PARTS if getattr(arguments, part)}
    averaged = max(1, arguments.mean_of_last)
    given = arguments.weights, arguments.out, arguments.commit, averaged, parts
    return print_result(lambda: write_page(arguments.runs, *given))


if __name__ == "__main__":
    sys.exit(main())
