"""The page of a model of which small networks were trained further, or anew: that of the older model, and the runs.

    python -m VertebraLabelingTraining.models.further_page --counting RUN --placing RUN RUN --base BASE.pt \\
                                                        --page docs/models/5.md --weights MODEL.pt --out docs/models

For when the run folders of the older stages are gone; with them, :mod:`.model_page` makes the whole page.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.networks.weights import PARTS, load_parts, load_state, read_card, sha256_of
from VertebraLabelingLib.system.atomic import write_text

from ..networks.loop import CHECKPOINT
from .model_page import Stage, head, part_section, read_stage, same_weights
from .printing import print_result


def write_further_page(base: Path, page: Path, weights: Path, parts: Mapping[str, Sequence[Path]], out: Path) -> Path:
    """Write the page of a model of which some parts were trained further or anew: the older page, and the runs.

    Of a part whose first run started from scratch, what the older page tells is left out.

    Args:
        base: the model that the runs started from, or whose parts they replace.
        page: its page; its pictures are named by its version.
        weights: the exported model file.
        parts: name of each part that was trained -> its run folders in the order of training.
        out: folder of the pages; the older pictures are copied to it under the new version's names.

    Raises:
        InputError: a run did not start from the base or from the run before it, or the weights are not theirs.
        WeightsError: a model is damaged.
    """
    card, older, out = read_card(weights), read_card(base), Path(out)
    stages = {part: _chain(runs, base, older["sha256"]) for part, runs in parts.items()}
    kept, held = load_parts(base), load_parts(weights)
    for part, its in stages.items():
        if not same_weights(held.get(part, {}), its[-1].average):
            raise InputError(f"{weights.name} does not hold the weights of {its[-1].name}: name its runs.")
    others = [
        (load_state(base), load_state(weights)),
        *((kept[name], held[name]) for name in kept if name not in parts),
    ]
    if not all(same_weights(new, old) for old, new in others):
        raise InputError(f"{weights.name} differs from {base.name} in other parts, too: name the runs of each.")
    version, before = card["version"], older["version"]
    anew = [part for part, its in stages.items() if not its[0].start]
    _, *sections = page.read_text(encoding="utf-8").split("\n## ")
    sections = ["## " + text.replace(f"]({before}-", f"]({version}-").rstrip("\n") + "\n" for text in sections]
    sections = [text for text in sections if not any(text.startswith(f"## The {part} network") for part in anew)]
    for picture in page.parent.glob(f"{before}-*.png"):
        if not any(picture.name.startswith(f"{before}-{part}") for part in anew):
            (out / picture.name.replace(before, version, 1)).write_bytes(picture.read_bytes())
    for part, its in stages.items():
        first = sum(text.startswith(f"## The {part} network") for text in sections) + 1
        for number, (run, stage) in enumerate(zip(parts[part], its), start=first):
            sections.append(part_section(part, number, run, stage, version, out))
    how = " and ".join(f"the {part} network trained {'anew' if part in anew else 'further'}" for part in stages)
    made = (
        f"Made by `python -m VertebraLabelingTraining.models.further_page`: {base.stem} with {how}, all other\n"
        f"tensors the same; both were checked. The older stages, as the page of {base.stem} told them, follow. "
        "What the model is for, its licences and\nlimits: its model card."
    )
    further = out / f"{version}.md"
    write_text(further, head(weights.stem, card, made) + "\n".join(sections))
    return further


def _chain(runs: Sequence[Path], base: Path, sha256: str) -> list[Stage]:
    """The runs of one part, each started from the one before; the first from the base, or from scratch."""
    stages = [read_stage(run) for run in runs]
    from_where = [(base.name, sha256), *((run.name, sha256_of(run / CHECKPOINT)) for run in runs[:-1])]
    for number, (stage, (name, start)) in enumerate(zip(stages, from_where)):
        if stage.start.get("sha256") != start and (stage.start or number):
            raise InputError(f"{stage.name} did not start from {name}: name the model and the runs in their order.")
    return stages


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for part in PARTS:
        parser.add_argument(f"--{part}", type=Path, nargs="+", metavar="RUN", help=f"runs of the {part} network")
    parser.add_argument("--base", type=Path, required=True, help="the model that the runs started from")
    parser.add_argument("--page", type=Path, required=True, help="of that model")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/models"))
    given = parser.parse_args()
    parts = {part: getattr(given, part) for part in PARTS if getattr(given, part)}
    if not parts:
        parser.error(f"name the runs of a part: {', '.join(f'--{part}' for part in PARTS)}")
    return print_result(lambda: write_further_page(given.base, given.page, given.weights, parts, given.out))


if __name__ == "__main__":
    sys.exit(main())
