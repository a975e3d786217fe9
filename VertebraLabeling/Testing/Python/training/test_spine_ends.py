"""Readings of the ends of the spine become truth: whole where all readers say so, cut where any of them saw a part."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import SimpleITK as sitk
from phantoms import body
from VertebraLabelingLib.formats.mrk_json import MarkupPoint, read_points
from VertebraLabelingLib.formats.truth import write_truth
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk
from VertebraLabelingTraining.data.added_truth import ADDED
from VertebraLabelingTraining.evaluation.spine_ends import LOWER, SURE, UPPER, apply_readings, draw_ends, next_level

KNOWN = {"C2": (1.0, 2.0, 166.0), "C3": (1.0, 1.0, 150.0), "C4": (1.0, 0.0, 134.0)}
COLUMNS = ("case", "end", "verdict", "up", "front", "right", "edge_up", "sure", "note")


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    sitk.WriteImage(to_sitk(body()), str(folder / "one.nii.gz"))
    write_truth(folder / "one.mrk.json", KNOWN, frozenset())
    return folder


def readings(folder, *verdicts, end=LOWER, up=118.0, sure=0.9):
    """One file for each reader's verdict; the places of the second reader are 2 mm off."""
    paths = []
    for number, verdict in enumerate(verdicts):
        place = ("", "", "") if verdict == "none" else (up + 2 * number, -1.0, 1.0)
        paths.append(folder / f"{number}.csv")
        with paths[-1].open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, ("one", end, verdict, *place, 100, sure, "")])
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
    twelve = [MarkupPoint("T12", (0.0, 0.0, 0.0))]
    assert (next_level(twelve, LOWER), next_level(twelve, UPPER)) == ("L1", "T11")


def test_nothing_follows_the_last_levels():
    assert next_level([MarkupPoint("L5", (0.0, 0.0, 0.0))], LOWER) is None
    assert next_level([MarkupPoint("C1", (0.0, 0.0, 0.0))], UPPER) is None


def test_a_body_that_a_reader_is_not_sure_of_counts_neither_way(data, tmp_path):
    apply_readings(data, readings(tmp_path, "whole", "whole", sure=0.6), tmp_path)
    assert [point.cut for point in read_points(tmp_path / "one.mrk.json")] == [True]


def test_a_verdict_that_is_none_of_the_three_is_refused(data, tmp_path):
    with pytest.raises(ValueError, match="no verdict"):
        apply_readings(data, readings(tmp_path, "whole", "half"), tmp_path)


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
    verdicts: dict[tuple[str, str], set[str]] = {}
    for row in tables[0] + tables[1]:
        said = "unsure" if row["verdict"] == "whole" and float(row["sure"]) < SURE else row["verdict"]
        verdicts.setdefault((row["case"], row["end"]), set()).add(said)
    seen = {case: said for (case, _), said in verdicts.items() if said != {"none"}}
    kept = {path.name[: -len(".mrk.json")]: read_points(path) for path in (ADDED / "openkbp").glob("*.mrk.json")}
    assert kept.keys() == seen.keys()
    for case, said in seen.items():
        assert [point.cut for point in kept[case]] == [said != {"whole"}]
