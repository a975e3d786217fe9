"""What fails around a labeling: the disk, the weights, the user who cancels; the GPU: ``test_gpu_memory.py``."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cases import wrong_sentence
from csv_reader import read_table
from phantoms import affine, body, spine
from VertebraLabelingLib.batch.inputs import ScanJob
from VertebraLabelingLib.batch.outputs import OutputPlan
from VertebraLabelingLib.batch.scan_job import label_one
from VertebraLabelingLib.commands import cli
from VertebraLabelingLib.errors import Cancelled, WeightsError
from VertebraLabelingLib.networks import weights
from VertebraLabelingLib.networks.detection_network import DetectionNetwork
from VertebraLabelingLib.pipeline import stages
from VertebraLabelingLib.pipeline.labeler import VertebraLabeler
from VertebraLabelingLib.preprocessing.pose import PatientPose
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk


def test_cancelling_is_heard_at_every_stage_and_nothing_is_written(tiny, tmp_path, monkeypatch):
    import SimpleITK as sitk

    # else the random network looks at all poses, each asking as the one before
    monkeypatch.setattr(stages, "find_pose", lambda evidence, look, *more: look(PatientPose(30)) and PatientPose())

    path = tmp_path / "ct.nii"
    sitk.WriteImage(to_sitk(body((12, 24, 20), affine((5.0, 5.0, 8.0)))), str(path))
    asked, told = [], []

    def count(fraction, message):
        told.append(message)

    tool = VertebraLabeler(tiny, "cpu")
    plan = OutputPlan(str(tmp_path / "out"))
    job = ScanJob(str(path), "ct")
    label_one(job, tool, plan, count, lambda: asked.append(0) or False)
    assert len(asked) >= 12 and len(set(told)) >= 4
    for name in (tmp_path / "out").glob("*"):
        name.unlink()
    for number in range(len(asked)):
        left = iter(range(len(asked)))
        with pytest.raises(Cancelled):
            label_one(job, tool, plan, None, lambda left=left, number=number: next(left) >= number)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


READ_ONLY = ("/proc/vertebra-labeling", "/sys/vertebra-labeling", "/dev/null/labels")


@pytest.mark.skipif(
    not Path("/proc/self").exists(), reason="needs Linux, where these cannot be written to by root either"
)
@pytest.mark.parametrize("output", READ_ONLY)
def test_an_output_folder_that_cannot_be_written_is_one_sentence(tmp_path, output, capsys, monkeypatch):
    import SimpleITK as sitk
    from ball_labeler import BallLabeler
    from VertebraLabelingLib.batch.workers import LabelerSpec

    monkeypatch.setattr(LabelerSpec, "make", lambda self: BallLabeler())
    path = tmp_path / "ct.nii"
    sitk.WriteImage(to_sitk(body(balls=[(0.0, 0.0, 130.0)])), str(path))
    assert cli.main(["label", str(path), "-o", output]) == 1
    told = capsys.readouterr().err.strip()
    assert told.startswith("error: ") and "cannot be written" in told and "Traceback" not in told
    assert not wrong_sentence(told.removeprefix("error: "))


WRITE_EACH = """
import resource, signal, sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from cases import ct
from dicom_files import write_series
from phantoms import spine
from VertebraLabelingLib.formats import csv_table, dicom_sr, mrk_json, verse_json
from VertebraLabelingLib.review.snapshot import write_snapshot
from VertebraLabelingLib.batch.summary import Summary
folder = Path(sys.argv[1])
files = [str(path) for path in write_series(folder / "ct", ct())]
out = folder / "out"
writers = {
    "a.mrk.json": lambda path, labels: mrk_json.write_labels(path, labels),
    "a.csv": lambda path, labels: csv_table.write_labels(path, labels, "a"),
    "a.verse.json": lambda path, labels: verse_json.write_labels(path, labels, ct()),
    "a.dcm": lambda path, labels: dicom_sr.write_labels(path, labels, files),
    "a.png": lambda path, labels: write_snapshot(path, ct(), labels, "a"),
}
for name, write in writers.items():
    write(out / name, spine(("L1", "L2")))
before = {path.name: path.read_bytes() for path in out.iterdir()}
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))
for name, write in writers.items():
    try:
        write(out / name, spine())
    except OSError:
        print("stopped", name)
after = {path.name: path.read_bytes() for path in out.iterdir()}
assert after == before, "an older file was changed, or a piece was left"
"""


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs Unix resource limits")
def test_every_writer_keeps_the_older_file_when_the_disk_is_full(tmp_path):
    pytest.importorskip("highdicom")
    paths = [path for path in sys.path if path]
    done = subprocess.run([sys.executable, "-c", WRITE_EACH, str(tmp_path), *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == [
        word for name in ("mrk.json", "csv", "verse.json", "dcm", "png") for word in ("stopped", f"a.{name}")
    ]


def damaged(path: Path, how: str) -> None:
    """Do something to a model that fits its card no longer, or fits a card that is wrong."""
    card = path.with_suffix(".json")
    data = json.loads(card.read_text())
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "swapped":
        torch.manual_seed(1)
        other = path.parent / "other.pt"
        widths = (4, 8, 8, 8, 8)
        weights.write_model(other, DetectionNetwork(widths).state_dict(), widths, "test", {})
        shutil.copy(other, path)
    elif how in ("truncated, its hash renewed", "text, its hash renewed", "a list, its hash renewed"):
        if how.startswith("a list"):
            torch.save([1, 2, 3], path)
        else:
            path.write_bytes(path.read_bytes()[:-2000] if how.startswith("truncated") else b"hello" * 1000)
        card.write_text(json.dumps({**data, "sha256": weights.sha256_of(path)}))
    else:
        field, value = json.loads(how)
        card.write_text(json.dumps({**data, field: value}))


HARMS = (
    *(
        "truncated",
        "empty",
        "swapped",
        "truncated, its hash renewed",
        "text, its hash renewed",
        "a list, its hash renewed",
    ),
    *('["format", 3]', '["format", 1]', '["widths", [1, 1, 1]]', '["widths", [0, 1, 1, 1, 1]]', '["widths", []]'),
    *('["widths", [4, 8, 8, 8, 1000000000]]', '["widths", ["4", 8, 8, 8, 8]]', '["sha256", ""]', '["version", 3]'),
)


@pytest.mark.parametrize("how", HARMS)
def test_damaged_weights_stop_the_labeling_in_a_sentence(tiny, how):
    damaged(tiny, how)
    with pytest.raises(WeightsError) as error:
        VertebraLabeler(tiny, "cpu").label(body())
    assert not wrong_sentence(str(error.value))


def test_weights_that_are_replaced_between_check_and_loading_are_not_loaded(tiny, monkeypatch):
    """Whoever can write the file cannot slip another one in after its hash was taken."""
    expected = weights.load_state(tiny)
    real = weights.hashlib.sha256

    def hash_then_swap(data):
        tiny.write_bytes(b"something else")
        return real(data)

    monkeypatch.setattr(weights.hashlib, "sha256", hash_then_swap)
    loaded = weights.load_state(tiny)
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)


KILLED = """
import os, signal, sys
sys.path[:0] = sys.argv[1:]
from ball_labeler import BallLabeler
class Killed(BallLabeler):
    def label(self, volume, fixed=None, progress=None, cancelled=None):
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs Unix signals")
def test_a_worker_that_the_system_kills_is_told_as_such(tmp_path, monkeypatch):
    import SimpleITK as sitk
    from VertebraLabelingLib.batch.inputs import find_scans
    from VertebraLabelingLib.batch.label_batch import in_processes, label_batch
    from VertebraLabelingLib.batch.workers import LabelerSpec

    (tmp_path / "killed_labeler.py").write_text(KILLED)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "ct.nii"
    sitk.WriteImage(to_sitk(body()), str(path))
    runner = in_processes(LabelerSpec(factory="killed_labeler:Killed"), 1)
    (result,) = label_batch(find_scans([path]), OutputPlan(str(tmp_path / "out")), runner)
    assert result.status == "failed" and "signal 9" in result.message and not wrong_sentence(result.message)


def test_the_same_labels_are_written_whatever_locale_the_system_has(tmp_path):
    """LC_ALL=C is what cron and some containers give a process."""
    script = "import sys; sys.path[:0] = sys.argv[2:]\nfrom phantoms import spine\n"
    script += "from VertebraLabelingLib.formats.csv_table import write_labels\n"
    script += "write_labels(sys.argv[1], spine(), 'B\\u00e4r')"
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    paths = [path for path in sys.path if path]
    target = tmp_path / "a.csv"
    subprocess.run([sys.executable, "-c", script, str(target), *paths], env=environment, check=True)
    assert len(read_table(target)["Bär"].points) == len(spine().points)
