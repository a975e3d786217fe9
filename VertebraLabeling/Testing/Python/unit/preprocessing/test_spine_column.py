"""The column around the spine: found by its bone however the patient lies, and turned about its own middle."""

from __future__ import annotations

import numpy as np
import pytest
from VertebraLabelingLib.core.volume import AIR_HU, Volume, apply_affine, ras_to_ijk
from VertebraLabelingLib.errors import NoSpineError
from VertebraLabelingLib.preprocessing.pose import PatientPose
from VertebraLabelingLib.preprocessing.prepared_scan import PreparedScan
from VertebraLabelingLib.preprocessing.spine_column import REACH_MM, SpineColumn, spine_axis

SPINE = (30.0, -45.0)  # right, front; world mm


def body(spine: bool = True, hu: float = 40.0) -> Volume:
    """A trunk on a grid of 4 mm with a spine, two arms, a breastbone and ribs; world origin in its middle."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in (60, 70, 100)), indexing="ij")
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = -4 * np.array([99, 69, 59]) / 2
    x, y = 4 * i - 198.0, 4 * j - 138.0
    array = np.full(k.shape, AIR_HU, dtype=np.float32)
    inside = (x / 150) ** 2 + (y / 110) ** 2 < 1
    array[inside] = hu
    array[inside & ((x / 138) ** 2 + (y / 98) ** 2 > 1) & (k % 6 < 2)] = 400
    array[np.hypot(x - 5, y - 95) < 9] = 400
    for side in (-1, 1):
        arm = np.hypot(x - 175 * side, y)
        array[arm < 20], array[arm < 11] = 40, 1400
    if spine:
        array[np.hypot(x - SPINE[0], y - SPINE[1]) < 21] = 220
        array[(abs(x - SPINE[0]) < 6) & (abs(y - SPINE[1] + 35) < 14)] = 500
    return Volume(array, affine)


def test_it_runs_through_the_vertebrae_and_not_along_an_arm():
    axis = spine_axis(body())
    assert np.hypot(*(axis[:, :2] - SPINE).T).max() < 35  # body or arch
    assert axis[0, 2] == pytest.approx(-118) and axis[1, 2] == pytest.approx(118)


@pytest.mark.parametrize("degrees", range(0, 360, 45))
@pytest.mark.parametrize("head_down", [False, True])
def test_in_its_pose_the_spine_is_in_the_middle_and_little_else_is_there(degrees, head_down):
    """A patient who lies in this pose, looked at in it, is seen as he would be if he lay as usual."""
    pose, center = PatientPose(degrees, head_down), np.array([10.0, 20.0, 30.0])
    undone = np.linalg.inv(pose.matrix)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = undone, center - undone @ center
    upright = body()
    turned = PreparedScan.of(Volume(upright.array, affine @ upright.ijk_to_ras))
    seen = SpineColumn.of(turned.grid).in_pose(pose)
    assert max(seen.array.shape[1:]) <= 2 * REACH_MM / 4 + 3
    spine = np.argwhere((seen.array > 200) & (seen.array < 240))[:, ::-1]
    process = np.argwhere(seen.array > 450)[:, ::-1]
    to_the_front = apply_affine(seen.ijk_to_ras, spine).mean(axis=0) - apply_affine(seen.ijk_to_ras, process).mean(
        axis=0
    )
    assert to_the_front[1] == pytest.approx(35, abs=6) and abs(to_the_front[0]) < 6
    middle = np.array(seen.array.shape[::-1])[:2] / 2
    assert 4 * np.hypot(*(spine[:, :2].mean(axis=0) - middle)) < 35


@pytest.mark.parametrize("degrees", range(0, 360, 15))
def test_the_column_is_no_wider_where_it_is_looked_at_along_oblique_axes(degrees):
    seen = SpineColumn.of(body()).in_pose(PatientPose(degrees))
    assert max(seen.array.shape[1:]) <= 2 * REACH_MM / 4 + 3


def test_an_enlarged_column_is_cut_from_the_scan_itself():
    fine = Volume(body().array.repeat(2, 0).repeat(2, 1).repeat(2, 2), body().ijk_to_ras @ np.diag([0.5, 0.5, 0.5, 1]))
    scan = PreparedScan.of(fine)
    column = SpineColumn.of(scan.grid, scan)
    assert column.scan.volume.spacing == pytest.approx([2, 2, 2])
    assert np.shares_memory(column.scan.volume.array, fine.array)
    middle = column.in_pose(PatientPose(enlarged=1.5))
    ijk = ras_to_ijk(middle, column.axis.mean(axis=0)[None])[0]
    assert ((ijk > 0) & (ijk < np.array(middle.array.shape[::-1]))).all()


def test_without_bone_it_is_somewhere():
    grid = Volume(np.full((30, 40, 50), 30, dtype=np.float32), np.diag([4.0, 4.0, 4.0, 1.0]))
    assert SpineColumn.of(grid).in_pose(PatientPose(90)).array.size


def test_a_column_of_air_says_so():
    array = np.full((30, 80, 80), AIR_HU, dtype=np.float32)
    array[:, 70:, 70:] = 30
    with pytest.raises(NoSpineError):
        SpineColumn.of(Volume(array, np.diag([4.0, 4.0, 4.0, 1.0]))).in_pose(PatientPose(180))
