"""CT painted around real bone: the bone stays, marrow, canal and skin are told apart, and what is no patient goes."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from VertebraLabelingLib.core.volume import Volume, ijk_to_ras, to_canonical
from VertebraLabelingLib.formats.mrk_json import read_points
from VertebraLabelingLib.formats.truth import write_truth
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk
from VertebraLabelingLib.scans.read_scan import read_volume
from VertebraLabelingTraining.synthetic import bone_only as bone_only

MM, BONE, BODY_J = 2.0, 700, 52
CENTERS_K = {"L3": 9, "L2": 24, "L1": 39}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three hollow bodies with a bony ring behind each, joined by rods, and a table behind the back."""
    folder = tmp_path_factory.mktemp("data")
    array = np.zeros((48, 90, 80), dtype=np.int16)
    j, i = np.mgrid[:90, :80]
    body = np.hypot(j - BODY_J, i - 40)
    canal = np.hypot(j - BODY_J + 16, i - 40)
    for k in CENTERS_K.values():
        rows = slice(k - 5, k + 6)
        array[rows][:, (body < 11) & (body > 9)] = BONE
        array[rows][:, (canal < 9) & (canal > 6)] = BONE
    array[:, BODY_J - 28 : BODY_J - 24, 39:42] = BONE
    array[:, 5:7, 10:70] = BONE
    volume = Volume(array, np.diag([MM, MM, MM, 1.0]))
    sitk.WriteImage(to_sitk(volume), str(folder / "box_boneonly_ct.nii.gz"))
    points = ijk_to_ras(volume, np.array([[40, BODY_J, k] for k in CENTERS_K.values()], dtype=float))
    truth = dict(zip(CENTERS_K, map(tuple, points.tolist())))
    write_truth(folder / "box_boneonly.mrk.json", truth, frozenset())
    return folder


@pytest.fixture(scope="module")
def skeleton(data):
    return bone_only.read_skeleton(*bone_only.skeletons(data)["box"])


def test_the_inside_of_a_body_is_marrow_and_the_canal_is_not(skeleton):
    for k in CENTERS_K.values():
        assert skeleton.marrow[k, BODY_J, 40] and not skeleton.marrow[k, BODY_J - 16, 40]
    assert not (skeleton.marrow & skeleton.bone).any()


def test_a_table_behind_the_back_is_no_bone(skeleton):
    assert not skeleton.bone[:, 5:7].any()
    assert not skeleton.body[:, :8].any()
    assert skeleton.bone[24, BODY_J - 26, 40]


def test_bone_keeps_its_hu_and_the_rest_is_drawn(skeleton):
    quiet = np.random.default_rng(1)
    case = bone_only.flesh_out(skeleton, quiet)
    hu = case.volume.array
    assert np.median(hu[~skeleton.body]) < -900
    assert np.median(hu[skeleton.bone]) > 350  # thin shells, through the scanner's blur
    assert 0 < np.median(hu[skeleton.marrow]) < 330
    again = bone_only.flesh_out(skeleton, np.random.default_rng(2)).volume.array
    assert abs(hu.astype(float) - again).mean() > 5


def test_cases_are_written_once_with_the_truth_of_the_bones(data, skeleton, tmp_path, capsys):
    assert bone_only.main(["--data", str(data), "--out", str(tmp_path), "--count", "2"]) == 0
    files = sorted(tmp_path.glob("*.nii.gz"))
    assert [path.name for path in files] == ["synthetic_bone_box_0000.nii.gz", "synthetic_bone_box_0001.nii.gz"]
    assert to_canonical(read_volume(files[0])).array.shape == skeleton.bone.shape
    points = {point.level: point.ras for point in read_points(tmp_path / "synthetic_bone_box_0000.mrk.json")}
    assert points.keys() == skeleton.centers.keys()
    for level, ras in skeleton.centers.items():
        np.testing.assert_allclose(points[level], ras, atol=0.02)
    written = [path.stat().st_mtime_ns for path in files]
    bone_only.write_cases(data, tmp_path, 2, 0)
    assert [path.stat().st_mtime_ns for path in files] == written


def test_a_folder_without_bone_only_ct_is_told(tmp_path, capsys):
    assert bone_only.main(["--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "No bone-only CT" in capsys.readouterr().err
