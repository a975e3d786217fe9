"""Write altered scans, or scans of changed counts, as CT with truth: to look at, to label, to train on.

    python -m VertebraLabelingTraining.evaluation.write_altered DATA/ct --as "size 0.8" --out DIR
    python -m VertebraLabelingTraining.evaluation.write_altered DATA/ct --as counts --names "lidc*" --out DIR

One ``.nii.gz`` with its ``.mrk.json`` for each scan and change, named after both. ``counts`` are all that
:mod:`.changed_counts` makes of a scan; the others are :data:`.alterations.ALTERATIONS`.
"""

from __future__ import annotations

import argparse
import fnmatch
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from VertebraLabelingLib.core.volume import Volume, to_canonical
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.formats.mrk_json import MarkupPoint
from VertebraLabelingLib.formats.truth import write_truth
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk
from VertebraLabelingLib.scans.read_scan import read_volume

from ..data.added_truth import read_truth
from ..data.cases import TRUTH_SUFFIX, find_cases
from .alterations import ALTERATIONS
from .changed_counts import changed_scans

COUNTS = "counts"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of CT with truth")
    parser.add_argument("--as", dest="change", required=True, choices=[COUNTS, *ALTERATIONS], metavar="CHANGE")
    parser.add_argument("--names", default="*", help="shell pattern of the scans, without suffix")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    found = {name: ct for name, ct in find_cases([options.data]).items() if fnmatch.fnmatch(name, options.names)}
    try:
        if not found:
            raise InputError(f"{options.data} holds no CT with truth of such a name: give another folder or --names.")
        options.out.mkdir(parents=True, exist_ok=True)
        for name, ct in found.items():
            truth = read_truth(f"{options.data.name}/{name}", ct)
            for made, volume, points in changes(to_canonical(read_volume(ct)), truth, options.change):
                print(write(options.out, f"{name}+{made}", volume, points))
    except (InputError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def changes(
    volume: Volume, truth: Sequence[MarkupPoint], change: str
) -> Iterator[tuple[str, Volume, list[MarkupPoint]]]:
    """What is made of a canonical scan: what it is called, the scan, its truth (world RAS mm)."""
    if change == COUNTS:
        for made in changed_scans(volume, truth):
            yield f"{made.kind}+{made.level}", made.volume, made.truth
        return
    altered, points = ALTERATIONS[change](volume, np.array([point.ras for point in truth]))
    yield change, altered, [replace(point, ras=tuple(ras)) for point, ras in zip(truth, points.tolist())]


def write(folder: Path, name: str, volume: Volume, truth: Sequence[MarkupPoint]) -> Path:
    """Write a scan (whole HU) and its truth; returns the path of the CT."""
    import SimpleITK as sitk

    plain = re.sub(r"[^A-Za-z0-9.+_-]+", "-", name)
    path = folder / f"{plain}.nii.gz"
    whole = np.rint(np.clip(volume.array, -32768, 32767)).astype(np.int16)
    sitk.WriteImage(to_sitk(Volume(whole, volume.ijk_to_ras)), str(path))
    cut = frozenset(point.level for point in truth if point.cut)
    write_truth(folder / f"{plain}{TRUTH_SUFFIX}", {point.level: point.ras for point in truth}, cut)
    return path


if __name__ == "__main__":
    sys.exit(main())
