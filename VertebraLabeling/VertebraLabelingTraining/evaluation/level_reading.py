"""Read levels and planes from points alone, and compare them with masks of the vertebrae.

    python -m VertebraLabelingTraining.evaluation.level_reading --data DATA

The points are the body centers beside each label map of ``labelmaps/``; no number of the reading was fitted to a mask
but the lean of the disc L5/S1. For each voxel of a vertebra's mask the level there is read. It is right where it names
that vertebra, or the half of a disc that is the vertebra's. Voxels beside the column of bodies, most of processes that
hang down behind the next vertebrae, are told as "at the level of"; they are counted apart. Planes are compared with
end plates fitted to the masks, from the points alone and, where there is a CT of the mask, as it shows them.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from VertebraLabelingLib.core.labels import LabeledPoint
from VertebraLabelingLib.core.volume import Volume, ijk_to_ras
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.formats.mrk_json import read_labels, read_points
from VertebraLabelingLib.reading.end_plates import with_end_plates
from VertebraLabelingLib.reading.level_reader import DISC, VERTEBRA, LevelReader
from VertebraLabelingLib.reading.planes import between, degrees_between
from VertebraLabelingLib.reading.spine import Spine
from VertebraLabelingLib.scans.read_scan import read_volume

from ..synthetic.sources import LabelMapSource, trunk_maps, vertebra_maps
from .mask_planes import end_plates_of

FEWEST_VOXELS = 1000
"""Vertebrae of which the image shows less are left out."""


@dataclass(frozen=True)
class MaskedSpine:
    """A label map with the points of its vertebrae.

    Attributes:
        name: of the case.
        mask: the label map.
        ids: level -> its value in the mask.
        points: body centers, world RAS mm.
        ct: the CT of the mask, HU, if there is one.
        cut: levels that the image edge cuts.
    """

    name: str
    mask: Volume
    ids: dict[str, int]
    points: tuple[LabeledPoint, ...]
    ct: Volume | None = None
    cut: frozenset[str] = frozenset()

    def voxels(self, level: str) -> np.ndarray:
        """(N, 3) world RAS mm of the voxels of a vertebra."""
        kji = np.argwhere(np.asarray(self.mask.array) == self.ids.get(level, -1))
        return ijk_to_ras(self.mask, kji[:, ::-1])


@dataclass
class Reading:
    """What came of one case: counts of voxels, and angles in degrees.

    Attributes:
        whole, whole_right: voxels of all masks, and those whose level was right.
        column, column_right, column_named: voxels in the column of bodies; those right; and those where the vertebra
            is named at all, as the one itself or beside its disc.
        vertebrae, discs: degrees of each plane.
    """

    whole: int = 0
    whole_right: int = 0
    column: int = 0
    column_right: int = 0
    column_named: int = 0
    vertebrae: list[float] = field(default_factory=list)
    discs: list[float] = field(default_factory=list)


def masked_spines(data: Path, sample_ct: Path | None = None) -> Iterator[MaskedSpine]:
    """The label maps of the data folder with points of their vertebrae; absent ones are left out.

    Args:
        sample_ct: the CT of LIDC-IDRI-0001, which is no part of the folder.
    """
    for source in (*trunk_maps(data), *vertebra_maps(data)):
        yield _of_source(source)
    lidc, truth = data / "labelmaps" / "lidc_idri_0001_totalseg", data / "ct" / "lidc_idri_0001.mrk.json"
    if lidc.with_suffix(".csv").is_file() and truth.is_file():
        with lidc.with_suffix(".csv").open(encoding="utf-8") as table:
            ids = _of_vertebrae({row["structure"]: int(row["id"]) for row in csv.DictReader(table)})
        found = read_points(truth)
        points = tuple(LabeledPoint(point.level, point.ras) for point in found)
        cut = frozenset(point.level for point in found if point.cut)
        ct = read_volume(sample_ct) if sample_ct else None
        yield MaskedSpine("lidc_idri_0001", read_volume(lidc.with_suffix(".nii.gz")), ids, points, ct, cut)


def _of_source(source: LabelMapSource) -> MaskedSpine:
    matrix = np.diag([source.spacing_mm] * 3 + [1.0])
    ids = _of_vertebrae({name: number for number, name in source.names.items()})
    points = tuple(LabeledPoint(level, tuple(map(float, place))) for level, place in source.truth.items())
    ct = Volume(source.bone_hu, matrix) if source.bone_hu is not None else None
    return MaskedSpine(source.name, Volume(source.labels, matrix), ids, points, ct, source.cut)


def _of_vertebrae(ids: dict[str, int]) -> dict[str, int]:
    """Level -> number, of structures named as TotalSegmentator names them."""
    start = "vertebrae_"
    return {name.removeprefix(start): number for name, number in ids.items() if name.startswith(start)}


def read_mask(case: MaskedSpine, on_ct: bool = False) -> Reading:
    """Read all voxels and planes of a case.

    Args:
        on_ct: with end plates as its CT shows them.
    """
    spine = Spine.of(case.points)
    if on_ct and case.ct is not None:
        spine = with_end_plates(spine, case.ct)
    result, plates = Reading(), {}
    for vertebra in spine.vertebrae:
        voxels = case.voxels(vertebra.level)
        if len(voxels) < FEWEST_VOXELS or vertebra.level in case.cut:
            continue
        _count(result, LevelReader(spine), vertebra.level, voxels)
        plates[vertebra.level] = end_plates_of(voxels, vertebra.plane, float(case.mask.spacing.max()))
    for vertebra in spine.vertebrae:
        if vertebra.level in plates:
            result.vertebrae.append(degrees_between(vertebra.plane, between(*plates[vertebra.level])))
    for name, disc in spine.discs.items():
        above, below = name.split("/")
        if above in plates and below in plates:
            result.discs.append(degrees_between(disc, between(plates[above][1], plates[below][0])))
    return result


def _count(result: Reading, reader: LevelReader, level: str, voxels: np.ndarray) -> None:
    numbers, fraction, _, beside = reader.many(voxels)
    regions = [reader.region(number) for number in range(numbers.max() + 1)]
    is_own = np.array([kind == VERTEBRA and levels == (level,) for kind, levels in regions])[numbers]
    below = np.array([kind == DISC and levels[0] == level for kind, levels in regions])[numbers]
    above = np.array([kind == DISC and levels[1] == level for kind, levels in regions])[numbers]
    right = is_own | (below & (fraction < 0.5)) | (above & (fraction >= 0.5))
    result.whole += len(voxels)
    result.whole_right += int(right.sum())
    result.column += int((~beside).sum())
    result.column_right += int((right & ~beside).sum())
    result.column_named += int(((is_own | below | above) & ~beside).sum())


def table(rows: dict[str, Reading]) -> str:
    """One row a case."""
    lines = [
        "| case | voxels in the column | right | named, or its disc | whole masks | planes of vertebrae | of discs |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        shares = (row.column_right / row.column, row.column_named / row.column, row.whole_right / row.whole)
        shown = " | ".join(f"{100 * share:.1f} %" for share in shares)
        angles = (f"{np.mean(each):.1f}°, most {np.max(each):.1f}°" for each in (row.vertebrae, row.discs))
        lines.append(f"| {name} | {row.column} | {shown} | {' | '.join(angles)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with labelmaps/ and ct/")
    parser.add_argument("--sample-ct", type=Path, metavar="FILE", help="the CT of LIDC-IDRI-0001")
    parser.add_argument("--points", type=Path, metavar="DIR", help="read from <case>.mrk.json there, e.g. of a model")
    options = parser.parse_args(arguments)
    rows: dict[str, Reading] = {}
    try:
        for case in masked_spines(options.data, options.sample_ct):
            if options.points is not None:
                if not (options.points / f"{case.name}.mrk.json").is_file():
                    continue
                case = replace(case, points=read_labels(options.points / f"{case.name}.mrk.json").points)
            rows[case.name] = read_mask(case)
            if case.ct is not None:
                rows[f"{case.name}, planes on the CT"] = read_mask(case, on_ct=True)
        if not rows:
            raise InputError(f"{options.data} holds no label maps of vertebrae: give the project's data.")
    except (InputError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
