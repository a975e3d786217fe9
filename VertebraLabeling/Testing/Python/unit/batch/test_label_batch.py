"""Many scans: worker processes, resume, kill, full disk, summaries. The labeler is a stand-in; all else is real."""

from __future__ import annotations

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import SimpleITK as sitk
from axis_orders import AXIS_ORDERS, stored
from ball_batch import BALLS, FORMATS, balls, outputs, run, write_scans
from ball_labeler import BallLabeler
from dicom_files import write_series
from phantoms import affine, body
from VertebraLabelingLib.batch.inputs import find_scans
from VertebraLabelingLib.batch.label_batch import in_processes, in_this_process, label_folder
from VertebraLabelingLib.batch.progress import JsonLines, duration
from VertebraLabelingLib.batch.scan_job import DONE, FAILED, PRESENT
from VertebraLabelingLib.batch.workers import LabelerSpec, python_executable
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import Cancelled
from VertebraLabelingLib.formats.mrk_json import read_points
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk
from VertebraLabelingLib.system import atomic
from VertebraLabelingTraining.benchmarking.batch_throughput import compare


def test_a_batch_leaves_all_files_and_a_summary_of_it(tmp_path):
    folder = write_scans(tmp_path / "in", 3, 2, 0)
    results = run(folder, tmp_path / "out")
    assert [result.status for result in results] == [DONE, DONE, FAILED]
    assert len(outputs(tmp_path / "out")) == 2 * len(FORMATS)
    rows = list(csv.DictReader((tmp_path / "out" / "summary.csv").open()))
    assert [(row["case"], row["status"], row["levels"], row["lowest_confidence"]) for row in rows] == [
        ("scan0", "done", "T1 T2 T3", "0.7500"),
        ("scan1", "done", "T1 T2", "0.8500"),
        ("scan2", "failed", "", ""),
    ]
    assert "No vertebra was found" in rows[2]["error"] and rows[0]["warnings"] == "Levels may be shifted by one."
    scans = json.loads((tmp_path / "out" / "summary.json").read_text())["scans"]
    assert scans[0]["provenance"] == {"model": "balls"} and len(scans[0]["points"]) == 3


def test_the_review_page_shows_failures_then_the_least_certain(tmp_path):
    folder = write_scans(tmp_path / "in", 1, 3, 0)
    run(folder, tmp_path / "out", formats=("mrk.json", "png"))
    page = (tmp_path / "out" / "review.html").read_text()
    order = [page.index(f"<h2>scan{n}</h2>") for n in (2, 1, 0)]
    assert order == sorted(order)
    assert '<img src="scan1.png"' in page and "scan2.png" not in page
    assert "3 scans, 1 failed" in page and "<script" not in page


def test_nothing_a_file_is_called_becomes_markup_or_a_formula(tmp_path):
    folder = tmp_path / "in"
    hostile = ["<script>alert(1)</script>", '"><img src=x>', "=1+1"]
    for name in hostile:
        path = folder / name.replace("/", "_") / "ct.nii.gz"
        path.parent.mkdir(parents=True)
        sitk.WriteImage(to_sitk(body(balls=balls(1), radius_mm=5)), str(path))
    results = run(folder, tmp_path / "out", formats=("mrk.json", "png"))
    assert len({result.name for result in results}) == 3 and all(result.status == DONE for result in results)
    page = (tmp_path / "out" / "review.html").read_text()
    assert "<script" not in page and "<img src=x" not in page and page.count("<img ") == 3
    cells = [cell for row in csv.reader((tmp_path / "out" / "summary.csv").open()) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]


@pytest.mark.parametrize("lost", [("csv",), ("verse.json", "csv"), ("mrk.json", "csv")], ids=" ".join)
def test_a_second_run_does_what_is_missing_and_nothing_else(tmp_path, lost):
    folder = write_scans(tmp_path / "in", 3, 2)
    run(folder, tmp_path / "out")
    every = outputs(tmp_path / "out")
    for suffix in lost:
        (tmp_path / "out" / f"scan1.{suffix}").unlink()
    before = outputs(tmp_path / "out")
    times = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in before}
    labeler, again = BallLabeler(), "mrk.json" in lost  # all files of a scan are made from the same points
    results = run(folder, tmp_path / "out", in_this_process(labeler))
    assert [result.status for result in results] == [PRESENT, DONE] and labeler.count == again
    assert outputs(tmp_path / "out") == every
    same = [name for name in before if not (again and name.startswith("scan1"))]
    assert all((tmp_path / "out" / name).stat().st_mtime_ns == times[name] for name in same)


def test_a_resumed_batch_remembers_the_warnings_of_the_first_run(tmp_path):
    folder = write_scans(tmp_path / "in", 3, 2)
    run(folder, tmp_path / "out")
    results = run(folder, tmp_path / "out")
    assert [result.warnings for result in results] == [("Levels may be shifted by one.",)] * 2
    results = run(folder, tmp_path / "out", formats=(*FORMATS, "png"))  # pictures made later, from the kept points
    assert [(result.status, result.warnings) for result in results] == [(DONE, ("Levels may be shifted by one.",))] * 2
    page = (tmp_path / "out" / "review.html").read_text()
    assert page.count("Levels may be shifted by one.") == 2


def test_a_damaged_journal_does_no_harm(tmp_path):
    folder = write_scans(tmp_path / "in", 3, 2)
    run(folder, tmp_path / "out")
    journal = tmp_path / "out" / "summary.jsonl"
    lines = journal.read_text().splitlines()
    journal.write_text(f"{lines[0]}\n{lines[1][: len(lines[1]) // 2]}\n[]\n{{}}\nnull\n\x00")
    results = run(folder, tmp_path / "out")
    assert [result.status for result in results] == [PRESENT, PRESENT]
    assert [bool(result.warnings) for result in results] == [True, False]


def test_overwrite_does_all_again(tmp_path):
    folder = write_scans(tmp_path / "in", 3, 2)
    run(folder, tmp_path / "out")
    labeler = BallLabeler()
    assert [r.status for r in run(folder, tmp_path / "out", in_this_process(labeler), overwrite=True)] == [DONE, DONE]
    assert labeler.count == 2


@pytest.mark.parametrize("lost", FORMATS)
def test_a_full_disk_fails_the_scan_and_leaves_no_half_file(tmp_path, monkeypatch, lost):
    folder = write_scans(tmp_path / "in", 3, 2)

    def filling(real):
        def full(source, target):
            if str(target).endswith(f"scan0.{lost}"):
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(source, target)

        return full

    for way in ("replace", "link", "rename"):
        monkeypatch.setattr(atomic.os, way, filling(getattr(os, way)))
    results = run(folder, tmp_path / "out")
    assert [result.status for result in results] == [FAILED, DONE]
    assert "No space left on device" in results[0].message
    left = () if lost == "mrk.json" else [name for name in FORMATS if name != lost]
    assert set(outputs(tmp_path / "out")) == {f"scan0.{n}" for n in left} | {f"scan1.{n}" for n in FORMATS}
    monkeypatch.undo()
    assert [result.status for result in run(folder, tmp_path / "out")] == [DONE, PRESENT]
    assert len(outputs(tmp_path / "out")) == 6


SMALL_FILES_ONLY = """
import resource, signal, sys
from ball_labeler import BallLabeler
from VertebraLabelingLib.batch.label_batch import in_this_process, label_batch
from VertebraLabelingLib.batch.inputs import find_scans
from VertebraLabelingLib.batch.outputs import OutputPlan
inputs = find_scans([sys.argv[1]])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
label_batch(inputs, OutputPlan(sys.argv[2], ("mrk.json", "csv", "verse.json")), in_this_process(BallLabeler()))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs Unix resource limits")
def test_a_write_that_the_system_cuts_off_leaves_no_half_file(tmp_path):
    """The operating system stops each file at 1000 bytes: the points (2 kB) fail in the middle of being written. They
    come first, so no other file is written without them."""
    folder, out = write_scans(tmp_path / "in", 3, 2), tmp_path / "out"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", SMALL_FILES_ONLY, str(folder), str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stderr.count("The outputs cannot be written (File too large)") == 2
    assert not outputs(out)
    assert [result.status for result in run(folder, out)] == [DONE, DONE]
    assert len(outputs(out)) == 6


def test_a_single_scan_joins_the_summary_that_is_there_but_starts_none(tmp_path):
    folder = write_scans(tmp_path / "in", 3, 2)
    run(folder / "scan0.nii.gz", tmp_path / "one")
    assert {path.name for path in (tmp_path / "one").glob("summary.*")} == {"summary.jsonl"}, "whose the name is"
    run(folder, tmp_path / "two")
    write_scans(tmp_path / "more", 1)
    (tmp_path / "more" / "scan0.nii.gz").rename(tmp_path / "more" / "third.nii.gz")
    run(tmp_path / "more" / "third.nii.gz", tmp_path / "two")
    scans = json.loads((tmp_path / "two" / "summary.json").read_text())["scans"]
    assert [scan["name"] for scan in scans] == ["scan0", "scan1", "third"]


def test_a_cancelled_batch_keeps_what_is_finished(tmp_path):
    folder = write_scans(tmp_path / "in", 3, 2, 1)
    with pytest.raises(Cancelled):
        run(folder, tmp_path / "out", cancelled=lambda: (tmp_path / "out" / "scan0.mrk.json").exists())
    assert set(outputs(tmp_path / "out")) == {"scan0.csv", "scan0.verse.json", "scan0.mrk.json"}
    assert [result.status for result in run(folder, tmp_path / "out")] == [PRESENT, DONE, DONE]


def test_worker_processes_give_the_same_files(tmp_path):
    folder = write_scans(tmp_path / "in", 3, 2, 4, 1, 0)
    alone = run(folder, tmp_path / "one")
    together = run(folder, tmp_path / "two", in_processes(LabelerSpec(factory=BALLS), 2))
    assert outputs(tmp_path / "one") == outputs(tmp_path / "two")
    assert [(r.name, r.status, r.points) for r in alone] == [(r.name, r.status, r.points) for r in together]


def test_a_worker_that_dies_costs_one_scan(tmp_path):
    folder = write_scans(tmp_path / "in", 3, 5, 2, 1)
    results = run(folder, tmp_path / "out", in_processes(LabelerSpec(factory="ball_labeler:DyingLabeler"), 2))
    assert [result.status for result in results] == [DONE, FAILED, DONE, DONE]
    assert "ended 2 times at this scan (exit code 9)" in results[1].message


def test_a_scan_whose_worker_died_once_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setenv("BALL_LABELER_DIES_ONCE", str(tmp_path / "died"))
    folder = write_scans(tmp_path / "in", 5, 2)
    results = run(folder, tmp_path / "out", in_processes(LabelerSpec(factory="ball_labeler:DyingLabeler"), 2))
    assert (tmp_path / "died").exists()
    assert [result.status for result in results] == [DONE, DONE]


SLOW_BATCH = """
import sys
from VertebraLabelingLib.batch.label_batch import in_processes, in_this_process, label_batch
from VertebraLabelingLib.batch.inputs import find_scans
from VertebraLabelingLib.batch.outputs import OutputPlan
from VertebraLabelingLib.batch.workers import LabelerSpec, LazyLabeler
if __name__ == "__main__":
    spec = LabelerSpec(factory="ball_labeler:SlowLabeler")
    runner = in_processes(spec, 2) if sys.argv[3] == "2" else in_this_process(LazyLabeler(spec))
    label_batch(find_scans([sys.argv[1]]), OutputPlan(sys.argv[2], ("mrk.json", "csv", "verse.json")), runner)
"""


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_batch_killed_in_the_middle_is_continued(tmp_path, processes):
    folder, out = write_scans(tmp_path / "in", 3, 2, 4, 1), tmp_path / "out"
    script = tmp_path / "slow_batch.py"
    script.write_text(SLOW_BATCH)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    arguments = [sys.executable, str(script), str(folder), str(out), processes]
    process = subprocess.Popen(arguments, env=environment, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list(out.glob("*.mrk.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)  # this process and its workers
    process.wait()
    time.sleep(1.0)  # until the killed workers are gone as well
    finished = outputs(out)
    assert finished and len(finished) < 4 * len(FORMATS)
    done = {name for name in ("scan0", "scan1", "scan2", "scan3") if all(f"{name}.{k}" in finished for k in FORMATS)}
    results = run(folder, out)
    assert {result.name for result in results if result.status == PRESENT} == done
    assert len(outputs(out)) == 4 * len(FORMATS), "nothing half written is left"
    assert all(outputs(out)[name] == content for name, content in finished.items() if name in outputs(out))


def test_all_axis_orders_of_one_ct_give_one_answer(tmp_path):
    """48 files that hold the same patient, told apart by their axes alone."""
    canonical = body(balls=balls(3), radius_mm=6)
    (tmp_path / "in").mkdir()
    for number, order in enumerate(AXIS_ORDERS):
        view = stored(canonical, order)
        sitk.WriteImage(to_sitk(Volume(view.array, view.ijk_to_ras)), str(tmp_path / "in" / f"o{number:02d}.nii"))
    results = run(tmp_path / "in", tmp_path / "out", formats=("mrk.json",))
    assert len(results) == 48
    for result in results:
        np.testing.assert_allclose([point[1:4] for point in result.points], balls(3), atol=0.6)
    positions = {
        tuple(np.round([p.ras for p in read_points(f)], 2).ravel()) for f in (tmp_path / "out").glob("o*.json")
    }
    assert len(positions) == 1


def test_dicom_series_and_files_of_one_tree_are_labeled_together(tmp_path):
    volume = body(balls=balls(3), radius_mm=5)
    write_series(tmp_path / "in" / "p1", volume)
    write_series(tmp_path / "in" / "p2", volume, leave_out=(7,))
    write_scans(tmp_path / "in" / "p3", 3)
    results = run(tmp_path / "in", tmp_path / "out", formats=("mrk.json",))
    assert [result.name for result in results] == ["p1_3", "p2_3", "p3__scan0"]
    for result in results:
        np.testing.assert_allclose([point[1:4] for point in result.points], balls(3), atol=1.0)
    assert any("not evenly spaced" in warning for warning in results[1].warnings)


def test_values_stored_as_hu_plus_1024_are_labeled_with_a_word(tmp_path):
    volume = body(balls=balls(3), radius_mm=5)
    path = tmp_path / "stored.nii.gz"
    sitk.WriteImage(to_sitk(Volume(volume.array.clip(-1024) + 1024, affine())), str(path))
    (result,) = run(path, tmp_path / "out")
    assert result.levels == ("T1", "T2", "T3") and any("HU + 1024" in warning for warning in result.warnings)


def test_a_bug_in_one_scan_does_not_stop_the_others(tmp_path, caplog):
    class Buggy(BallLabeler):
        def label(self, volume, fixed=None, progress=None, cancelled=None):
            labels = super().label(volume, fixed, progress, cancelled)
            return labels if len(labels.points) != 2 else 1 / 0

    results = run(write_scans(tmp_path / "in", 3, 2, 1), tmp_path / "out", in_this_process(Buggy()))
    assert [result.status for result in results] == [DONE, FAILED, DONE]
    assert "ZeroDivisionError" in results[1].message and "Traceback" in caplog.text


def test_label_folder_reports_one_rising_fraction(tmp_path):
    told = []
    label_folder(
        write_scans(tmp_path / "in", 3, 2, 1),
        tmp_path / "out",
        labeler=BallLabeler(),
        progress=lambda fraction, message: told.append((fraction, message)),
    )
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0 and 0 < fractions[0] < 0.4
    assert any("finding balls" in message for _, message in told)


def test_json_lines_hold_whole_results(tmp_path, capsys):
    results = run(write_scans(tmp_path / "in", 2, 1), tmp_path / "out", reporter=JsonLines())
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    scans = [event for event in events if event["event"] == "scan"]
    assert [scan["levels"] for scan in scans] == [list(result.levels) for result in results]
    assert events[-1] == {"event": "end", "scans": 2, "done": 2, "present": 0, "skipped": 0, "failed": 0}


def test_inside_slicer_the_workers_are_python_slicer(tmp_path, monkeypatch):
    name = "PythonSlicer.exe" if os.name == "nt" else "PythonSlicer"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / name).write_text("")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "SlicerApp-real"))
    assert python_executable() == str(tmp_path / "bin" / name)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "Slicer"))
    assert python_executable() == str(tmp_path / "bin" / name)
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    assert python_executable() == "/usr/bin/python3"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (42.4, "42 s"), (89, "89 s"), (120, "2 min"), (5399, "90 min"), (9000, "2.5 h")]
)
def test_durations_are_told_in_words(seconds, text):
    assert duration(seconds) == text


@pytest.mark.long
@pytest.mark.timing
def test_throughput_is_measured_without_the_start_of_the_workers(tmp_path):
    jobs = find_scans([write_scans(tmp_path / "in", 1, 1, 1, 1)]).jobs
    rows = compare(jobs, LabelerSpec(factory="ball_labeler:SlowLabeler"), [1, 2], threads=1)
    assert [row["workers"] for row in rows] == [1, 2]
    assert rows[0]["scans_per_minute"] <= 60, "a scan takes a second and a little"
    assert rows[0]["efficiency"] == 1.0 and rows[1]["scans_per_minute"] > rows[0]["scans_per_minute"]
    with pytest.raises(ValueError, match="at least 6 scans"):
        compare(jobs, LabelerSpec(factory=BALLS), [3], threads=1)
