"""Scans of unusual counts: the slab that comes twice or is left out, and what each vertebra is then called."""

from __future__ import annotations

import numpy as np
import pytest
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.volume import AIR_HU, Volume, apply_affine, ras_to_ijk
from VertebraLabelingLib.formats.mrk_json import MarkupPoint
from VertebraLabelingTraining.evaluation.changed_counts import CHANGES, FOUR, SIX, THIRTEEN, changed, changed_scans

GAP = 6  # slices


def scan(levels, cut=()) -> tuple[Volume, list[MarkupPoint]]:
    """A leaning spine: a block of its own value in each vertebra."""
    affine = np.array([[2.0, 0, 0, -40], [0, 2.0, 0, -75], [0, 0, 4.0, 100], [0, 0, 0, 1]])
    depth = GAP * len(levels) + 4
    array = np.full((depth, 60, 48), 40, dtype=np.int16)
    points = []
    for n, level in enumerate(levels):
        center = np.array([20, 20 + n, depth - 5 - GAP * n])
        array[center[2] - 1 : center[2] + 2, center[1] - 1 : center[1] + 2, 19:22] = 100 + 10 * n
        ras = tuple(apply_affine(affine, center[None].astype(float))[0].tolist())
        points.append(MarkupPoint(level, ras, "cut" if level in cut else ""))
    return Volume(array, affine), points


def values_at(volume: Volume, truth) -> list[int]:
    """The value of the block at each point, counted from head to foot."""
    i, j, k = np.rint(ras_to_ijk(volume, np.array([point.ras for point in truth]))).astype(int).T
    return ((volume.array[k, j, i] - 100) // 10).tolist()


@pytest.mark.parametrize(("level", "step", "shown"), [("T6", 1, [5, 5]), ("T6", -1, []), ("L3", 1, [14, 14])])
def test_points_stay_on_their_vertebrae(level, step, shown):
    levels = USUAL_LEVELS[7:]
    volume, truth = changed(*scan(levels), level, step)
    at = levels.index(level)
    assert values_at(volume, truth) == [*range(at), *([at] * len(shown)), *range(at + 1, len(levels))]
    assert volume.array.shape[0] == GAP * (len(levels) + step) + 4
    apart = np.linalg.norm(np.diff([point.ras for point in truth], axis=0), axis=1)
    np.testing.assert_allclose(apart, np.hypot(4.0 * GAP, 2.0), rtol=0.15), "the spine goes on"


def test_names_are_those_of_what_is_seen():
    levels = USUAL_LEVELS[7:]
    _, truth = changed(*scan(levels), "T6", 1)
    assert [point.level for point in truth][12:14] == ["T13", "L1"]
    _, truth = changed(*scan(levels), "L3", 1)
    assert truth[-1].level == "L6"
    _, truth = changed(*scan(levels), "T7", -1)
    assert [point.level for point in truth][10:12] == ["T11", "L1"]


def test_what_no_landmark_settles_is_not_made():
    assert changed(*scan(USUAL_LEVELS[9:17]), "T6", 1) is None


def test_a_scan_gives_the_changes_that_it_shows_both_ends_of():
    assert {made.kind for made in changed_scans(*scan(USUAL_LEVELS[7:]))} == set(CHANGES)
    assert {made.kind for made in changed_scans(*scan(USUAL_LEVELS[16:]))} == {SIX, FOUR}
    assert THIRTEEN not in {made.kind for made in changed_scans(*scan(USUAL_LEVELS[7:20], cut=("T1",)))}


def test_what_is_moved_leaves_air():
    volume, _ = changed(*scan(USUAL_LEVELS[7:]), "T6", 1)
    assert (volume.array[0] == AIR_HU).any() and (volume.array[-1] != AIR_HU).all()
