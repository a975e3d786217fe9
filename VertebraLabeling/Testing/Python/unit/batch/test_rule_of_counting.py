"""The rule of counting in a batch: what is written, told, and already there."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from ball_batch import balls
from ball_labeler import BallLabeler
from owned_batch import correct, patient
from VertebraLabelingLib.batch.inputs import find_scans
from VertebraLabelingLib.batch.label_batch import in_this_process, label_batch, label_folder
from VertebraLabelingLib.batch.outputs import OutputPlan
from VertebraLabelingLib.batch.progress import JsonLines
from VertebraLabelingLib.batch.scan_job import DONE, PRESENT
from VertebraLabelingLib.commands import cli, label
from VertebraLabelingLib.core.count_rules import RULES
from VertebraLabelingLib.core.counting import COUNT, Count, how_counted, rule_of
from VertebraLabelingLib.core.label_warning import FIRST_RIB, LAST_RIB, SACRUM
from VertebraLabelingLib.core.labels import LabeledPoint
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.formats.mrk_json import read_labels
from VertebraLabelingLib.solver.naming import named

SEEN = ("T12", "T13", "L1", "L2", "L3")
NAMES = {"seen": SEEN, "above": ("T12", "L1", "L2", "L3", "L4"), "sacrum": ("T11", "T12", "L1", "L2", "L3")}
SAID = {
    "seen": "thirteen vertebrae bear ribs, the last is named T13; counted from the sacrum it is T12.",
    "above": "thirteen vertebrae bear ribs, the last is named L1; counted from the sacrum it is T12; the names are",
    "sacrum": "thirteen vertebrae bear ribs, the last is named T12; counted from above it is L1; the names are",
}


class ThirteenRibs(BallLabeler):
    """Sees T12, T13 and L1 to L3 of a spine with thirteen ribs."""

    def label(self, volume, fixed=None, progress=None, cancelled=None):
        found = super().label(volume, fixed, progress, cancelled)
        points = tuple(LabeledPoint(level, point.ras, 0.95) for level, point in zip(SEEN, found.points))
        count = Count((FIRST_RIB, LAST_RIB, SACRUM), 13, 5, 1, "L5")
        return named(replace(found, points=points, provenance={"model": "balls", COUNT: count.to_json()}), "seen")


@pytest.fixture
def scan(tmp_path) -> Path:
    assert len(balls(5)) == 5
    return patient(tmp_path / "ct.nii", 5)


def run(scan: Path, out: Path, count: str, *more: Path, reporter=None, formats=("mrk.json", "csv")):
    plan = OutputPlan(str(out), formats, count=count)
    inputs = find_scans([str(path) for path in (scan, *more)])
    return label_batch(inputs, plan, in_this_process(ThirteenRibs()), reporter)


@pytest.mark.parametrize("rule", RULES)
def test_the_names_and_how_they_were_counted_are_in_all_that_is_written(scan, tmp_path, rule, capsys):
    out, other = tmp_path / "out", patient(tmp_path / "other.nii", 5, seed=1)
    result, _ = run(scan, out, rule, other, reporter=JsonLines())
    assert result.levels == NAMES[rule] and SAID[rule] in result.counted
    assert result.confidence == 0.9, "two counts"
    read = read_labels(out / "ct.mrk.json")
    assert (tuple(read.by_level), rule_of(read), how_counted(read)) == (NAMES[rule], rule, result.counted)
    assert [row["level"] for row in csv.DictReader((out / "ct.csv").open())] == list(NAMES[rule])
    assert json.loads((out / "summary.json").read_text())["scans"][0]["counted"] == result.counted
    assert next(csv.DictReader((out / "summary.csv").open()))["counted"] == result.counted
    assert result.counted in (out / "review.html").read_text()
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    scans = [each for each in told if each["event"] == "scan"]
    assert all(each["counted"] == result.counted and each["provenance"][COUNT]["rule"] == rule for each in scans)
    assert result.counted in label.table(result, str(out)).splitlines()


def test_what_is_there_by_another_rule_is_labeled_again_with_a_word(scan, tmp_path):
    out = tmp_path / "out"
    for rule in RULES:
        (result,) = run(scan, out, rule)
        assert result.status == DONE and result.levels == NAMES[rule]
        (again,) = run(scan, out, rule)
        assert (again.status, again.levels, again.counted) == (PRESENT, NAMES[rule], result.counted)
        assert again.warnings == result.warnings or not again.warnings
    (result,) = run(scan, out, "seen")
    assert "made with the count 'sacrum': the scan was labeled again." in result.warnings[0]
    assert [row["level"] for row in csv.DictReader((out / "ct.csv").open())] == list(SEEN)


def test_points_that_a_person_has_corrected_stay_whatever_the_rule(scan, tmp_path):
    out = tmp_path / "out"
    run(scan, out, "above")
    origin = json.loads((out / "ct.mrk.json").read_text())["vertebraLabeling"]
    kept = correct(out / "ct.mrk.json")
    (result,) = run(scan, out, "sacrum")
    assert result.levels == NAMES["above"] and (out / "ct.mrk.json").read_bytes() == kept
    (out / "ct.mrk.json").write_text(json.dumps({**json.loads(kept), "vertebraLabeling": origin}))
    read = read_labels(out / "ct.mrk.json")
    assert how_counted(read) == "", "who knows what the person has counted"


RENAMED = {
    "renamed": lambda points: [point.update(label=name) for point, name in zip(points, NAMES["above"])],
    "deleted": lambda points: points.pop(),
    "added": lambda points: points.append({**points[0], "label": "L5"}),
}


@pytest.mark.parametrize("change", RENAMED)
def test_what_was_counted_of_names_that_a_person_changed_is_not_told_of_the_new_ones(scan, tmp_path, change):
    out = tmp_path / "out"
    (first,) = run(scan, out, "seen")
    assert first.counted and any("T13" in warning for warning in first.warnings)
    data = json.loads((out / "ct.mrk.json").read_text())
    RENAMED[change](data["markups"][0]["controlPoints"])
    (out / "ct.mrk.json").write_text(json.dumps(data))
    for _ in range(2):  # nor later
        (result,) = run(scan, out, "seen")
        assert result.kept and result.levels != SEEN and (result.counted, result.provenance.get(COUNT)) == ("", None)
        assert result.warnings[0].endswith("these warnings are those of the names before.")
        assert set(first.warnings) < set(result.warnings)


def test_a_rule_that_does_not_reach_corrected_points_is_told(scan, tmp_path):
    run(scan, tmp_path / "out", "seen")
    correct(tmp_path / "out" / "ct.mrk.json")
    for rule in ("above", "sacrum"):
        (result,) = run(scan, tmp_path / "out", rule)
        assert result.levels == SEEN and "changed by a person, so its points are kept" in " ".join(result.warnings)


def test_points_of_a_version_that_kept_no_count_are_those_of_what_is_seen(scan, tmp_path):
    out = tmp_path / "out"
    run(scan, out, "seen")
    data = json.loads((out / "ct.mrk.json").read_text())
    del data["vertebraLabeling"][COUNT]
    (out / "ct.mrk.json").write_text(json.dumps(data))
    (result,) = run(scan, out, "seen", formats=("mrk.json",))
    assert (result.status, result.levels) == (PRESENT, SEEN)
    (result,) = run(scan, out, "above")
    assert (result.status, result.levels) == (DONE, NAMES["above"])


@pytest.mark.parametrize("damage", [None, 5, {"landmarks": "all"}, {**Count().to_json(), "rule": "<b>"}])
def test_a_damaged_count_is_none(scan, tmp_path, damage):
    run(scan, tmp_path / "out", "seen")
    data = json.loads((tmp_path / "out" / "ct.mrk.json").read_text())
    data["vertebraLabeling"][COUNT] = damage
    (tmp_path / "out" / "ct.mrk.json").write_text(json.dumps(data))
    assert COUNT not in read_labels(tmp_path / "out" / "ct.mrk.json").provenance


def test_the_rule_is_an_option_of_command_and_function(scan, tmp_path, capsys):
    arguments = cli.build_parser().parse_args(["label", str(scan), "-o", "out", "--count", "sacrum"])
    assert arguments.count == "sacrum" and cli.build_parser().parse_args(["label", "x", "-o", "y"]).count == "seen"
    with pytest.raises(SystemExit):
        cli.build_parser().parse_args(["label", str(scan), "-o", "out", "--count", "upwards"])
    with pytest.raises(InputError, match="use seen, above, sacrum"):
        OutputPlan("out", count="upwards")
    (told,) = label_folder(tmp_path, tmp_path / "out", "ct.nii", labeler=ThirteenRibs(), count="above")
    assert tuple(told["levels"]) == NAMES["above"] and SAID["above"] in told["counted"]
