"""The command line, run as users run it: files in, files out, one sentence for each bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk
from csv_reader import read_table
from dicom_files import write_series
from phantoms import affine, body, spine
from VertebraLabelingLib.batch import workers
from VertebraLabelingLib.commands import cli
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.formats import verse_json
from VertebraLabelingLib.formats.mrk_json import read_labels, read_points, write_labels
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk

BALLS = [(-2.0, -5.0, 160.0), (0.0, -2.0, 136.0), (1.0, 0.0, 112.0)]


@pytest.fixture(autouse=True)
def ball_labeler(monkeypatch):
    """The command labels with the phantom labeler; everything else is as users have it."""
    spec = partial(workers.LabelerSpec, factory="ball_labeler:BallLabeler")
    monkeypatch.setattr(workers, "LabelerSpec", spec)


@pytest.fixture
def ct_file(tmp_path):
    return save(tmp_path / "in" / "case 1.nii.gz")


def save(path, volume=None):
    path.parent.mkdir(exist_ok=True, parents=True)
    sitk.WriteImage(to_sitk(volume or body(balls=BALLS, radius_mm=7)), str(path))
    return path


def run(*arguments) -> int:
    return cli.main([str(argument) for argument in arguments])


def names_in(folder) -> list[str]:
    """The outputs of scans; a batch of several adds a summary."""
    summary = ("summary.", "review.html")
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(summary))


def test_one_scan_is_labeled_and_its_vertebrae_are_printed(ct_file, tmp_path, capsys):
    assert run("label", ct_file, "-o", tmp_path / "out") == 0
    points = read_points(tmp_path / "out" / "case 1.mrk.json")
    assert [point.level for point in points] == ["T1", "T2", "T3"]
    np.testing.assert_allclose([point.ras for point in points], BALLS, atol=1.5)
    out = capsys.readouterr().out
    assert [line.split()[:2] for line in out.splitlines()[:4]] == [
        ["level", "confidence"],
        ["T1", "0.95"],
        ["T2", "0.85"],
        ["T3", "0.75"],
    ]
    assert "3 vertebrae" in out and "warning: Levels may be shifted by one." in out


def test_every_format_holds_the_same_points(ct_file, tmp_path):
    out = tmp_path / "out"
    assert run("label", ct_file, "-o", out, "--format", "csv, mrk.json,verse.json") == 0
    assert names_in(out) == ["case 1.csv", "case 1.mrk.json", "case 1.verse.json"]
    expected = {point.level: point.ras for point in read_labels(out / "case 1.mrk.json").points}
    table = read_table(out / "case 1.csv")["case 1"]
    verse = verse_json.read_labels(out / "case 1.verse.json", body())
    for labels in (table, verse):
        assert [point.level for point in labels.points] == list(expected)
        np.testing.assert_allclose([point.ras for point in labels.points], list(expected.values()), atol=0.03)


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha", ".nhdr", ".mhd"])
def test_other_file_formats_are_labeled(tmp_path, suffix):
    assert run("label", save(tmp_path / f"a{suffix}"), "-o", tmp_path / "out") == 0
    assert names_in(tmp_path / "out") == ["a.mrk.json"]


def test_a_dicom_folder_is_named_by_folder_and_series_number(tmp_path):
    write_series(tmp_path / "chest", body(balls=BALLS, radius_mm=7))
    assert run("label", tmp_path / "chest", "-o", tmp_path / "out") == 0
    points = read_points(tmp_path / "out" / "chest_3.mrk.json")
    np.testing.assert_allclose([point.ras for point in points], BALLS, atol=1.5)


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """Input -> what its one sentence must say."""
    folder = tmp_path_factory.mktemp("bad")
    ct = to_sitk(body(balls=BALLS, radius_mm=7))
    truncated = save(folder / "truncated.nii.gz")
    truncated.write_bytes(truncated.read_bytes()[:3000])
    sitk.WriteImage(sitk.Compose([sitk.Cast(ct, sitk.sitkUInt8)] * 3), str(folder / "rgb.nrrd"))
    sitk.WriteImage(ct[:, :, 3], str(folder / "flat.mha"))
    sitk.WriteImage(ct[:, :, 3:4], str(folder / "slice.nii.gz"))
    volumes = {
        "air.nii.gz": np.random.default_rng(0).normal(-1000, 10, (24, 48, 40)),
        "nan.mha": np.full((24, 48, 40), np.nan),
        "mr.nii.gz": np.random.default_rng(0).integers(0, 4000, (24, 48, 40)).astype(np.int16),
        "no spine.nii.gz": body().array,
    }
    for name, array in volumes.items():
        save(folder / name, Volume(np.asarray(array), affine()))
    (folder / "empty").mkdir()
    for first in (0, 50):
        write_series(folder / "two series", body(), first_file=first, SeriesNumber=first + 1)
    return {
        folder / "truncated.nii.gz": "truncated",
        folder / "rgb.nrrd": "color",
        folder / "flat.mha": "not a three-dimensional volume",
        folder / "slice.nii.gz": "not a three-dimensional volume",
        folder / "air.nii.gz": "only air",
        folder / "nan.mha": "no usable values",
        folder / "mr.nii.gz": "not Hounsfield units",
        folder / "no spine.nii.gz": "No vertebra was found",
        folder / "empty": "holds no CT",
        folder / "two series": "choose one with --series",
        folder / "missing.nii.gz": "does not exist",
        folder / "*.dcm": "Nothing matches",
    }


def test_each_bad_input_gives_one_sentence_and_the_good_ones_are_done(bad, ct_file, tmp_path, capsys):
    arguments = [*list(bad)[:6], ct_file, *list(bad)[6:]]
    assert run("label", *arguments, "-o", tmp_path / "out") == 1
    assert names_in(tmp_path / "out") == ["case 1.mrk.json"]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(bad)
    for path, expected in bad.items():
        (line,) = (line for line in lines if str(path) in line or f"{path.name} " in line)
        assert line.startswith("error: ") and expected in line and line.endswith(".")


@pytest.mark.parametrize("number", range(12))
def test_a_bad_input_alone_fails_without_output(bad, tmp_path, capsys, number):
    path = list(bad)[number]
    assert run("label", path, "-o", tmp_path / "out", "--format", "mrk.json,csv") == 1
    assert not (tmp_path / "out").exists() or names_in(tmp_path / "out") == []
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_series_can_be_chosen_or_all_taken(tmp_path):
    for first, number in ((0, 4), (50, 7)):
        write_series(tmp_path / "d", body(balls=BALLS, radius_mm=7), first_file=first, SeriesNumber=number)
    assert run("label", tmp_path / "d", "-o", tmp_path / "one", "--series", 7) == 0
    assert names_in(tmp_path / "one") == ["d_7.mrk.json"]
    assert run("label", tmp_path / "d", "-o", tmp_path / "all", "--series", "all") == 0
    assert names_in(tmp_path / "all") == ["d_4.mrk.json", "d_7.mrk.json"]


def test_what_is_there_is_kept_and_only_what_is_missing_is_made_from_it(ct_file, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("label", ct_file, "-o", out) == 0
    before = correct(out / "case 1.mrk.json")
    assert run("label", ct_file, "-o", out) == 0
    assert "was there already" in capsys.readouterr().out
    assert run("label", ct_file, "-o", out, "--format", "mrk.json,csv") == 0
    assert (out / "case 1.mrk.json").read_bytes() == before
    assert [p.level for p in read_table(out / "case 1.csv")["case 1"].points] == ["T2", "T3"]


def correct(path) -> bytes:
    """Take out a point and confirm another, as Slicer saves it: what it does not know is left out."""
    data = json.loads(path.read_text())
    del data["vertebraLabeling"], data["markups"][0]["controlPoints"][0]
    data["markups"][0]["controlPoints"][0]["description"] = "confidence=1.00;status=confirmed"
    path.write_text(json.dumps(data))
    return path.read_bytes()


def test_overwrite_does_it_again(ct_file, tmp_path):
    out = tmp_path / "out"
    assert run("label", ct_file, "-o", out, "--format", "mrk.json,csv") == 0
    (out / "case 1.csv").write_text("")
    before = (out / "case 1.mrk.json").stat().st_mtime_ns
    assert run("label", ct_file, "-o", out, "--format", "mrk.json,csv", "--overwrite") == 0
    assert [p.level for p in read_points(out / "case 1.mrk.json")] == ["T1", "T2", "T3"]
    assert len(read_table(out / "case 1.csv")["case 1"].points) == 3
    assert (out / "case 1.mrk.json").stat().st_mtime_ns > before


def test_a_damaged_earlier_output_is_named_and_kept(ct_file, tmp_path, capsys):
    assert run("label", ct_file, "-o", tmp_path / "out") == 0
    (tmp_path / "out" / "case 1.mrk.json").write_text("{")
    for more in ([], ["--overwrite"]):
        assert run("label", ct_file, "-o", tmp_path / "out", "--format", "csv,mrk.json", *more) == 1
        assert "not valid JSON" in capsys.readouterr().err
        assert (tmp_path / "out" / "case 1.mrk.json").read_text() == "{"


def test_the_input_is_never_written_to(ct_file):
    before = ct_file.read_bytes()
    assert run("label", ct_file, "-o", ct_file.parent) == 0
    assert ct_file.read_bytes() == before
    assert names_in(ct_file.parent) == ["case 1.mrk.json", "case 1.nii.gz"]


def test_quiet_prints_errors_only(ct_file, tmp_path, capsys):
    assert run("label", ct_file, tmp_path / "missing.nii", "-o", tmp_path / "out", "--quiet") == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("error: ") and len(captured.err.splitlines()) == 1


def test_json_lines_are_json_and_nothing_else(ct_file, tmp_path, capsys):
    assert run("label", ct_file, tmp_path / "missing.nii", "-o", tmp_path / "out", "--json-lines") == 1
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["start", "scan", "progress", "scan", "end"]
    assert {event.get("status") for event in events if event["event"] == "scan"} == {"done", "failed"}
    done = next(event for event in events if event.get("status") == "done")
    assert (done["levels"], done["confidence"], done["files"]) == (["T1", "T2", "T3"], 0.75, ["case 1.mrk.json"])


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["label"],
        ["label", "a.nii"],
        ["label", "a.nii", "-o", "out", "--jobs", "0"],
        ["label", "a.nii", "-o", "out", "--device", "tpu"],
        ["serve", "a.nii", "--device", "tpu"],
        ["review", "a.nii", "-o", "out", "--device", "cuda:x"],
        ["label", "a.nii", "-o", "out", "--quiet", "--json-lines"],
        ["evaluate", "a"],
        ["unknown"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    assert stop.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("formats", ["pdf", "mrk.json,../x", ",", ""])
def test_an_unknown_format_is_one_sentence(ct_file, tmp_path, capsys, formats):
    assert run("label", ct_file, "-o", tmp_path / "out", "--format", formats) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments", [("label", "-o", "out", "--format", "png,csv"), ("review", "-o", "out")], ids=" ".join
)
def test_pictures_without_matplotlib_are_refused_before_any_scan(ct_file, tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.chdir(tmp_path)
    assert run(*arguments, ct_file) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "pip install matplotlib" in err
    assert not (tmp_path / "out").exists()


def test_missing_weights_stop_the_command_before_any_scan(ct_file, tmp_path, monkeypatch, capsys):
    monkeypatch.undo()  # the real labeler
    assert run("label", ct_file, ct_file, "-o", tmp_path / "out", "--weights", tmp_path / "no.pt") == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "no.pt are missing" in err


def test_an_output_folder_that_cannot_be_made_is_one_sentence(ct_file, tmp_path, capsys):
    (tmp_path / "out").write_text("a file, not a folder")
    assert run("label", ct_file, "-o", tmp_path / "out") == 1
    assert "outputs cannot be written" in capsys.readouterr().err


def test_help_and_evaluate_import_nothing_heavy():
    script = (
        "import sys\nfrom VertebraLabelingLib.commands import cli\ncli.build_parser().format_help()\n"
        "import VertebraLabelingLib.commands.evaluate\n"
        "print([name for name in ('torch', 'SimpleITK', 'matplotlib', 'dask') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def moved(labels, by):
    points = tuple(type(p)(p.level, tuple(np.add(p.ras, by)), p.confidence, p.status) for p in labels.points)
    return labels.with_points(points)


def test_evaluate_matches_folders_by_name_and_counts_what_is_missing(tmp_path, capsys):
    truth = spine(("T1", "T2", "T3"))
    for name in ("a", "b", "sub/c"):
        write_labels(tmp_path / "truth" / f"{name}.mrk.json", truth)
    write_labels(tmp_path / "pred" / "a.mrk.json", moved(truth, (3.0, 0.0, 4.0)))
    write_labels(tmp_path / "pred" / "c.mrk.json", truth.with_points(truth.points[:2]))
    write_labels(tmp_path / "pred" / "other.mrk.json", truth)
    assert run("evaluate", tmp_path / "pred", tmp_path / "truth", "--json", tmp_path / "scores.json") == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["strict_id"] == pytest.approx(5 / 9)
    assert (scores["n_scans"], scores["scans_all_correct"], scores["n_vertebrae"]) == (3, 1, 9)
    assert scores["mean_mm"] == pytest.approx(3.0)
    assert set(scores["cases"]) == {"a", "b", "sub/c"}
    out = capsys.readouterr().out
    assert "55.6 %" in out and "sub/c: missed T3, wrong none" in out and "counted as missed): b" in out
    assert f"no truth (not scored): {tmp_path / 'pred' / 'other.mrk.json'}" in out


def test_evaluate_gives_one_prediction_to_one_truth(tmp_path, capsys):
    for folder in ("p1", "p2"):
        write_labels(tmp_path / "truth" / folder / "ct.mrk.json", spine())
    write_labels(tmp_path / "pred" / "ct.mrk.json", spine())
    assert run("evaluate", tmp_path / "pred", tmp_path / "truth") == 0
    out = capsys.readouterr().out
    assert "counted as missed): p1/ct, p2/ct" in out
    assert f"no truth (not scored): {tmp_path / 'pred' / 'ct.mrk.json'}" in out


def test_evaluate_compares_two_files_and_leaves_cut_points_out(tmp_path, capsys):
    truth = tmp_path / "truth.mrk.json"
    write_labels(truth, spine(("T1", "T2")))
    data = json.loads(truth.read_text())
    data["markups"][0]["controlPoints"][0]["description"] = "cut"
    truth.write_text(json.dumps(data))
    write_labels(tmp_path / "p.mrk.json", spine(("T1", "T2")).with_points(spine(("T1", "T2")).points[1:]))
    assert run("evaluate", tmp_path / "p.mrk.json", truth, "--json", tmp_path / "s.json") == 0
    scores = json.loads((tmp_path / "s.json").read_text())
    assert (scores["strict_id"], scores["n_vertebrae"], scores["scans_all_correct"]) == (1.0, 1, 1)
    assert "1 of 1 scans all correct" in capsys.readouterr().out


def test_evaluate_counts_a_damaged_prediction_as_missed_and_says_so(tmp_path, capsys):
    write_labels(tmp_path / "truth" / "a.mrk.json", spine())
    (tmp_path / "pred").mkdir()
    (tmp_path / "pred" / "a.mrk.json").write_text("{")
    assert run("evaluate", tmp_path / "pred", tmp_path / "truth") == 1
    captured = capsys.readouterr()
    assert "not valid JSON" in captured.err and "0.0 %" in captured.out


@pytest.mark.parametrize("case", ["missing", "file and folder", "no truth", "damaged truth", "json folder is a file"])
def test_evaluate_explains_what_it_cannot_compare(tmp_path, case, capsys):
    write_labels(tmp_path / "truth" / "a.mrk.json", spine())
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "a.mrk.json").write_text("[")
    truth = tmp_path / "truth"
    arguments = {
        "missing": (tmp_path / "nothing", truth),
        "file and folder": (truth / "a.mrk.json", truth),
        "no truth": (truth, tmp_path / "empty"),
        "damaged truth": (truth, tmp_path / "damaged"),
        "json folder is a file": (truth, truth, "--json", truth / "a.mrk.json" / "s.json"),
    }[case]
    assert run("evaluate", *arguments) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1


def test_the_console_script_is_the_same_command(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "VertebraLabelingLib.commands.cli", "label", "nothing.nii", "-o", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: nothing.nii does not exist: check the path.\n"
