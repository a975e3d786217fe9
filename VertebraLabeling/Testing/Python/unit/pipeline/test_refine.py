"""The optional second pass on a shifted grid: where the grid lies, what is averaged, and how it is switched on."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk
from phantoms import affine, body
from VertebraLabelingLib.batch import workers
from VertebraLabelingLib.commands import cli
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.volume import Volume, apply_affine, ras_to_ijk
from VertebraLabelingLib.pipeline.refine import MARGIN_MM, mean_of_pairs, refine
from VertebraLabelingLib.preprocessing.cropping import crop_around
from VertebraLabelingLib.preprocessing.prepared_scan import PreparedScan
from VertebraLabelingLib.preprocessing.resampling import to_working_grid
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk


def ramp() -> Volume:
    """A volume whose values are linear in world coordinates, so that any right resampling is linear too."""
    matrix = affine(spacing=(1.0, 1.0, 2.5), origin=(-30.0, -40.0, 50.0))
    k, j, i = np.indices((40, 80, 60))
    world = apply_affine(matrix, np.stack((i, j, k), axis=-1).reshape(-1, 3)).reshape(40, 80, 60, 3)
    return Volume((world @ [2.0, 3.0, 1.0]).astype(np.float32), matrix)


def evidence(points) -> Evidence:
    points = np.asarray(points, dtype=float).reshape(-1, 3)
    n = len(points)
    return Evidence(points, np.zeros((n, 26)), np.full(n, 0.9), np.full(26, 0.5), np.zeros((8, 3)))


def test_the_shifted_grid_lies_half_a_voxel_away_and_shows_the_same_anatomy():
    volume = ramp()
    plain, shifted = to_working_grid(volume, 4.0), to_working_grid(volume, 4.0, 0.5)
    np.testing.assert_allclose(shifted.ijk_to_ras[:3, 3] - plain.ijk_to_ras[:3, 3], [2.0, 2.0, 2.0])
    np.testing.assert_allclose(shifted.ijk_to_ras[:3, :3], plain.ijk_to_ras[:3, :3])
    inner = (slice(2, -2),) * 3
    k, j, i = (index[inner] for index in np.indices(shifted.array.shape))
    world = apply_affine(shifted.ijk_to_ras, np.stack((i, j, k), axis=-1).reshape(-1, 3))
    np.testing.assert_allclose(shifted.array[inner].ravel(), world @ [2.0, 3.0, 1.0], atol=0.1)


def test_the_box_holds_the_points_and_their_margin_at_the_same_world_position():
    grid = to_working_grid(ramp(), 4.0)
    point = np.array([[0.0, 0.0, 90.0]])
    box = crop_around(grid, point, 12.0)
    assert all(5 <= size <= 8 for size in box.array.shape)
    inside, whole = (np.round(ras_to_ijk(volume, point)[0]).astype(int)[::-1] for volume in (box, grid))
    assert box.array[tuple(inside)] == grid.array[tuple(whole)]
    np.testing.assert_allclose(ras_to_ijk(grid, apply_affine(box.ijk_to_ras, inside[::-1]))[0], whole[::-1])
    assert crop_around(grid, point, 1e4).array.shape == grid.array.shape


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([[0, 0, 0]], [[2, 0, 0]], [[1, 0, 0]]),
        ([[0, 0, 0]], [[7, 0, 0]], [[0, 0, 0]]),
        ([[0, 0, 0], [0, 0, 30]], [[0, 0, 28], [0, 4, 0]], [[0, 2, 0], [0, 0, 29]]),
        ([[0, 0, 0]], [], [[0, 0, 0]]),
    ],
)
def test_each_point_is_averaged_with_the_same_body_in_the_second_pass_or_stays(first, second, expected):
    found = mean_of_pairs(np.array(first, float), np.array(second, float).reshape(-1, 3))
    np.testing.assert_allclose(found, expected)


def test_refining_moves_the_points_only_and_looks_at_the_spine_s_box():
    volume = ramp()
    seen = []

    def run(box: Volume) -> Evidence:
        seen.append(box)
        return evidence([[1.0, 0.0, 72.0]])

    before = evidence([[0.0, 0.0, 70.0], [0.0, 0.0, 100.0]])
    after = refine(before, PreparedScan.of(volume), run)
    np.testing.assert_allclose(after.points, [[0.5, 0.0, 71.0], [0.0, 0.0, 100.0]])
    np.testing.assert_array_equal(after.unary, before.unary)
    (box,) = seen
    reach = (ras_to_ijk(box, before.points) * 4.0).min(axis=0)
    whole = (ras_to_ijk(to_working_grid(volume, 4.0, 0.5), before.points) * 4.0).min(axis=0)
    np.testing.assert_array_less(np.minimum(whole, MARGIN_MM) - 4.1, reach)


def test_without_candidates_there_is_no_second_pass():
    refine(evidence([]), PreparedScan.of(ramp()), lambda box: pytest.fail("ran"))


@pytest.mark.parametrize(("options", "refined"), [((), False), (("--refine",), True), (("--no-refine",), False)])
def test_the_command_line_switches_it_on(tmp_path, monkeypatch, options, refined):
    import json

    spec = partial(workers.LabelerSpec, factory="ball_labeler:BallLabeler")
    monkeypatch.setattr(workers, "LabelerSpec", spec)
    told = []
    monkeypatch.setattr("ball_labeler.BallLabeler.label", _telling(told))
    sitk.WriteImage(to_sitk(body(balls=[(0.0, 0.0, 130.0)], radius_mm=7)), str(tmp_path / "ct.nii.gz"))
    assert cli.main(["label", str(tmp_path / "ct.nii.gz"), "-o", str(tmp_path / "out"), "--quiet", *options]) == 0
    assert told == [refined] and json.loads((tmp_path / "out" / "ct.mrk.json").read_text())["markups"]


def _telling(told):
    from ball_labeler import BallLabeler

    label = BallLabeler.label

    def wrapped(self, *arguments, **named):
        told.append(self.refine)
        return label(self, *arguments, **named)

    return wrapped
