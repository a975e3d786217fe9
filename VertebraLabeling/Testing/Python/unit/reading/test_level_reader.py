"""The level of a place: exact on spines of known shape, whatever their posture, and read at once."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from bent_spine import TOP, arc_depths, depths, on_circle, place, straight
from spine_factory import NO_T12, WITH_L6, WITH_T13, positions
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.labels import LabeledPoint
from VertebraLabelingLib.core.straight_spine import turning_level
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.reading.level_reader import ABOVE, BELOW, DISC, GAP, VERTEBRA, LevelReader
from VertebraLabelingLib.reading.spine import Spine, disc_share

THORACIC = USUAL_LEVELS[7:19]


def reader(points) -> LevelReader:
    return LevelReader(Spine.of(points))


def true_region(levels, depth, centers):
    """Kind, levels and fraction at a depth along a spine whose centers stand at known depths."""
    for row, level in enumerate(levels):
        half_above = (centers[row] - centers[row - 1]) / 2 if row else None
        half_below = (centers[row + 1] - centers[row]) / 2 if row + 1 < len(levels) else None
        top = centers[row] - (half_above or half_below) * (1 - disc_share(levels[row - 1] if row else levels[0]))
        bottom = centers[row] + (half_below or half_above) * (1 - disc_share(level))
        if top < depth <= bottom:
            return VERTEBRA, (level,), (depth - top) / (bottom - top)
        if row + 1 < len(levels) and bottom < depth <= centers[row + 1] - half_below * (1 - disc_share(level)):
            return DISC, (level, levels[row + 1]), None
    return None


@pytest.mark.parametrize("down", [(0, 0, -1), (0.3, -0.4, -1), (0, -1, 0.2), (1, 0, 0), (0.1, 0.2, 1)], ids=str)
def test_a_straight_spine_is_read_exactly_in_any_posture(down):
    points = straight(down=down)
    down = np.array(down) / np.linalg.norm(down)
    beside = np.cross(down, (0.36, 0.48, 0.8))
    read, centers = reader(points), depths(USUAL_LEVELS)
    for depth in np.arange(3.0, centers[-1] - 3.0, 0.7):
        true = true_region(USUAL_LEVELS, depth, centers)
        found = read.at(TOP + depth * down + 9.0 * beside)
        assert (found.kind, found.levels) == true[:2], depth
        if true[2] is not None and 1.0 < depth < centers[-1] - 1:
            assert found.fraction == pytest.approx(true[2], abs=1e-6) or found.levels in (("C1",), ("L5",))


def test_a_bent_spine_is_read_by_planes_that_fan_out():
    radius = 220.0
    read, centers = reader(on_circle(THORACIC, radius)), arc_depths(THORACIC, radius)
    rng = np.random.default_rng(4)
    wrong, count = [], 4000
    for _ in range(count):
        right, front = rng.uniform(-12, 12, 2)
        depth = rng.uniform(4.0, centers[-1] - 4.0)
        found = read.at(place(right, front, depth, radius))
        near = [true_region(THORACIC, depth + slack, centers)[:2] for slack in (-0.25, 0.0, 0.25)]
        if (found.kind, found.levels) not in near:
            wrong.append((depth, found))
    assert not wrong, wrong[:3]


def test_what_the_corner_of_a_view_says():
    read, centers = reader(straight()), dict(zip(USUAL_LEVELS, depths(USUAL_LEVELS)))

    def text(depth, right=0.0):
        return read.at(np.add(TOP, (right, 0.0, -depth))).text()

    t8 = centers["T8"]
    assert [text(t8 + d) for d in (-7.0, 0.0, 7.0)] == [f"T8, {part} third" for part in ("upper", "middle", "lower")]
    assert text((t8 + centers["T9"]) / 2) == "T8/T9 disc"
    assert text(t8, right=60.0) == "at the level of T8, middle third"
    assert (text(-40.0, right=60.0), text(centers["L5"] + 60.0, right=60.0)) == ("above C1", "below L5")
    assert (text(0.0), text(-40.0)) == ("C1", "above C1")
    assert (text(centers["L5"] + 16.0), text(centers["L5"] + 60.0)) == ("L5/S1 disc", "below L5")
    cut = reader(straight(USUAL_LEVELS[2:10]))
    assert cut.at(np.add(TOP, (0, 0, 14.0))).text() == "above C3"
    assert cut.at(TOP - (0, 0, 400.0)).text() == "below T3"


def test_texts_are_translated_as_templates():
    words = {"{level}, middle third": "{level}, mittleres Drittel", "at the level of {level}": "auf Höhe von {level}"}
    read = reader(straight())
    below = depths(USUAL_LEVELS)[14]
    found = read.at(np.add(TOP, (70.0, 0.0, -below)))
    assert found.text(lambda text: words.get(text, text)) == "auf Höhe von T8, mittleres Drittel"


@pytest.mark.parametrize("levels", [NO_T12, WITH_T13, WITH_L6], ids=["no T12", "T13", "L6"])
def test_unusual_spines_have_their_own_discs(levels):
    points = positions(levels)
    read = reader([LabeledPoint(level, tuple(ras)) for level, ras in zip(levels, points)])
    for above, below, one, other in zip(levels[1:], levels[2:], points[1:], points[2:]):
        found = read.at((one + other) / 2)
        assert (found.kind, found.levels) == (DISC, (above, below))


def test_between_vertebrae_of_which_one_is_missing_nothing_is_invented():
    points = [point for point in straight() if point.level not in ("T5", "T6")]
    read, centers = reader(points), dict(zip(USUAL_LEVELS, depths(USUAL_LEVELS)))
    found = read.at(TOP - (0, 0, centers["T5"]))
    assert (found.kind, found.text()) == (GAP, "between T4 and T7")
    assert read.at(TOP - (0, 0, centers["T4"] + 7.0)).levels == ("T4",)
    no_t12 = [point for point in straight() if point.level != "T12"]  # passed over, not absent: too far apart
    assert reader(no_t12).at(TOP - (0, 0, centers["T12"])).kind == GAP


def test_far_from_a_bent_spine_the_nearest_part_of_it_counts():
    radius = 120.0
    read = reader(on_circle(THORACIC, radius))
    center = arc_depths(THORACIC, radius)[5]
    beyond = read.at(place(0.0, 90.0, center, radius))
    assert beyond.levels == ("T6",) and beyond.beside and beyond.away_mm == pytest.approx(90.0, abs=1.0)


def test_one_vertebra_is_enough_and_none_is_told():
    read = reader([LabeledPoint("L3", (1.0, 2.0, 3.0))])
    assert [read.at((1.0, 2.0, 3.0 + up)).text() for up in (60, 0, -60)] == ["above L3", "L3, middle third", "below L3"]
    with pytest.raises(InputError, match="label the CT first"):
        reader([])
    with pytest.raises(InputError, match="at one place"):
        reader([LabeledPoint("L3", (1.0, 2.0, 3.0)), LabeledPoint("L4", (1.0, 2.0, 3.0))])


class TestSlices:
    def axial(self, height, tilt=0.0, origin=(0.0, 0.0)):
        matrix = np.diag([-1.0, 1.0, 1.0, 1.0])
        matrix[1:3, 1:3] = [[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]
        matrix[:3, 3] = *origin, height
        return matrix

    def test_a_slice_is_where_it_cuts_the_spine_wherever_its_middle_is(self):
        radius = 330.0
        read, centers = reader(on_circle(THORACIC, radius)), arc_depths(THORACIC, radius)
        for row in (1, 5, 9):
            ras = place(0.0, 0.0, centers[row], radius)
            found = read.on_slice(self.axial(ras[2], origin=(80.0, 120.0)))
            assert found.levels == (THORACIC[row],) and not found.beside
            assert found.fraction == pytest.approx(0.5, abs=0.02)

    def test_beyond_the_ends_it_is_above_or_below(self):
        read = reader(straight(THORACIC))
        assert read.on_slice(self.axial(TOP[2] + 300.0)).kind == ABOVE
        assert read.on_slice(self.axial(TOP[2] - 600.0)).kind == BELOW

    def test_a_slice_along_the_spine_has_no_level_of_its_own(self):
        read = reader(straight(THORACIC))
        sagittal = np.array([[0.0, 0, 1, TOP[0]], [-1, 0, 0, 0], [0, 1, 0, 800], [0, 0, 0, 1]])
        assert read.on_slice(sagittal) is None
        assert read.on_slice(self.axial(TOP[2] - 50.0, tilt=np.radians(50))) is None
        assert read.on_slice(self.axial(TOP[2] - 50.0, tilt=np.radians(40), origin=TOP[:2])) is not None

    def test_of_two_cuts_the_one_nearer_to_the_middle_of_the_view_counts(self):
        radius = 90.0  # a spine bent back on itself: an axial slice cuts it twice
        levels = THORACIC
        read, centers = reader(on_circle(levels, radius)), arc_depths(levels, radius)
        first = place(0, 0, centers[1], radius)
        again = read.on_slice(self.axial(first[2], origin=(first[0], TOP[1] + 2 * radius)))
        assert read.on_slice(self.axial(first[2], origin=first[:2])).levels == (levels[1],)
        assert again.levels != (levels[1],)


def test_reading_is_fast_enough_to_follow_the_mouse():
    """Less than 2 ms: the middle of many, so that a busy computer does not fail the test."""
    read = reader(straight())
    matrix = np.eye(4)
    matrix[2, 3] = TOP[2] - 200

    def median_ms(what):
        took = []
        for _ in range(101):
            start = time.perf_counter()
            what()
            took.append(time.perf_counter() - start)
        return 1000 * float(np.median(took))

    assert median_ms(lambda: read.at(TOP - (0, 0, 200))) < 2.0
    assert median_ms(lambda: read.on_slice(matrix)) < 2.0


@pytest.mark.parametrize("seed", range(8))
def test_points_in_no_order_give_a_level_or_one_sentence(seed):
    """A user may have dragged a point far aside; the read-out must not fall over meanwhile."""
    rng = np.random.default_rng(seed)
    points = straight(USUAL_LEVELS[seed : seed + 2 + seed])
    places = rng.permutation([point.ras for point in points]) + rng.normal(0, 20, (len(points), 3))
    points = [LabeledPoint(point.level, tuple(ras)) for point, ras in zip(points, places)]
    if turning_level(points) is not None:
        with pytest.raises(InputError, match=r"turns back at .*put the points in their order"):
            reader(points)
        return
    read = reader(points)
    for ras in rng.uniform(-600, 600, (200, 3)) + TOP:
        found = read.at(ras)
        assert 0 <= found.fraction <= 1 and np.isfinite(found.away_mm) and found.text()
    assert all(np.isfinite(plane.up).all() for plane in read.spine.discs.values())


@pytest.mark.parametrize("row", range(1, len(THORACIC) - 1))
def test_nothing_is_read_where_names_are_exchanged_or_a_point_was_dragged_past_another(row):
    points = on_circle(THORACIC, 220.0)
    here, next_one = points[row], points[row + 1]
    past = replace(here, ras=tuple(np.add(next_one.ras, (0.0, 0.0, -4.0))))
    for changed in ([replace(here, ras=next_one.ras), replace(next_one, ras=here.ras)], [past, next_one]):
        with pytest.raises(InputError, match=r"turns back at .*put the points in their order"):
            Spine.of([*points[:row], *changed, *points[row + 2 :]])
