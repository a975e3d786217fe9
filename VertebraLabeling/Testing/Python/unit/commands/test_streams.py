"""Consoles of any encoding, pipes that close, disks that fill: a line that cannot be printed stops nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk
from phantoms import body, spine
from VertebraLabelingLib.formats.mrk_json import write_labels
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk

NAMES = ("a_日本", "b", "c_Ł", "d_é\u0301", "e_😀")
COMMAND = """
import sys
from VertebraLabelingLib.batch.workers import LabelerSpec
from VertebraLabelingLib.commands import cli
LabelerSpec.__init__.__defaults__ = (None, "auto", "ball_labeler:BallLabeler")
if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:]))
"""
ENCODINGS = ("cp1252", "latin-1", "ascii", "ascii:strict", "cp437", "utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Scans, points and truth under names that few encodings hold, and one that is no CT."""
    place = tmp_path_factory.mktemp("streams")
    (place / "scans").mkdir()
    for number, name in enumerate(NAMES):
        volume = body(balls=[(0.0, -3.0, 164.0), (0.0, -3.0, 140.0)], radius_mm=5, seed=number)
        sitk.WriteImage(to_sitk(volume), str(place / "scans" / f"{name}.nii"))
        write_labels(place / "truth" / f"{name}.mrk.json", spine(("L1", "L2")))
        write_labels(place / "points" / f"{name}.mrk.json", spine(("L2", "L3")))
    (place / "scans" / "z_\u0416.nii").write_bytes(b"no scan")
    (place / "run.py").write_text(COMMAND)
    return place


def started(folder: Path, *arguments, encoding="utf-8", **options) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    environment.update(PYTHONIOENCODING=encoding, PYTHONUTF8="0", LC_ALL="C.UTF-8", MPLBACKEND="agg")
    command = [sys.executable, str(folder / "run.py"), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, **options)


def run(folder: Path, *arguments, encoding) -> tuple[int, bytes, bytes]:
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = started(folder, *arguments, encoding=encoding, **pipe)
    out, err = process.communicate(timeout=120)
    assert b"Traceback" not in err and b"UnicodeEncodeError" not in err, err.decode("latin-1")
    return process.returncode, out, err


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_label_prints_to_any_console(folder, tmp_path, encoding):
    code, out, err = run(folder, "label", folder / "scans", "-o", tmp_path, encoding=encoding)
    assert code == 1 and err.startswith(b"error: ")
    assert {f"{name}.mrk.json" for name in NAMES} == {path.name for path in tmp_path.glob("*.mrk.json")}
    assert b"5 labeled, 1 failed" in out
    if encoding != "utf-8":
        assert b"a_\\u65e5\\u672c: T1-T2" in out


@pytest.mark.parametrize("encoding", ENCODINGS[:3])
def test_label_in_processes_prints_to_any_console(folder, tmp_path, encoding):
    code, out, _ = run(folder, "label", folder / "scans", "-o", tmp_path, "--jobs", 2, encoding=encoding)
    assert code == 1 and b"5 labeled, 1 failed" in out


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_evaluate_prints_to_any_console(folder, encoding):
    code, out, _ = run(folder, "evaluate", folder / "points", folder / "truth", encoding=encoding)
    assert code == 0 and b"5 scans" in out and out.count(b"missed L1") == 5


@pytest.mark.parametrize("encoding", ENCODINGS[:3])
def test_review_prints_to_any_console(folder, tmp_path, encoding):
    pytest.importorskip("matplotlib")
    scan = folder / "scans" / f"{NAMES[0]}.nii"
    place = tmp_path / "順"
    code, out, _ = run(folder, "review", scan, folder / "scans" / "z_\u0416.nii", "-o", place, encoding=encoding)
    assert code == 1 and b"1 pages in" in out and (place / "proposals" / f"{NAMES[0]}.mrk.json").is_file()


@pytest.mark.parametrize("arguments", [("serve", "nothing_日本.nii"), ("train", "nothing_日本")], ids=" ".join)
@pytest.mark.parametrize("encoding", ENCODINGS[:3])
def test_other_commands_refuse_on_any_console(folder, encoding, arguments):
    code, _, err = run(folder, *arguments, encoding=encoding)
    assert code in (1, 2) and err


def test_a_reader_that_goes_away_stops_no_batch(folder, tmp_path):
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    for number, more in enumerate(((), ("--json-lines",), ("--jobs", "2"))):
        process = started(folder, "label", folder / "scans", "-o", tmp_path / str(number), *more, **pipe)
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait(120) == 1 and b"Traceback" not in err and b"BrokenPipe" not in err
        assert len(list((tmp_path / str(number)).glob("*.mrk.json"))) == len(NAMES)


def test_readers_of_both_streams_that_go_away_stop_no_batch(folder, tmp_path):
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = started(folder, "label", folder / "scans", "-o", tmp_path, **pipe)
    process.stdout.close()
    process.stderr.close()
    assert process.wait(120) == 1
    assert len(list(tmp_path.glob("*.mrk.json"))) == len(NAMES)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
@pytest.mark.parametrize("arguments", [("label", "scans"), ("evaluate", "points", "truth")], ids=" ".join)
def test_a_full_disk_behind_the_streams_stops_nothing(folder, tmp_path, arguments):
    command = [arguments[0], *(folder / name for name in arguments[1:])]
    target = ["-o", tmp_path] if arguments[0] == "label" else ["--json", tmp_path / "scores.json"]
    with open("/dev/full", "w") as full:
        process = started(folder, *command, *target, stdout=full, stderr=subprocess.DEVNULL)
        assert process.wait(120) == (1 if arguments[0] == "label" else 0)
    if arguments[0] == "label":
        assert len(list(tmp_path.glob("*.mrk.json"))) == len(NAMES)
    else:
        assert json.loads((tmp_path / "scores.json").read_text())["n_scans"] == len(NAMES)


@pytest.mark.skipif(os.name == "nt", reason="needs a Unix shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_streams_that_are_closed_from_the_start_stop_nothing(folder, tmp_path, closed):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = f'"{sys.executable}" "{folder}/run.py" label "{folder}/scans" -o "{tmp_path}" {closed}'
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, timeout=120)
    assert done.returncode == 1 and b"Traceback" not in done.stderr
    assert len(list(tmp_path.glob("*.mrk.json"))) == len(NAMES)
