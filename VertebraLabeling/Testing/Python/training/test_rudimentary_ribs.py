"""Twelfth ribs that are made stubs in the scan itself."""

from __future__ import annotations

import numpy as np
import pytest
from VertebraLabelingLib.core.volume import Volume, apply_affine
from VertebraLabelingLib.formats.mrk_json import MarkupPoint
from VertebraLabelingTraining.evaluation.changed_counts import RUDIMENTARY, changed_scans
from VertebraLabelingTraining.evaluation.rudimentary_ribs import STUB_MM, with_rudimentary_ribs

AFFINE = np.array([[2.0, 0, 0, -158], [0, 2.0, 0, -100], [0, 0, 3.0, -90], [0, 0, 0, 1]])
MIDDLE, BACK = 79, 45  # column of x = 0 mm; the bodies lie five lines before the ribs
ROWS = {"T11": 45, "T12": 36, "L1": 26}
TISSUE, BONE = 40, 500


def chest(ribs=("T11", "T12"), fused: bool = False) -> tuple[Volume, list[MarkupPoint]]:
    """Blocks of bone as bodies, bars as ribs to both sides, 2 mm by 2 mm by 3 mm."""
    array = np.full((60, 100, 158), TISSUE, dtype=np.int16)
    for level, row in ROWS.items():
        array[row - 3 : row + 3, BACK : BACK + 12, MIDDLE - 8 : MIDDLE + 9] = BONE
        if level in ribs:
            array[row : row + 2, BACK - 5 : BACK, 29:130] = BONE
    if fused:
        array[30:50, BACK - 5 : BACK, 29:130] = BONE
    places = apply_affine(AFFINE, np.array([[MIDDLE, BACK + 5.0, row] for row in ROWS.values()]))
    return Volume(array, AFFINE), [MarkupPoint(level, tuple(ras)) for level, ras in zip(ROWS, places.tolist())]


def test_stubs_of_the_twelfth_ribs_are_left_and_the_eleventh_stay():
    volume, truth = chest()
    made = with_rudimentary_ribs(volume, truth).array
    row, stub = ROWS["T12"], int(STUB_MM / 2)
    assert (made[row, BACK - 3, MIDDLE - stub + 1 : MIDDLE + stub] == BONE).all()
    for side in (slice(29, MIDDLE - stub - 1), slice(MIDDLE + stub + 2, 130)):
        assert (np.abs(made[row : row + 2, BACK - 5 : BACK, side] - TISSUE) < 30).all()
    np.testing.assert_array_equal(made[row + 4 :], volume.array[row + 4 :])
    np.testing.assert_array_equal(made[: row - 3], volume.array[: row - 3])
    assert volume.array[row, BACK - 3, 40] == BONE, "the scan itself is not changed"


@pytest.mark.parametrize(
    "case", [chest(ribs=("T11",)), chest(fused=True), (chest()[0], chest()[1][1:])], ids=["none", "fused", "no T11"]
)
def test_ribs_that_cannot_be_told_from_others_are_left_alone(case):
    assert with_rudimentary_ribs(*case) is None


@pytest.mark.parametrize(("level", "wanted"), [("T1", True), ("T5", False)])
def test_it_is_a_case_where_the_other_end_is_in_view(level, wanted):
    volume, truth = chest()
    further = MarkupPoint(level, (0.0, 0.0, 80.0))
    made = [changed for changed in changed_scans(volume, [further, *truth]) if changed.kind == RUDIMENTARY]
    assert [changed.truth for changed in made] == ([[further, *truth]] if wanted else [])
