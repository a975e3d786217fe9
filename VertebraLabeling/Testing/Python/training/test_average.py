"""The average of training stages."""

from __future__ import annotations

import pytest
import torch
from VertebraLabelingLib.errors import InputError
from VertebraLabelingTraining.models.average import average_runs


def run_folder(path, value, cases, size=2):
    path.mkdir()
    average = {"weight": torch.full((size,), float(value)), "count": torch.tensor(int(value))}
    torch.save({"average": average, "cases": cases, "step": int(value), "config": {}}, path / "checkpoint.pt")
    return path


def test_weights_are_averaged_and_every_case_is_remembered(tmp_path):
    runs = [run_folder(tmp_path / "a", 1, ["ct/x"]), run_folder(tmp_path / "b", 4, ["ct/y"])]
    average_runs(runs, tmp_path / "out")
    saved = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)
    assert saved["average"]["weight"].tolist() == [2.5, 2.5]
    assert int(saved["average"]["count"]) == 4 and saved["step"] == 4
    assert saved["cases"] == ["ct/x", "ct/y"] and saved["averaged"] == ["a", "b"]


def test_networks_of_different_shape_are_refused(tmp_path):
    runs = [run_folder(tmp_path / "a", 1, []), run_folder(tmp_path / "b", 1, [], size=3)]
    with pytest.raises(InputError, match="different shape"):
        average_runs(runs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_run_is_no_average(tmp_path):
    with pytest.raises(InputError, match="at least two"):
        average_runs([run_folder(tmp_path / "a", 1, [])], tmp_path / "out")
