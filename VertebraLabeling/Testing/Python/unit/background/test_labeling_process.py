"""The labeling process: its messages, what it keeps for the next job, and its end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from VertebraLabelingLib.background import labeling_process
from VertebraLabelingLib.background.private_folder import PREFIX
from VertebraLabelingLib.core.anatomy import LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.label_warning import DENS, SHIFT, LabelWarning, note
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.system.processes import is_running

MODULE = Path(__file__).resolve().parents[4]
LABELERS = '''
import sys, time
import numpy as np
from VertebraLabelingLib.errors import NoSpineError
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels

class Corner:
    """One point at the world position of the brightest voxel."""
    made = 0
    def __init__(self, **arguments):
        Corner.made += 1
        self.arguments = arguments
    def label(self, volume, fixed=None, progress=None, cancelled=None):
        print("this is not a message")
        progress(0.5, "half")
        k, j, i = np.unravel_index(int(np.argmax(volume.array)), volume.array.shape)
        ras = (volume.ijk_to_ras @ [i, j, k, 1])[:3]
        told = {"arguments": self.arguments, "fixed": fixed, "mapped": type(volume.array).__name__, "made": Corner.made}
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

class Hungry(Corner):
    def label(self, *arguments, **named):
        raise MemoryError
'''
START = """
import sys
from VertebraLabelingLib.background import job_queue, labeling_process
{before}
sys.exit(labeling_process.main(["--jobs"]))
"""


class Process:
    """A labeling process and the way to talk to it."""

    def __init__(self, folder: Path, before: str = "") -> None:
        self.folder = folder
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(MODULE)))}
        command = [sys.executable, "-c", START.format(before=before)]
        if not before:
            command = [sys.executable, "-m", labeling_process.__name__, labeling_process.JOBS]
        pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
        self.popen = subprocess.Popen(command, cwd=MODULE, env=environment, **pipes)

    def send(self, labeler: str = "labelers:Corner", path: str = "volume.npy", **more: object) -> None:
        """Ask for a job."""
        job = labeling_process.Job(str(self.folder / path), np.diag([2.0, 3.0, 4.0, 1.0]).tolist(), **more)
        self.popen.stdin.write(replace(job, labeler=labeler).to_line())
        self.popen.stdin.flush()

    def read(self, last: tuple[str, ...] = ("result", "error")) -> list[dict]:
        """Its messages up to one of these kinds."""
        told: list[dict] = []
        while not told or told[-1]["type"] not in last:
            line = self.popen.stdout.readline()
            assert line, self.popen.stderr.read().decode()
            told.append(json.loads(line))
        return told

    def do(self, *arguments: object, **named: object) -> list[dict]:
        """Ask for a job and read its messages."""
        self.send(*arguments, **named)
        return self.read()

    def code(self) -> int:
        """How it ended, its standard input still open."""
        return self.popen.wait(60)


@pytest.fixture
def start(tmp_path):
    """Start a process beside a volume; what still runs is ended."""
    array = np.zeros((4, 5, 6), np.int16)
    array[1, 2, 3] = 1000
    np.save(tmp_path / "volume.npy", array)
    np.save(tmp_path / "other.npy", array[::-1])
    (tmp_path / "labelers.py").write_text(LABELERS)
    running = []

    def new(before: str = "") -> Process:
        running.append(Process(tmp_path, before))
        return running[-1]

    yield new
    for process in running:
        process.popen.kill()
        process.popen.wait()
        for stream in (process.popen.stdin, process.popen.stdout, process.popen.stderr):
            stream.close()


def kinds(told: list[dict]) -> list[str]:
    return [message["type"] for message in told]


def test_a_run_tells_its_progress_and_its_result_and_nothing_else(start):
    told = start().do(fixed={"T12": [1.0, 2.0, 3.0]}, arguments={"device": "cpu"})
    assert kinds(told) == ["started", "ready", "progress", "result"]
    labels = labeling_process.labels_from_json(told[-1]["labels"])
    assert labels.points == (LabeledPoint("L1", (6.0, 6.0, 4.0)),)
    assert labels.provenance == {
        "arguments": {"device": "cpu"},
        "fixed": {"T12": [1.0, 2.0, 3.0]},
        "mapped": "memmap",
        "made": 1,
    }


def test_it_gets_ready_while_the_volume_is_on_its_way(start):
    process = start()
    process.send(path="later.npy", written=False)
    assert kinds(process.read(("ready",))) == ["started", "ready"]
    shutil.copy(process.folder / "volume.npy", process.folder / "later.npy")
    assert kinds(process.do(path="later.npy")) == ["progress", "result"]


def test_the_next_job_is_done_by_the_same_labeler_and_knows_nothing_of_the_one_before(start):
    process = start()
    first = process.do(fixed={"T12": [1.0, 2.0, 3.0]})
    second = process.do(path="other.npy")
    assert kinds(second) == ["started", "progress", "result"]
    labels = [labeling_process.labels_from_json(told[-1]["labels"]) for told in (first, second)]
    assert [point.ras for each in labels for point in each.points] == [(6.0, 6.0, 4.0), (6.0, 6.0, 8.0)]
    assert (labels[1].provenance["made"], labels[1].provenance["fixed"]) == (1, None)


def test_other_arguments_make_another_labeler(start):
    process = start()
    process.do(arguments={"device": "cpu"})
    told = process.do(arguments={"device": "auto"})
    assert told[-1]["labels"]["provenance"]["arguments"] == {"device": "auto"}
    assert told[-1]["labels"]["provenance"]["made"] == 2


def test_after_a_job_the_volume_is_let_go(start):
    process = start()
    maps = Path(f"/proc/{process.popen.pid}/maps")
    if not maps.exists():
        pytest.skip("needs /proc")
    for labeler in ("Corner", "NoSpine"):
        process.do(f"labelers:{labeler}")
        process.send(path="other.npy", written=False)  # it is taken when the one before has been let go
        process.read(("started",))
        assert "volume.npy" not in maps.read_text()


@pytest.mark.parametrize(
    ("labeler", "words", "fit"),
    [
        ("NoSpine", "No vertebra was found: choose another CT.", True),
        ("Buggy", "unexpected error", False),
        ("Hungry", "too little free memory", False),
        ("NotThere", "unexpected error", False),
    ],
)
def test_an_error_becomes_a_sentence_with_the_traceback_apart(start, labeler, words, fit):
    process = start()
    told = process.do(f"labelers:{labeler}")
    assert words in told[-1]["message"]
    assert "Traceback" in told[-1]["detail"] and "Traceback" not in told[-1]["message"]
    assert told[-1]["fit"] == fit
    if fit:
        assert kinds(process.do())[-1] == "result"
    else:
        assert process.code() == 1


def test_a_volume_that_is_missing_or_truncated_gets_a_sentence(start):
    process = start()
    whole = (process.folder / "volume.npy").read_bytes()
    (process.folder / "short.npy").write_bytes(whole[:100])
    for path in ("none.npy", "short.npy"):
        assert "could not be handed" in process.do(path=path)[-1]["message"]


def test_a_pickled_array_is_refused(start):
    process = start()
    np.save(process.folder / "pickled.npy", np.array([{"not": "voxels"}], dtype=object), allow_pickle=True)
    assert "could not be handed" in process.do(path="pickled.npy")[-1]["message"]


def test_it_ends_by_itself_when_it_has_waited_long_enough(start):
    process = start("job_queue.LOOK_SECONDS, job_queue.IDLE_SECONDS = 0.05, 0.2")
    process.do()
    assert process.code() == 0


def test_it_ends_when_others_need_the_memory_but_not_while_a_volume_is_on_its_way(start):
    process = start("job_queue.LOOK_SECONDS, job_queue.free_memory = 0.05, lambda: 10**9")
    process.send(written=False)
    process.read(("ready",))
    time.sleep(0.5)
    assert kinds(process.do())[-1] == "result"
    assert process.code() == 0


def test_what_is_no_job_ends_it(start):
    process = start()
    process.popen.stdin.write(b"hello\n")
    process.popen.stdin.flush()
    assert process.code() == 3


@pytest.mark.timing
def test_the_process_ends_at_once_when_its_standard_input_closes(start):
    process = start()
    process.send("labelers:Sleepy")
    process.read(("ready",))
    began = time.monotonic()
    process.popen.stdin.close()
    process.code()
    assert time.monotonic() - began < 20
    assert process.popen.stdout.read() == b""


PARENT = """
import subprocess, sys, time
command = [sys.executable, "-m", "VertebraLabelingLib.background.labeling_process", "--jobs"]
child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdin.write(open("job.json", "rb").read())
child.stdin.flush()
while b"ready" not in child.stdout.readline():
    pass
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("written", [False, True])
def test_when_its_parent_is_killed_it_ends_and_takes_the_volume_along(start, tmp_path, written):
    folder = tmp_path / f"{PREFIX}1"
    folder.mkdir()
    shutil.copy(tmp_path / "volume.npy", folder)
    start().popen.kill()  # only the files are needed
    job = labeling_process.Job(str(folder / "volume.npy"), np.eye(4).tolist(), labeler="labelers:Sleepy")
    (tmp_path / "job.json").write_bytes(replace(job, written=written).to_line())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(MODULE)))}
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        parent.kill()
    end = time.monotonic() + 60
    while is_running(pid) or folder.exists():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_it_removes_no_folder_but_one_that_was_made_for_volumes(start):
    process = start()
    process.do()
    process.popen.stdin.close()
    assert process.code() == 3
    assert (process.folder / "volume.npy").is_file()


def test_cuda_where_there_is_none_gets_a_sentence(start, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    pytest.importorskip("torch")
    process = start()
    told = process.do(labeling_process.NETWORK, arguments={"device": "cuda"})
    assert told[-1]["message"] == "No CUDA GPU can be used here: choose 'auto' or 'cpu'."
    assert process.code() == 1


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
