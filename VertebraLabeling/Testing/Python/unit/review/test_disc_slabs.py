"""The sheet of discs: each slab lies along its disc, front up and right on the left, and shows little beside it."""

from __future__ import annotations

import numpy as np
import pytest
from bent_spine import tilted_bodies
from matplotlib.image import imread
from VertebraLabelingLib.core.label_warning import CUT, LabelWarning
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.core.volume import Volume, ras_to_ijk
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.reading.discs import discs_of
from VertebraLabelingLib.review.disc_slabs import REACH_MM, STEP_MM, disc_slab, draw_disc_slabs, write_disc_slabs


@pytest.fixture(scope="module")
def scan():
    volume, points, _ = tilted_bodies((1.0, 1.0, 1.5))
    return volume, SpineLabels(tuple(points), (LabelWarning(CUT, ("L1",)),))


def with_mark(volume: Volume, ras) -> Volume:
    array = volume.array.copy()
    i, j, k = np.round(ras_to_ijk(volume, np.array([ras]))[0]).astype(int)
    array[k - 1 : k + 2, j - 1 : j + 2, i - 1 : i + 2] = 2000
    return Volume(array, volume.ijk_to_ras)


@pytest.mark.parametrize(("right", "front"), [(14.0, 4.0), (-9.0, -11.0)], ids=["right front", "left back"])
def test_a_mark_in_the_disc_lies_where_a_radiologist_looks_for_it(scan, right, front):
    volume, labels = scan
    disc = discs_of(labels, volume)[2]  # it leans by 9 degrees
    mark = disc.plane.origin + right * disc.plane.right + front * disc.plane.front
    pixels = np.nan_to_num(disc_slab(with_mark(volume, mark), disc), nan=-1000)
    row, column = np.argwhere(pixels > 0.9 * pixels.max()).mean(axis=0)
    middle = (len(pixels) - 1) / 2
    assert (middle - column) * STEP_MM == pytest.approx(right, abs=1.0)
    assert (middle - row) * STEP_MM == pytest.approx(front, abs=1.0)


def test_a_slab_shows_the_disc_and_not_the_bodies_beside_it(scan):
    volume, labels = scan
    for disc in discs_of(labels, volume):
        pixels = disc_slab(volume, disc)
        middle = len(pixels) // 2
        near = pixels[middle - 15 : middle + 16, middle - 20 : middle + 21]
        assert np.nanmean(near) == pytest.approx(80.0, abs=12)  # bodies have 200 HU, end plates 450


def test_nothing_far_from_the_disc_is_shown(scan):
    matrix = np.diag([2.0, 2.0, 2.0, 1.0])
    matrix[:3, 3] = (-140, -140, -120)
    wide = Volume(np.full((90, 140, 140), 500, np.int16), matrix)
    pixels = disc_slab(wide, discs_of(scan[1])[0])
    seen = np.argwhere(np.isfinite(pixels)) - (len(pixels) - 1) / 2
    reach = np.linalg.norm(seen, axis=1).max() * STEP_MM
    assert REACH_MM - 1.0 < reach <= REACH_MM + 0.01 and REACH_MM < 45


def test_outside_of_the_scan_nothing_is_shown(scan):
    volume, labels = scan
    disc = discs_of(labels, volume)[0]
    half = Volume(volume.array[:, :, :40], volume.ijk_to_ras)
    pixels = disc_slab(half, disc)
    middle = len(pixels) // 2
    assert np.isnan(pixels[middle, 5]) and np.isfinite(pixels[middle, middle + 20])


def test_the_sheet_names_every_disc_and_tells_the_warnings(scan, tmp_path):
    volume, labels = scan
    figure = draw_disc_slabs(volume, labels, "case $1", ["a note of the reader."])
    assert [axes.get_title() for axes in figure.axes] == ["L1/L2", "L2/L3", "L3/L4"]
    told = [text.get_text() for text in figure.texts]
    assert "case $1" in told and "a note of the reader." in told and "The field of view ends inside L1." in told
    assert any(text.startswith("L1/L2 to L3/L4, 3 discs; planes by the end plates of 3,") for text in told)
    write_disc_slabs(tmp_path / "a.png", volume, labels, "a")
    assert imread(tmp_path / "a.png").shape[1] > 600


def test_doubt_and_what_is_not_seen_are_marked(scan):
    volume, labels = scan
    unsure = labels.with_points(tuple(LabeledPoint(p.level, p.ras, 0.6) for p in labels.points))
    flat = Volume(np.full_like(volume.array, 50), volume.ijk_to_ras)
    figure = draw_disc_slabs(flat, unsure, "a")
    assert figure.axes[0].get_title() == "L1/L2 ?"
    assert "by the points" in [text.get_text() for text in figure.axes[0].texts]


def test_without_discs_there_is_a_sentence(scan, tmp_path):
    volume, labels = scan
    with pytest.raises(InputError, match="no disc"):
        write_disc_slabs(tmp_path / "a.png", volume, labels.with_points(labels.points[:1]), "a")
    assert not list(tmp_path.iterdir())
