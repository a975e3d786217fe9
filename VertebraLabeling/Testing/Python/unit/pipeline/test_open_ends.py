"""Where the image shows more of the patient beyond an end of the spine, the user is told; where it ends, nothing."""

from __future__ import annotations

import numpy as np
import pytest
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS, USUAL_LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.label_warning import BEYOND, END, LabelWarning
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.core.spacing import distance_from
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.pipeline.open_ends import open_ends
from VertebraLabelingLib.preprocessing.prepared_scan import PreparedScan

ABOVE, BELOW = (LabelWarning(BEYOND, (level,), numbers={"step": step}) for level, step in (("T4", -1), ("T10", 1)))


def spine(first: str = "T4", last: str = "T10") -> list[LabeledPoint]:
    """A straight spine down the middle of a patient, at usual distances."""
    levels = USUAL_LEVELS[USUAL_LEVELS.index(first) : USUAL_LEVELS.index(last) + 1]
    indices = [LEVEL_INDEX[level] for level in levels]
    down = np.cumsum([0.0, *(distance_from()[a, b] for a, b in zip(indices, indices[1:]))])
    return [LabeledPoint(level, (0.0, 0.0, -z), 0.95) for level, z in zip(levels, down)]


def scan(points: list[LabeledPoint], above_mm: float, below_mm: float, air=slice(0)) -> PreparedScan:
    """A patient 120 mm wide and deep whose image ends so far beyond the points, with air in some of its slices."""
    top, bottom = points[0].ras[2] + above_mm, points[-1].ras[2] - below_mm
    array = np.full((round((top - bottom) / 2), 60, 60), 40, dtype=np.int16)
    array[air] = -1000
    matrix = np.diag([2.0, 2.0, 2.0, 1.0])
    matrix[:3, 3] = -59, -59, bottom + 1
    return PreparedScan(Volume(array, matrix))


def said(points: list[LabeledPoint], image: PreparedScan, warnings=()) -> list[LabelWarning]:
    count = len(points)
    evidence = Evidence(
        np.array([point.ras for point in points]),
        np.zeros((count, len(LEVELS))),
        np.full(count, 0.9),
        np.full(len(LEVELS), 0.1),
        image.volume.corners,
    )
    return list(open_ends(image, SpineLabels(tuple(points), warnings=warnings, evidence=evidence)))


@pytest.mark.parametrize(
    ("above_mm", "below_mm", "expected"),
    [(60, 60, [ABOVE, BELOW]), (60, 20, [ABOVE]), (20, 60, [BELOW]), (20, 20, []), (31, 31, [ABOVE]), (26, 26, [])],
)
def test_each_end_is_told_beyond_which_the_next_body_would_lie_well_inside(above_mm, below_mm, expected):
    """T3 lies 22 mm above T4, T11 25 mm below T10."""
    points = spine()
    assert said(points, scan(points, above_mm, below_mm)) == expected


def test_slices_of_air_are_none_of_the_patient():
    points = spine()
    below = round(50 / 2)
    assert said(points, scan(points, 20, 60, slice(0, below))) == []
    assert said(points, scan(points, 20, 60, slice(0, 5))) == [BELOW]


def test_what_the_solver_has_told_of_an_end_is_not_told_again():
    points = spine()
    assert said(points, scan(points, 60, 60), (LabelWarning(END, ("T11",), ("T10",)),)) == [ABOVE]


@pytest.mark.parametrize(("first", "last"), [("C1", "C7"), ("T9", "L5")])
def test_nothing_is_missing_above_the_atlas_and_below_the_last_lumbar_vertebra(first, last):
    points = spine(first, last)
    inner = 0 if first == "C1" else 1
    expected = [LabelWarning(BEYOND, ("C7",), numbers={"step": 1}), LabelWarning(BEYOND, ("T9",), numbers={"step": -1})]
    assert said(points, scan(points, 90, 90)) == [expected[inner]]


def test_one_point_and_points_without_evidence_tell_of_no_direction():
    points = spine()
    image = scan(points, 60, 60)
    assert said(points[:1], image) == []
    assert open_ends(image, SpineLabels(tuple(points))) == ()
