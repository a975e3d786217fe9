"""Levels and planes read from points, against made-up masks, whose answer is known, and those of real vertebrae."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bent_spine import straight
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingTraining.evaluation.level_reading import MaskedSpine, main, masked_spines, read_mask, table

LEVELS = USUAL_LEVELS[14:20]


def made_up(with_processes: bool = False) -> MaskedSpine:
    """Round bodies of a straight spine on voxels of 1.5 mm, each with a process that hangs down behind, if wanted."""
    points = straight(LEVELS)
    places = np.array([point.ras for point in points])
    matrix = np.diag([1.5, 1.5, 1.5, 1.0])
    matrix[:3, 3] = places.min(axis=0) - (30, 60, 25)
    size = np.ceil(np.add(np.ptp(places, axis=0), (60, 90, 50)) / 1.5).astype(int)
    mask = np.zeros(size[::-1], np.uint8)
    k, j, i = np.indices(mask.shape)
    x, y, z = (matrix[axis, 3] + 1.5 * index for axis, index in enumerate((i, j, k)))
    for number, (_, front, height) in enumerate(places, start=1):
        body = ((x - places[0, 0]) ** 2 + (y - front) ** 2 < 15**2) & (np.abs(z - height) < 9.5)
        mask[body] = number
        if with_processes:
            behind = front - y
            process = (np.abs(x - places[0, 0]) < 4) & (behind > 30) & (behind < 50) & (np.abs(z - height + 25) < 8)
            mask[process] = number
    return MaskedSpine("made up", Volume(mask, matrix), {level: n for n, level in enumerate(LEVELS, 1)}, tuple(points))


def test_bodies_are_read_right_and_their_planes_found():
    row = read_mask(made_up())
    assert row.column_right == row.column > 20000
    assert max(row.vertebrae + row.discs) < 0.1


def test_points_of_the_wrong_vertebrae_are_noticed():
    case = made_up()
    lower = [replace(point, ras=(*point.ras[:2], point.ras[2] - 25.0)) for point in case.points]
    row = read_mask(replace(case, points=tuple(lower)))
    assert row.column_right < 0.3 * row.column


def test_processes_behind_the_next_vertebra_are_beside_the_column():
    row = read_mask(made_up(with_processes=True))
    assert row.column_right == row.column and row.whole_right < 0.95 * row.whole


def test_real_vertebrae_are_read_right(shared_data):
    """98 % and more of the voxels in the column of bodies; the planes to a few degrees."""
    rows = {case.name: read_mask(case) for case in masked_spines(shared_data) if case.name != "lidc_idri_0001"}
    assert len(rows) >= 3
    for name, row in rows.items():
        assert row.column_right > 0.98 * row.column, name
        assert row.whole_right > 0.9 * row.whole, name
        assert np.mean(row.vertebrae) < 5.5 and np.mean(row.discs) < 5.5, name
    bone = next(case for case in masked_spines(shared_data) if case.name == "ts_s0328")
    seen = read_mask(bone, on_ct=True)
    assert max(seen.discs) < 2.5 and np.mean(seen.vertebrae) < 1.5
    assert table(rows).count("\n") == len(rows) + 1


def test_a_folder_without_masks_gets_a_sentence(tmp_path, capsys):
    assert main(["--data", str(tmp_path)]) == 1
    assert "holds no label maps" in capsys.readouterr().err


@pytest.mark.long
def test_the_largest_map_too(shared_data):
    case = next(case for case in masked_spines(shared_data) if case.name == "lidc_idri_0001")
    row = read_mask(case)
    assert row.column_right > 0.98 * row.column
