"""Readings of the ends of the spine become truth: whole where all readers say so, cut where any of them saw a part."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import SimpleITK as sitk
from phantoms import body
from VertebraLabelingLib.formats.mrk_json import read_points
from VertebraLabelingLib.training.added_truth import ADDED
from VertebraLabelingLib.training.spine_ends import LOWER, UPPER, apply_readings, draw_ends, next_level
from VertebraLabelingLib.training.synthetic_truth import write_truth
from VertebraLabelingLib.volume import to_sitk

KNOWN = {"C2": (1.0, 2.0, 166.0), "C3": (1.0, 1.0, 150.0), "C4": (1.0, 0.0, 134.0)}
COLUMNS = ("case", "end", "verdict", "up", "front", "right", "edge_up", "sure", "note")


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    sitk.WriteImage(to_sitk(body()), str(folder / "one.nii.gz"))
    write_truth(folder / "one.mrk.json", KNOWN, frozenset())
    return folder


def readings(folder, *verdicts, end=LOWER, up=118.0):
    """One file for each reader's verdict; the places of the second reader are 2 mm off."""
    paths = []
    for number, verdict in enumerate(verdicts):
        place = ("", "", "") if verdict == "none" else (up + 2 * number, -1.0, 1.0)
        paths.append(folder / f"{number}.csv")
        with paths[-1].open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, ("one", end, verdict, *place, 100, 0.9, "")])
    return paths


@pytest.mark.parametrize(
    "verdicts, added, cut",
    [
        (("whole", "whole"), 1, False),
        (("whole", "cut"), 1, True),
        (("cut", "none"), 1, True),
        (("none", "none"), 0, None),
    ],
)
def test_readers_who_agree_add_a_point_and_others_one_that_is_cut(data, tmp_path, verdicts, added, cut):
    assert apply_readings(data, readings(tmp_path, *verdicts), tmp_path) == added
    if added:
        (point,) = read_points(tmp_path / "one.mrk.json")
        assert (point.level, point.cut) == ("C5", cut)
        seen = [118.0 + 2 * number for number, verdict in enumerate(verdicts) if verdict != "none"]
        np.testing.assert_allclose(point.ras, (1.0, -1.0, np.mean(seen)), atol=0.01)


def test_the_upper_end_gets_the_level_above(data, tmp_path):
    apply_readings(data, readings(tmp_path, "cut", "cut", end=UPPER, up=180.0), tmp_path)
    assert [point.level for point in read_points(tmp_path / "one.mrk.json")] == ["C1"]


def test_variants_are_no_next_level(data):
    twelve = [type(point)("T12", point.ras) for point in read_points(data / "one.mrk.json")[:1]]
    assert (next_level(twelve, LOWER), next_level(twelve, UPPER)) == ("L1", "T11")


def test_readers_of_other_ends_are_refused(data, tmp_path):
    (tmp_path / "other").mkdir()
    one, other = readings(tmp_path, "cut"), readings(tmp_path / "other", "cut", end=UPPER)
    with pytest.raises(ValueError, match="same ends"):
        apply_readings(data, [*one, *other], tmp_path)


def test_each_open_end_is_drawn(data, tmp_path):
    draw_ends(data / "one.mrk.json", tmp_path / "pictures")
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["one.png", "one_upper.png"]


def test_the_added_truth_holds_what_the_kept_readings_say():
    tables = [list(csv.DictReader((ADDED / name).open(newline=""))) for name in ("ends_first.csv", "ends_second.csv")]
    verdicts = {(row["case"], row["end"]): {row["verdict"]} for row in tables[0]}
    for row in tables[1]:
        verdicts[row["case"], row["end"]].add(row["verdict"])
    seen = {case: said for (case, _), said in verdicts.items() if said != {"none"}}
    kept = {path.name[: -len(".mrk.json")]: read_points(path) for path in (ADDED / "openkbp").glob("*.mrk.json")}
    assert kept.keys() == seen.keys()
    for case, said in seen.items():
        assert [point.cut for point in kept[case]] == [said != {"whole"}]
