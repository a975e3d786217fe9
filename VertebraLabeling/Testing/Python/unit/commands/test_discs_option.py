"""``label --discs``, and what other commands make of a folder with files of discs."""

from __future__ import annotations

from functools import partial

import pytest
from ball_batch import write_scans
from VertebraLabelingLib.batch import workers
from VertebraLabelingLib.commands import cli


@pytest.fixture(autouse=True)
def ball_labeler(monkeypatch):
    """The command labels with the phantom labeler; everything else is as users have it."""
    spec = partial(workers.LabelerSpec, factory="ball_labeler:BallLabeler")
    monkeypatch.setattr(workers, "LabelerSpec", spec)


def run(*arguments) -> int:
    return cli.main([str(argument) for argument in arguments])


def names_in(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("summary."))


@pytest.mark.parametrize(
    ("formats", "added"),
    [("mrk.json", ["mrk.json"]), ("csv,png", ["csv"]), ("mrk.json,csv", ["mrk.json", "csv"])],
)
def test_disc_points_come_in_the_formats_of_the_points(tmp_path, formats, added):
    folder, out = write_scans(tmp_path / "in", 3), tmp_path / "out"
    assert run("label", folder / "scan0.nii.gz", "-o", out, "--format", formats, "--discs") == 0
    wanted = {*formats.split(","), *(f"discs.{each}" for each in added)}
    assert names_in(out) == sorted(f"scan0.{each}" for each in wanted)


def test_without_a_format_for_them_there_is_a_sentence(tmp_path, capsys):
    folder = write_scans(tmp_path / "in", 3)
    assert run("label", folder, "-o", tmp_path / "out", "--format", "png", "--discs") == 1
    assert "--discs needs a format that can hold disc points: add mrk.json or csv" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_evaluate_passes_over_files_of_discs(tmp_path, capsys):
    folder, out, truth = write_scans(tmp_path / "in", 3, 3), tmp_path / "out", tmp_path / "truth"
    assert run("label", folder, "-o", out, "--discs", "--quiet") == 0
    assert run("label", folder, "-o", truth, "--discs", "--quiet") == 0
    capsys.readouterr()
    assert run("evaluate", out, truth) == 0
    told = capsys.readouterr()
    assert "discs" not in told.out and not told.err
