"""The labeling process: its messages, its end, and what it does not do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from VertebraLabelingLib.background import labeling_process
from VertebraLabelingLib.core.anatomy import LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.label_warning import DENS, SHIFT, LabelWarning, note
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels

MODULE = Path(__file__).resolve().parents[4]
LABELERS = '''
import sys, time
import numpy as np
from VertebraLabelingLib.errors import NoSpineError
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels

class Corner:
    """One point at the world position of the brightest voxel."""
    def __init__(self, **arguments): self.arguments = arguments
    def label(self, volume, fixed=None, progress=None, cancelled=None):
        print("this is not a message")
        progress(0.5, "half")
        k, j, i = np.unravel_index(int(np.argmax(volume.array)), volume.array.shape)
        ras = (volume.ijk_to_ras @ [i, j, k, 1])[:3]
        told = {"arguments": self.arguments, "fixed": fixed, "mapped": type(volume.array).__name__}
        return SpineLabels((LabeledPoint("L1", tuple(map(float, ras))),), (), told)

class Sleepy(Corner):
    def label(self, *arguments, **named):
        time.sleep(60)

class NoSpine(Corner):
    def label(self, *arguments, **named):
        raise NoSpineError("No vertebra was found: choose another CT.")

class Buggy(Corner):
    def label(self, *arguments, **named):
        raise ZeroDivisionError("a bug")
'''


@pytest.fixture
def job(tmp_path):
    """Write a job; returns what starts its process."""
    array = np.zeros((4, 5, 6), np.int16)
    array[1, 2, 3] = 1000
    np.save(tmp_path / "volume.npy", array)
    (tmp_path / "labelers.py").write_text(LABELERS)

    def start(labeler="Corner", path="volume.npy", network=False, **more):
        affine = np.diag([2.0, 3.0, 4.0, 1.0])
        labeler = labeling_process.NETWORK if network else f"labelers:{labeler}"
        text = labeling_process.Job(str(tmp_path / path), affine.tolist(), labeler=labeler, **more)
        text.write(tmp_path / "job.json")
        command = [sys.executable, "-m", labeling_process.__name__, str(tmp_path / "job.json")]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
        return subprocess.Popen(command, cwd=MODULE, env=environment, text=True, **pipes)

    return start


def messages(process, timeout=60):
    """All messages of a process, and its exit code. Its standard input stays open until it has ended."""
    lines = process.stdout.read().splitlines()
    process.wait(timeout)
    return [json.loads(line) for line in lines], process.returncode


def test_a_run_tells_its_progress_and_its_result_and_nothing_else(job):
    told, code = messages(job(fixed={"T12": [1.0, 2.0, 3.0]}, arguments={"device": "cpu"}))
    assert [message["type"] for message in told] == ["started", "progress", "result"]
    labels = labeling_process.labels_from_json(told[-1]["labels"])
    assert labels.points == (LabeledPoint("L1", (6.0, 6.0, 4.0)),)
    assert labels.provenance == {
        "arguments": {"device": "cpu"},
        "fixed": {"T12": [1.0, 2.0, 3.0]},
        "mapped": "memmap",
    }
    assert code == 0


@pytest.mark.parametrize(
    ("labeler", "words"),
    [("NoSpine", "No vertebra was found: choose another CT."), ("Buggy", "unexpected error")],
)
def test_an_error_becomes_a_sentence_with_the_traceback_apart(job, labeler, words):
    told, code = messages(job(labeler))
    assert words in told[-1]["message"]
    assert "Traceback" in told[-1]["detail"] and "Traceback" not in told[-1]["message"]
    assert code == 1


def test_a_volume_that_is_missing_or_truncated_gets_a_sentence(job, tmp_path):
    (tmp_path / "short.npy").write_bytes((tmp_path / "volume.npy").read_bytes()[:100])
    for path in ("none.npy", "short.npy"):
        told, code = messages(job(path=path))
        assert "could not be handed" in told[-1]["message"]
        assert code == 1


def test_a_pickled_array_is_refused(job, tmp_path):
    np.save(tmp_path / "pickled.npy", np.array([{"not": "voxels"}], dtype=object), allow_pickle=True)
    told, _ = messages(job(path="pickled.npy"))
    assert "could not be handed" in told[-1]["message"]


@pytest.mark.timing
def test_the_process_ends_at_once_when_its_standard_input_closes(job):
    process = job("Sleepy")
    assert json.loads(process.stdout.readline())["type"] == "started"
    began = time.monotonic()
    process.stdin.close()
    process.wait(60)
    assert time.monotonic() - began < 20
    assert process.stdout.read() == ""


def test_cuda_where_there_is_none_gets_a_sentence(job, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    pytest.importorskip("torch")
    process = job(arguments={"device": "cuda"}, network=True)
    told, code = messages(process)
    assert (told[-1]["message"], code) == ("No CUDA GPU can be used here: choose 'auto' or 'cpu'.", 1)


def test_devices_are_told_in_one_message():
    command = [sys.executable, "-m", labeling_process.__name__, "--devices"]
    done = subprocess.run(command, cwd=MODULE, capture_output=True, text=True, timeout=120, check=True)
    told = json.loads(done.stdout)
    assert told["type"] == "devices" and isinstance(told["cuda"], list)


def test_labels_survive_the_way_through_json():
    n = 3
    evidence = Evidence(
        np.arange(9).reshape(n, 3),
        np.ones((n, len(LEVELS))),
        np.full(n, 0.5),
        np.full(len(LEVELS), 0.5),
        np.zeros((8, 3)),
    )
    labels = SpineLabels(
        (LabeledPoint("T3", (1.0, 2.0, 3.0), 0.5, "moved"),),
        (note("Careful."), LabelWarning(SHIFT, landmarks=(DENS,))),
        {"model": "m"},
        evidence,
    )
    back = labeling_process.labels_from_json(json.loads(json.dumps(labeling_process.labels_to_json(labels))))
    assert (back.points, back.warnings, back.provenance) == (labels.points, labels.warnings, labels.provenance)
    assert back.evidence.to_json() == evidence.to_json()
