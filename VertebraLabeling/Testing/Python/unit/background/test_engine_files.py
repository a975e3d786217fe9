"""What a labeling process is made of: another model, device or code asks for a new process."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from VertebraLabelingLib.background import engine_files
from VertebraLabelingLib.background.engine_files import ENGINE, made_of
from VertebraLabelingLib.background.job import Job


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """An engine of two files, and a model."""
    (tmp_path / "core").mkdir()
    for name in ("labeler.py", "core/volume.py", "model.pt", "model.json"):
        (tmp_path / name).write_text("one")
    monkeypatch.setattr(engine_files, "ENGINE", tmp_path)
    return tmp_path


JOB = Job("volume.npy", [], arguments={"weights": None, "device": "auto"})


def test_another_volume_needs_no_other_process(engine):
    before = made_of(JOB, engine / "model.pt")
    assert made_of(replace(JOB, array="b.npy", fixed={"L1": (0, 0, 0)}, written=False), engine / "model.pt") == before


@pytest.mark.parametrize("name", ["labeler.py", "core/volume.py", "model.pt", "model.json"])
def test_changed_replaced_and_removed_files_do(engine, name):
    seen = [made_of(JOB, engine / "model.pt")]
    (engine / name).write_text("longer")
    seen.append(made_of(JOB, engine / "model.pt"))
    os.utime(engine / name, (1, 1))
    seen.append(made_of(JOB, engine / "model.pt"))
    (engine / name).unlink()
    seen.append(made_of(JOB, engine / "model.pt"))
    assert len(set(seen)) == 4


def test_another_model_device_or_labeler_does(engine):
    seen = {
        made_of(JOB, engine / "model.pt"),
        made_of(JOB, engine / "other.pt"),
        made_of(replace(JOB, arguments={"weights": None, "device": "cpu"}), engine / "model.pt"),
        made_of(replace(JOB, labeler="a:b"), engine / "model.pt"),
    }
    assert len(seen) == 4


def test_the_engine_is_this_one():
    assert (ENGINE / "pipeline" / "labeler.py").is_file()
