"""Review: what a decision makes of proposed points, the pictures, and the command from scans to truth."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk
from phantoms import body
from VertebraLabelingLib.batch import workers
from VertebraLabelingLib.commands import cli
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.formats.mrk_json import read_points, write_labels
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk
from VertebraLabelingLib.review.curved_planar_reformation import rib_view, spine_frame
from VertebraLabelingLib.review.review_balance import balanced, usual_gaps
from VertebraLabelingLib.review.review_decisions import Decision, apply_decision, read_decisions, write_decisions

BALLS = [(-2.0, -5.0, 160.0), (0.0, -2.0, 136.0), (1.0, 0.0, 112.0)]
POINTS = {level: (0.0, 2.0 * n, 100.0 - 18.0 * n) for n, level in enumerate(("C2", "C3", "C4", "C5"))}


def decide(verdict="edit", edits="", landmark="dens", points=POINTS):
    return apply_decision(Decision("a", verdict, landmark, edits), points)


def test_accepted_points_stay_as_they_are():
    truth = decide("accept")
    assert truth.points == POINTS and not truth.cut


@pytest.mark.parametrize("verdict", ["", "reject"])
def test_what_is_rejected_or_not_looked_at_makes_no_truth(verdict):
    assert decide(verdict, landmark="") is None


@pytest.mark.parametrize(
    ("edits", "levels", "cut"),
    [
        ("drop:C5", "C2 C3 C4", ""),
        ("cut:C5", "C2 C3 C4 C5", "C5"),
        ("rename:C2>C3 rename:C3>C4 rename:C4>C5 rename:C5>C6", "C3 C4 C5 C6", ""),
        ("drop:C2 rename:C3>C2 rename:C4>C3 rename:C5>C4", "C2 C3 C4", ""),
        ("add:C6 cut:C6", "C2 C3 C4 C5 C6", "C6"),
        ("drop:C3 add:C3", "C2 C3 C4 C5", ""),
    ],
)
def test_edits_drop_rename_add_and_cut(edits, levels, cut):
    truth = decide(edits=edits)
    assert set(truth.points) == set(levels.split())
    assert truth.cut == frozenset(cut.split())


def test_an_added_point_lies_midway_or_one_step_on():
    np.testing.assert_allclose(decide(edits="add:C6").points["C6"], (0, 8, 28))
    np.testing.assert_allclose(decide(edits="add:C1").points["C1"], (0, -2, 118))
    np.testing.assert_allclose(decide(edits="drop:C3 add:C3").points["C3"], POINTS["C3"])


def test_points_are_moved_by_mm_or_to_a_position():
    truth = decide(edits="by:C3:1,-2,3 at:C5:4,5,44")
    assert truth.points["C3"] == (1.0, 0.0, 85.0) and truth.points["C5"] == (4.0, 5.0, 44.0)
    assert truth.points["C2"] == POINTS["C2"]


@pytest.mark.parametrize(("by", "levels"), [("+1", "C3 C4 C5 C6"), ("-1", "C1 C2 C3 C4")])
def test_a_shift_renames_all(by, levels):
    truth = decide("shift", by)
    assert list(truth.points) == levels.split() and list(truth.points.values()) == list(POINTS.values())


def test_a_shift_passes_from_t12_to_l1():
    assert list(decide("shift", "1", points={"T11": (0, 0, 25), "T12": (0, 0, 0)}).points) == ["T12", "L1"]


@pytest.mark.parametrize(
    ("verdict", "edits", "landmark", "told"),
    [
        ("accept", "", "", "landmark"),
        ("accept", "", "skull", "landmark"),
        ("accept", "drop:C5", "dens", "has no edits"),
        ("edit", "", "dens", "no edits"),
        ("edit", "drop:T1", "dens", "T1"),
        ("edit", "drop:C3", "dens", "no vertebra between C2 and C4"),
        ("edit", "rename:C2>C3", "dens", "used twice"),
        ("edit", "rename:T1>T2", "dens", "not there"),
        ("edit", "cut:T1", "dens", "cut level"),
        ("edit", "by:C3:0,0,-60", "dens", "mm apart"),
        ("edit", "by:C3:0,0", "dens", "correct the line"),
        ("edit", "add:C7", "dens", "neighbors"),
        ("edit", "add:C3", "dens", "already"),
        ("edit", "turn:C3", "dens", "turn"),
        ("edit", "rename:C2", "dens", "correct the line"),
        ("shift", "-2", "dens", "above C1"),
        ("shift", "0", "dens", "shift by 0"),
        ("shift", "", "dens", "correct the line"),
    ],
)
def test_a_slip_of_the_pen_is_named_in_one_sentence(verdict, edits, landmark, told):
    with pytest.raises(InputError, match=told) as caught:
        decide(verdict, edits, landmark)
    assert str(caught.value).startswith("a: ") and "\n" not in str(caught.value)


def test_decisions_survive_the_file(tmp_path):
    rows = [Decision("pt 1", "accept", "dens+first rib"), Decision("b", "edit", "dens", "drop:C5", 'half, "cut"')]
    write_decisions(tmp_path / "d.csv", rows)
    assert read_decisions(tmp_path / "d.csv") == rows


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("case,verdict\n", "columns"),
        ("case,verdict,landmark,edits,note\na,maybe,,,\n", "maybe"),
        ("case,verdict,landmark,edits,note\na,accept,,,\na,reject,,,\n", "twice"),
        ("case,verdict,landmark,edits,note\n\xff\n", "UTF-8"),
    ],
)
def test_a_wrong_table_is_one_sentence(tmp_path, text, told):
    (tmp_path / "d.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=told):
        read_decisions(tmp_path / "d.csv")


def test_the_rib_view_shows_the_brightest_bone_behind_the_bodies():
    """A ball 18 mm behind and beside the spine is in the rib view at its full density, one in front is not."""
    spine = np.array([(0.0, -5.0, 160.0 - 20 * n) for n in range(4)])
    for behind, bright in ((-18, True), (18, False)):
        volume = body((40, 60, 60), balls=[spine[1] + (16, behind, 0)], radius_mm=6)
        view = rib_view(volume, spine_frame(volume, spine))
        assert (np.nanmax(view.pixels) > 1200) == bright


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three scans: two to label, one with points that are there already."""
    monkeypatch.setattr(workers, "LabelerSpec", partial(workers.LabelerSpec, factory="ball_labeler:BallLabeler"))
    for name in ("a", "b", "c"):
        (tmp_path / "in").mkdir(exist_ok=True)
        sitk.WriteImage(to_sitk(body(balls=BALLS, radius_mm=7)), str(tmp_path / "in" / f"{name}.nii.gz"))
    given = SpineLabels(tuple(LabeledPoint(level, ball) for level, ball in zip(("C5", "C6", "C7"), BALLS)))
    write_labels(tmp_path / "given" / "c.mrk.json", given)
    return tmp_path


def run(*arguments) -> int:
    return cli.main(["review", *map(str, arguments)])


def test_from_scans_to_pages_decisions_and_truth(folder, capsys):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    out = folder / "review"
    given = ("--labels", folder / "given", "--truth", folder / "given", "--per-page", 2)
    assert run(folder / "in", "-o", out, *given) == 0
    assert sorted(path.name for path in out.glob("*.png")) == ["page_001.png", "page_002.png"]
    assert [row.verdict for row in read_decisions(out / "decisions.csv")] == ["", "", ""]
    rows = [
        Decision("a", "accept", "first rib"),
        Decision("b", "reject", "", "", "blurred"),
        Decision("c", "edit", "first rib", "rename:C5>C6 rename:C6>C7 rename:C7>T1 cut:T1"),
    ]
    write_decisions(out / "decisions.csv", rows)
    assert run("--apply", out / "decisions.csv", "-o", folder / "truth") == 0
    assert "1 accept, 1 edit, 1 reject" in capsys.readouterr().out
    assert sorted(path.name for path in (folder / "truth").iterdir()) == ["a.mrk.json", "c.mrk.json"]
    a, c = (read_points(folder / "truth" / f"{name}.mrk.json") for name in "ac")
    assert [point.level for point in a] == ["T1", "T2", "T3"]
    assert {point.description for point in a} == {"status=reviewed;landmark=first rib"}
    assert [(point.level, point.cut) for point in c] == [("C6", False), ("C7", False), ("T1", True)]
    np.testing.assert_allclose([point.ras for point in c], BALLS, atol=0.01)

    assert run(folder / "in", "-o", out, *given) == 0
    assert read_decisions(out / "decisions.csv") == rows, "a second run keeps what was decided"


def test_a_decision_that_cannot_be_applied_does_not_stop_the_others(folder, capsys):
    write_labels(folder / "given" / "a.mrk.json", SpineLabels((LabeledPoint("T1", BALLS[0]),)))
    rows = [
        Decision("a", "accept", "dens"),
        Decision("c", "edit", "dens", "drop:L1"),
        Decision("missing", "accept", "dens"),
        Decision("../c", "accept", "dens"),
    ]
    write_decisions(folder / "d.csv", rows)
    assert run("--apply", folder / "d.csv", "--labels", folder / "given", "-o", folder / "truth") == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3 and all(line.startswith("error: ") for line in errors)
    assert [path.name for path in (folder / "truth").iterdir()] == ["a.mrk.json"]

    write_decisions(folder / "d.csv", [Decision("a", "reject")])
    assert run("--apply", folder / "d.csv", "--labels", folder / "given", "-o", folder / "truth") == 1
    assert "delete the file" in capsys.readouterr().err


def test_the_labeler_is_made_as_the_options_say(folder, monkeypatch):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    made, spec = [], workers.LabelerSpec
    monkeypatch.setattr(workers, "LabelerSpec", lambda *given, **named: made.append(spec(*given, **named)) or made[-1])
    options = ("--device", "cpu", "--weights", folder / "my.pt")
    assert run(folder / "in" / "a.nii.gz", "-o", folder / "review", *options) == 0
    assert [(one.device, one.weights) for one in made] == [("cpu", str(folder / "my.pt"))]


def test_missing_weights_stop_the_command_before_any_scan_unless_all_points_are_there(folder, monkeypatch, capsys):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    monkeypatch.setattr(workers, "LabelerSpec", workers.LabelerSpec.func)  # the real labeler
    arguments = ("-o", folder / "review", "--labels", folder / "given", "--weights", folder / "no.pt")
    assert run(folder / "in", *arguments) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "no.pt are missing" in error
    assert not (folder / "review").exists()
    assert run(folder / "in" / "c.nii.gz", *arguments) == 0


def test_nothing_to_review_is_one_sentence(tmp_path, capsys):
    assert run("-o", tmp_path) == 1
    assert "Give the scans" in capsys.readouterr().err


def gaps_of(points) -> np.ndarray:
    return np.linalg.norm(np.diff(list(points.values()), axis=0), axis=1)


def test_balanced_points_move_along_the_spine_toward_usual_spacing():
    """A point 6 mm too low moves up by most of that; the row's sideways places stay."""
    usual = usual_gaps([POINTS, POINTS])
    assert set(usual) == {("C2", "C3"), ("C3", "C4"), ("C4", "C5")}
    wrong = {**POINTS, "C4": tuple(np.subtract(POINTS["C4"], (0, 0, 6)))}
    right = balanced(wrong, usual)
    assert abs(right["C4"][2] - POINTS["C4"][2]) < 2.5 < abs(wrong["C4"][2] - POINTS["C4"][2])
    assert np.ptp(gaps_of(right)) < 0.5 * np.ptp(gaps_of(wrong))
    np.testing.assert_allclose([place[0] for place in right.values()], 0, atol=1e-9)


def test_balancing_keeps_a_large_patient_large_and_a_regular_row_as_it_is():
    usual = usual_gaps([POINTS])
    large = {level: tuple(1.3 * np.array(place)) for level, place in POINTS.items()}
    for points in (POINTS, large):
        np.testing.assert_allclose(list(balanced(points, usual).values()), list(points.values()), atol=1e-6)


def test_too_few_points_are_not_balanced_and_a_missed_vertebra_is_no_gap():
    usual = usual_gaps([POINTS])
    three = {level: POINTS[level] for level in ("C2", "C3", "C5")}
    assert balanced(three, usual) == three
    assert set(usual_gaps([three])) == {("C2", "C3")}


def test_the_spacing_of_known_truth_balances_the_proposals(folder, capsys):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    write_labels(folder / "like" / "x.mrk.json", SpineLabels(tuple(LabeledPoint(*pair) for pair in POINTS.items())))
    crooked = {**POINTS, "C4": tuple(np.add(POINTS["C4"], (0, 0, 5)))}
    for name in "abc":
        labels = SpineLabels(tuple(LabeledPoint(*pair) for pair in crooked.items()))
        write_labels(folder / "given" / f"{name}.mrk.json", labels)
    arguments = (folder / "in", "-o", folder / "review", "--labels", folder / "given")
    assert run(*arguments, "--balance", folder / "like") == 0
    proposed = {point.level: point.ras for point in read_points(folder / "review" / "proposals" / "a.mrk.json")}
    assert np.ptp(gaps_of(proposed)) < 0.5 * np.ptp(gaps_of(crooked))
    assert run(*arguments, "--balance", folder / "in") == 1
    assert "holds no .mrk.json" in capsys.readouterr().err
