"""Altered scans as files: the points lie on what they marked, whatever was done to the scan."""

from __future__ import annotations

import numpy as np
import pytest
from test_changed_counts import scan, values_at
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.formats.mrk_json import read_points
from VertebraLabelingLib.scans.read_scan import read_volume
from VertebraLabelingTraining.evaluation.write_altered import main, write

LEVELS = USUAL_LEVELS[7:]  # T1-L5


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "ct"
    folder.mkdir()
    write(folder, "spine", *scan(LEVELS, cut=("L5",)))
    write(folder, "other", *scan(LEVELS))
    return folder


def _made(data, *options):
    out = data.parent / "out"
    assert main([str(data), *options, "--out", str(out)]) == 0
    return {ct.name.removesuffix(".nii.gz"): (read_volume(ct), read_points(_truth(ct))) for ct in out.glob("*.nii.gz")}


def _truth(ct):
    return ct.with_name(ct.name.replace(".nii.gz", ".mrk.json"))


@pytest.mark.parametrize("change", ["size 0.8", "on the belly", "mirrored, feet for head", "as it is"])
def test_points_stay_on_their_vertebrae(data, change):
    made = _made(data, "--as", change, "--names", "spine")
    (name,) = made
    assert name == "spine+" + change.replace(", ", "-").replace(" ", "-")
    volume, truth = made[name]
    assert [point.level for point in truth] == list(LEVELS)
    assert [point.level for point in truth if point.cut] == ["L5"]
    assert values_at(volume, truth) == list(range(len(LEVELS)))


def test_all_changed_counts_of_a_scan_are_written_with_the_names_that_are_then_right(data):
    made = _made(data, "--as", "counts", "--names", "other")
    assert {name.rsplit("+", 1)[0] for name in made} >= {"other+thirteen-ribs", "other+six-lumbar", "other+four-lumbar"}
    volume, truth = made["other+thirteen-ribs+T6"]
    assert "T13" in [point.level for point in truth]
    shown = values_at(volume, truth)
    assert sorted(shown) == sorted([*range(len(LEVELS)), shown[6]]) and shown == sorted(shown)


def test_noise_stays_within_what_a_file_can_hold(data):
    volume, _ = _made(data, "--as", "noise of 200 HU a voxel", "--names", "other")["other+noise-of-200-HU-a-voxel"]
    assert 150 < np.std(np.asarray(volume.array, dtype=float) - scan(LEVELS)[0].array) < 250


def test_a_folder_without_such_a_scan_is_told(data, capsys):
    assert main([str(data), "--as", "counts", "--names", "nobody", "--out", str(data / "out")]) == 1
    assert "give another folder or --names" in capsys.readouterr().err
    assert not (data / "out").exists()
