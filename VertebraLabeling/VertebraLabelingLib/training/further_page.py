"""The page of a model of which one small network was trained further, or anew: that of the older model, and the run.

    python -m VertebraLabelingLib.training.further_page placing RUN --base BASE.pt --page docs/models/5.md \\
                                                                    --weights MODEL.pt --out docs/models

For when the run folders of the older stages are gone; with them, :mod:`.model_page` makes the whole page.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import InputError
from ..formats.atomic import write_text
from ..weights import PARTS, load_parts, load_state, read_card
from .model_page import head, part_section, read_stage, same_weights
from .printing import print_result


def write_further_page(base: Path, page: Path, weights: Path, part: str, run: Path, out: Path) -> Path:
    """Write the page of a model of which one part was trained further or anew: the older page, and the run.

    Where the run started from scratch, what the older page tells of that part is left out.

    Args:
        base: the model that the run started from, or whose part it replaces.
        page: its page; its pictures are named by its version.
        weights: the exported model file.
        part: which was trained.
        run: its run folder.
        out: folder of the pages; the older pictures are copied to it under the new version's names.

    Raises:
        InputError: the run did not start from the base, or the weights are not theirs.
        WeightsError: a model is damaged.
    """
    card, older, stage = read_card(weights), read_card(base), read_stage(run)
    anew = not stage.start
    if not anew and stage.start.get("sha256") != older["sha256"]:
        raise InputError(f"{run} did not start from {base.name}: name the model that it started from.")
    kept, held = load_parts(base), load_parts(weights)
    others = [(load_state(base), load_state(weights)), *((kept[name], held[name]) for name in kept if name != part)]
    if not same_weights(held[part], stage.average) or not all(same_weights(new, old) for old, new in others):
        raise InputError(f"{weights.name} does not hold {base.name} with the weights of {stage.name}: name its run.")
    version, before, out = card["version"], older["version"], Path(out)
    _, sections = page.read_text(encoding="utf-8").split("\n## ", 1)
    kept_sections = [text for text in sections.split("\n## ") if not (anew and text.startswith(f"The {part} network"))]
    sections = "## " + "\n## ".join(kept_sections).replace(f"]({before}-", f"]({version}-")
    number = sections.count(f"## The {part} network") + 1
    for older_picture in page.parent.glob(f"{before}-*.png"):
        if anew and older_picture.name.startswith(f"{before}-{part}"):
            continue
        (out / older_picture.name.replace(before, version, 1)).write_bytes(older_picture.read_bytes())
    text = part_section(part, number, Path(run), stage, version, out)
    made = (
        f"Made by `python -m VertebraLabelingLib.training.further_page`: {base.stem} with the {part} network trained "
        f"{'anew' if anew else 'further'}, all other\ntensors the same; both were checked. The older stages are as "
        f"told for {base.stem}. What the model is for, its licences and\nlimits: its model card."
    )
    further = out / f"{version}.md"
    write_text(further, head(weights.stem, card, made) + sections.rstrip("\n") + "\n\n" + text)
    return further


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("run", type=Path)
    parser.add_argument("--base", type=Path, required=True, help="the model that the run started from")
    parser.add_argument("--page", type=Path, required=True, help="of that model")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/models"))
    given = parser.parse_args()
    return print_result(
        lambda: write_further_page(given.base, given.page, given.weights, given.part, given.run, given.out)
    )


if __name__ == "__main__":
    sys.exit(main())
