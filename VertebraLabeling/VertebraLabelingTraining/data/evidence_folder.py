"""Evidence with truth on disk: ``evidence/<case>.json`` and ``truth/<case>.mrk.json`` below one folder.

:mod:`.crossval` and :mod:`.field_of_view_crops` write such folders; what scores or calibrates the solver reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from VertebraLabelingLib.core.anatomy import LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.formats.mrk_json import read_points


@dataclass(frozen=True)
class Sample:
    """A scan without its image.

    Attributes:
        evidence: what the networks say.
        truth: level -> world RAS mm.
        cut: levels of the truth that the image cuts.
        name: case name.
    """

    evidence: Evidence
    truth: Mapping[str, Sequence[float]]
    cut: frozenset[str] = frozenset()
    name: str = ""


def evidence_path(folder: Path, name: str) -> Path:
    """Where the evidence of a case is kept."""
    return folder / "evidence" / f"{name}.json"


def truth_path(folder: Path, name: str) -> Path:
    """Where the truth of a case is kept."""
    return folder / "truth" / f"{name}.mrk.json"


def nothing_found(volume: Volume) -> Evidence:
    """The evidence of a scan on which no spine was found: every vertebra of it is missed."""
    k = len(LEVELS)
    return Evidence(np.empty((0, 3)), np.empty((0, k)), np.empty(0), np.full(k, 0.5), volume.corners)


def read_samples(folder: Path) -> list[Sample]:
    """All cases of a folder that have evidence, by name.

    Raises:
        InputError: there are none, or a file is damaged.
    """
    top = folder / "evidence"
    samples = []
    for path in sorted(top.rglob("*.json")):
        name = path.relative_to(top).with_suffix("").as_posix()
        points = read_points(truth_path(folder, name))
        samples.append(
            Sample(
                Evidence.from_json(path.read_text(encoding="utf-8")),
                {point.level: point.ras for point in points},
                frozenset(point.level for point in points if point.cut),
                name,
            )
        )
    if not samples:
        raise InputError(f"{folder} holds no evidence: give the output folder of crossval or field_of_view_crops.")
    return samples
