"""Whether the uppermost and the lowest vertebra of each field of view are named, or the user is told to look.

    python -m VertebraLabelingTraining.evaluation.end_scores --evidence CROPS CV

``--evidence`` are folders of :mod:`.field_of_view_crops`, :mod:`.crossval` or :mod:`.count_scores`; they are solved
anew. An end is the first or the last vertebra of the truth whose centroid lies at least :data:`INSIDE_MM` inside the
image, whether the image cuts the vertebra or not.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from VertebraLabelingLib.core.field_of_view import distance_to_face

from ..data.added_truth import image_edge
from ..data.evidence_folder import Sample, read_samples
from .crop_scores import score_sample

INSIDE_MM = 8.0


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evidence", type=Path, nargs="+", required=True)
    folders = parser.parse_args(arguments).evidence
    print(table([end for folder in folders for sample in read_samples(folder) for end in ends(sample)]))


def ends(sample: Sample) -> list[tuple[str, str, bool, bool]]:
    """Case, level, whether it is strictly identified, and whether the user is told to look, of each end of a sample."""
    ordered = sorted(sample.truth.items(), key=lambda item: -item[1][2])
    places = np.array([ras for _, ras in ordered])
    inside = np.minimum(distance_to_face(places, sample.evidence.corners), _to_edge(sample.name, places)) >= INSIDE_MM
    seen = [level for (level, _), here in zip(ordered, inside) if here]
    if not seen:
        return []
    last = len(seen) - 1
    scored = score_sample(replace(sample, cut=frozenset(sample.truth).difference(seen)), sample.name)
    return [
        (sample.name, level, level not in scored.missed, scored.flagged)
        for place, level in enumerate(seen)
        if place in (0, last)
    ]


def _to_edge(name: str, places: np.ndarray) -> np.ndarray:
    """(N,) mm from places to where the image of a scan ends, if its file goes on."""
    case = name.split("__")[0].split("+")[0]
    upper, lower = image_edge(case, "upper"), image_edge(case, "lower")
    above = np.inf if upper is None else upper - places[:, 2]
    below = np.inf if lower is None else places[:, 2] - lower
    return np.minimum(above, below) + np.zeros(len(places))


def table(found: Sequence[tuple[str, str, bool, bool]]) -> str:
    """How many ends there are, how many of them are missed without a word, and which."""
    missed = [end for end in found if not end[2]]
    silent = [end for end in missed if not end[3]]
    share = len(silent) / len(found) if found else 0.0
    lines = [f"{len(found)} ends, {len(missed)} missed, {len(silent)} of these without a flag ({share:.1%})"]
    return "\n".join([*lines, *(f"  {case}: {level}" for case, level, _, _ in silent)])


if __name__ == "__main__":
    main()
