"""The error of a centroid network by itself: measured from the truth, on scans that it has not seen."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from training_cases import ball_case, write_case
from VertebraLabelingLib.networks.weights import default_weights
from VertebraLabelingLib.scans.read_scan import read_volume
from VertebraLabelingTraining.evaluation import centroid_network_scores
from VertebraLabelingTraining.networks.centroid_task import CentroidConfig, CentroidTrainer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two cases, each a fold, and a centroid network of one step that has seen the first."""
    folder = tmp_path_factory.mktemp("placing")
    for name in ("a", "b"):
        write_case(folder / "data", ball_case(name, count=4))
    folds = {"folds": [{"ct": ["a"]}, {"ct": ["b"]}], "same_patient": {}, "demo": []}
    (folder / "data" / "splits.json").write_text(json.dumps(folds))
    CentroidTrainer(CentroidConfig(steps=1, batch=1), [ball_case("a", count=4)], folder / "run").run()
    return folder


def call(folder, fold, run):
    data = folder / "data"
    words = ["--data", data, "--splits", data / "splits.json", "--fold", fold, "--run", run]
    return centroid_network_scores.main([str(word) for word in words])


def test_a_network_that_stays_where_it_is_errs_by_the_starting_points(folder):
    """Two millimeters along each of three axes: 3.2 mm on average."""
    network = centroid_network_scores.read_network(default_weights(), [])
    network.heat = torch.nn.Conv3d(24, 1, 1)
    torch.nn.init.zeros_(network.heat.weight)  # an even heat map: its mean is the middle of the cube
    torch.nn.init.zeros_(network.heat.bias)
    volume = read_volume(folder / "data" / "a.nii.gz")
    truth = np.tile(volume.corners.mean(axis=0), (100, 1))
    mm = centroid_network_scores.errors_of(volume, truth, network.eval(), np.random.default_rng(0))
    assert mm.mean() == pytest.approx(3.19, abs=0.25)


def test_the_scans_of_the_fold_are_scored(folder, capsys):
    assert call(folder, 1, folder / "run") == 0
    row = capsys.readouterr().out.splitlines()[-1].split("|")
    assert row[1].strip() == "b" and row[2].strip() == "1" and row[3].strip() == "4" and float(row[4]) > 0


def test_a_network_is_not_scored_on_what_it_has_seen(folder, capsys):
    assert call(folder, 0, folder / "run") == 1
    assert "trained on a" in capsys.readouterr().err
    assert call(folder, 2, folder / "run") == 1
    assert "Fold 2" in capsys.readouterr().err
    with pytest.raises(ValueError, match="trained on ct/ts_aorta_chest"):
        centroid_network_scores.read_network(default_weights(), ["ct/ts_aorta_chest"])


def test_the_table_has_a_row_for_each_set():
    text = centroid_network_scores.table({"openkbp": [np.array([1.0, 2.0]), np.array([3.0])], "ct": [np.array([0.5])]})
    assert text.splitlines()[2:] == ["| ct | 1 | 1 | 0.50 | 0.50 | 0.50 |", "| openkbp | 2 | 3 | 2.00 | 2.00 | 2.90 |"]
