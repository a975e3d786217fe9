"""What a batch tells people: a bar with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import sys

from VertebraLabelingLib.batch import progress
from VertebraLabelingLib.batch.inputs import Inputs, ScanJob, Skip
from VertebraLabelingLib.batch.progress import Terminal, error_line, result_line
from VertebraLabelingLib.batch.scan_job import DONE, FAILED, PRESENT, SKIPPED, ScanResult

POINTS = (("T1", 1.0, 2.0, 3.0, 0.9), ("T2", 1.0, 2.0, -20.0, 0.4))
JOBS = Inputs(jobs=[ScanJob(f"{n}.nii", str(n)) for n in range(4)], skipped=[Skip("x/series 9", "modality MR")])


class Screen(io.StringIO):
    def isatty(self):
        return True


def run_batch(monkeypatch, stderr):
    monkeypatch.setattr(sys, "stderr", stderr)
    ticks = iter(range(0, 100_000, 10))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(ticks))
    reporter = Terminal()
    reporter.start(JOBS)
    results = [ScanResult(str(n), f"{n}.nii", DONE, points=POINTS, seconds=3.0) for n in range(3)]
    results.append(ScanResult("3", "3.nii", FAILED, "It is broken."))
    for result in results:
        reporter.progress(result.name, 0.5, "finding vertebrae")
        reporter.finished(result)
    reporter.end(results)


def test_on_a_terminal_one_bar_tells_the_share_and_the_time_left(monkeypatch, capsys):
    screen = Screen()
    run_batch(monkeypatch, screen)
    drawings = screen.getvalue().split("\r\x1b[K")
    bars = [drawing for drawing in drawings if drawing.startswith("[")]
    assert any("1/4 " in bar and "left" in bar for bar in bars)
    assert any("2: finding vertebrae" in bar for bar in bars)
    shares = [bar.count("#") for bar in bars]
    assert shares == sorted(shares) and shares[0] < shares[-1]
    assert drawings[-1] == "", "the bar is gone at the end"
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "skipped: x/series 9 (modality MR)"
    assert out[1] == "0: T1-T2, 2 levels, lowest confidence 0.40, 3.0 s"
    assert out[-1].startswith("5 inputs in") and out[-1].endswith("3 labeled, 1 skipped, 1 failed")


def test_elsewhere_there_is_no_bar(monkeypatch, capsys):
    log = io.StringIO()
    run_batch(monkeypatch, log)
    assert log.getvalue() == "error: 3.nii: It is broken.\n"


def test_lines_say_what_became_of_a_scan():
    present = ScanResult("a", "a.nii", PRESENT, points=POINTS, seconds=0.1)
    assert result_line(present) == "a: already there (T1-T2, 2 levels)"
    assert result_line(ScanResult("a", "a.nii", SKIPPED, "It is an MR.")) == "a: skipped, It is an MR."
    warned = ScanResult("a", "a.nii", DONE, points=POINTS, warnings=("Look here.",), seconds=2.0)
    assert result_line(warned).splitlines()[1] == "  Look here."


def test_an_error_names_its_input_once():
    assert error_line(ScanResult("", "d/a.nii", FAILED, "It is broken.")) == "error: d/a.nii: It is broken."
    assert error_line(ScanResult("", "d/a.nii", FAILED, "a.nii is broken.")) == "error: a.nii is broken."
