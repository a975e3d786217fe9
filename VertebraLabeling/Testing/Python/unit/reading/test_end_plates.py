"""End plates on made-up CT with known tilts: found where they are shown, left alone where they are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bent_spine import tilted_bodies
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.reading import end_plates
from VertebraLabelingLib.reading.end_plates import with_end_plates
from VertebraLabelingLib.reading.planes import Plane, degrees_between
from VertebraLabelingLib.reading.spine import Spine

THIN, USUAL, THICK = (0.8, 0.8, 1.0), (0.9, 0.9, 2.5), (1.0, 1.0, 4.0)


def errors(spine, discs):
    """Degrees, and mm along the spine, between discs found and true."""
    true = {name: Plane(origin, up) for name, (origin, up) in discs.items()}
    degrees = [degrees_between(spine.discs[name], plane) for name, plane in true.items()]
    return np.array(degrees), np.array([abs(plane.height(spine.discs[name].origin)[0]) for name, plane in true.items()])


@pytest.mark.parametrize(("spacing", "most"), [(THIN, 0.7), (USUAL, 3.0), (THICK, 3.0)], ids=["1 mm", "2.5 mm", "4 mm"])
def test_discs_stand_as_the_ct_shows_them(spacing, most):
    volume, points, discs = tilted_bodies(spacing)
    spine = with_end_plates(Spine.of(points), volume)
    degrees, mm = errors(spine, discs)
    assert degrees.max() < most and mm.max() < 0.4
    assert errors(Spine.of(points), discs)[0].max() > 5.0  # else there was nothing to find
    assert [v.lower_seen for v in spine.vertebrae[:-1]] == [True] * 3
    assert [v.upper_seen for v in spine.vertebrae[1:]] == [True] * 3
    assert not spine.vertebrae[0].upper_seen


def test_points_beside_the_middle_give_the_same_discs():
    volume, points, discs = tilted_bodies(THIN)
    shifts = np.random.default_rng(2).normal(0, 1.0, (len(points), 3))
    moved = [replace(p, ras=tuple(np.add(p.ras, shift))) for p, shift in zip(points, shifts)]
    degrees, mm = errors(with_end_plates(Spine.of(moved), volume), discs)
    assert degrees.max() < 0.7 and mm.max() < 0.2


def test_a_turned_volume_gives_the_same_planes():
    volume, points, discs = tilted_bodies(THIN)
    turn = np.eye(4)
    angle = np.radians(25)
    turn[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    turned = Volume(volume.array, turn @ volume.ijk_to_ras)
    spine = with_end_plates(Spine.of(replace(p, ras=tuple(turn[:3, :3] @ np.array(p.ras))) for p in points), turned)
    degrees, _ = errors(spine, {n: (turn[:3, :3] @ o, turn[:3, :3] @ u) for n, (o, u) in discs.items()})
    assert degrees.max() < 0.7


@pytest.mark.parametrize("hu", [40, -1000, 3000], ids=["soft tissue", "air", "metal"])
def test_where_nothing_is_seen_the_points_decide(hu):
    volume, points, _ = tilted_bodies(USUAL)
    noise = np.random.default_rng(0).normal(0, 30, volume.array.shape)
    spine = Spine.of(points)
    found = with_end_plates(spine, Volume((hu + noise).astype(np.int16), volume.ijk_to_ras))
    assert not any(v.upper_seen or v.lower_seen for v in found.vertebrae)
    for name, plane in spine.discs.items():
        np.testing.assert_array_equal(found.discs[name].up, plane.up)


def test_outside_of_the_image_the_points_decide():
    volume, points, _ = tilted_bodies(USUAL)
    away = [replace(point, ras=(point.ras[0] + 500.0, *point.ras[1:])) for point in points]
    found = with_end_plates(Spine.of(away), volume)
    assert not any(v.upper_seen or v.lower_seen for v in found.vertebrae)


@pytest.mark.parametrize("bridged", ["front", "right", "all but a strip"])
@pytest.mark.parametrize("spacing", [THIN, USUAL], ids=["1 mm", "2.5 mm"])
def test_discs_that_bone_bridges_are_seen_about_right_or_not_at_all(bridged, spacing):
    volume, points, discs = tilted_bodies(spacing)
    _, j, i = np.indices(volume.array.shape)
    x, y = (volume.ijk_to_ras[axis, 3] + spacing[axis] * index for axis, index in enumerate((i, j)))
    where = {"front": y > -3, "right": x > -4, "all but a strip": np.abs(x - 5) > 3}[bridged]
    array = volume.array.copy()
    array[where & (array > 60)] = 200
    found = with_end_plates(Spine.of(points), Volume(array, volume.ijk_to_ras))
    for above, below, (_, up) in zip(found.vertebrae, found.vertebrae[1:], discs.values()):
        for plane, seen in ((above.lower, above.lower_seen), (below.upper, below.upper_seen)):
            assert not seen or np.degrees(np.arccos(plane.up @ up)) < 9.0


@pytest.mark.parametrize(("degrees", "taken"), [(8.0, True), (12.0, False)])
def test_plates_that_no_disc_can_have_are_not_taken(monkeypatch, degrees, taken):
    volume, points, _ = tilted_bodies()

    def leaning(column, usual, common, sign):
        return Plane(column.plane.origin + sign * usual * column.plane.up, column.plane.up).leaning(sign * degrees)

    monkeypatch.setattr(end_plates, "_plate", leaning)
    found = with_end_plates(Spine.of(points), volume)
    assert [vertebra.lower_seen for vertebra in found.vertebrae[:-1]] == [taken] * 3
