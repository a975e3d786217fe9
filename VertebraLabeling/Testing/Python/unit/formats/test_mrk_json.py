"""Slicer markups files: what is written opens in Slicer, what is damaged gives one sentence."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from phantoms import assert_same_labels, spine
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.core.scan_source import ScanSource
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.formats.mrk_json import AS_WRITTEN, read_labels, read_points, read_source, write_labels


def saved(path, markups, text=None):
    path.write_text(text if text is not None else json.dumps({"markups": markups}))
    return path


def point(label="L1", position=(1.0, 2.0, 3.0), **more) -> dict:
    return {"label": label, "position": list(position), **more}


def fiducials(*points, **more) -> list[dict]:
    return [{"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": list(points), **more}]


def test_what_is_written_is_read_back(tmp_path):
    write_labels(tmp_path / "a.mrk.json", spine())
    read = read_labels(tmp_path / "a.mrk.json")
    assert_same_labels(read, spine())
    assert [(p.confidence, p.status) for p in read.points] == [(p.confidence, p.status) for p in spine().points]


def test_the_file_is_lps_with_unlocked_points_named_by_level(tmp_path):
    labels = SpineLabels((LabeledPoint("L1", (10.0, -20.0, 30.0), 0.97),))
    write_labels(tmp_path / "a.mrk.json", labels)
    (markup,) = json.loads((tmp_path / "a.mrk.json").read_text())["markups"]
    assert (markup["type"], markup["coordinateSystem"], markup["locked"]) == ("Fiducial", "LPS", False)
    (written,) = markup["controlPoints"]
    assert written["position"] == [-10.0, 20.0, 30.0]
    assert (written["label"], written["locked"], written["positionStatus"]) == ("L1", False, "defined")
    assert written["description"] == "confidence=0.97;status=predicted;SCT=66794005"


def slicer_nodes(path):
    """A scene of the slicer-core wheel with a fiducial node, its display node and a storage node for ``path``."""
    slicer = pytest.importorskip("slicer", reason="needs the slicer-core wheel")
    scene = slicer.vtkMRMLScene()
    node, storage = slicer.vtkMRMLMarkupsFiducialNode(), slicer.vtkMRMLMarkupsJsonStorageNode()
    scene.AddNode(node)
    scene.AddNode(storage)
    node.CreateDefaultDisplayNodes()
    storage.SetFileName(str(path))
    return scene, node, storage


def test_slicer_opens_the_file_with_points_in_ras(tmp_path):
    write_labels(tmp_path / "a.mrk.json", spine())
    _scene, node, storage = slicer_nodes(tmp_path / "a.mrk.json")
    assert storage.ReadData(node) == 1
    assert node.GetNumberOfControlPoints() == len(spine().points)
    for index, expected in enumerate(spine().points):
        np.testing.assert_allclose(node.GetNthControlPointPositionWorld(index), expected.ras, atol=1e-3)
        assert node.GetNthControlPointLabel(index) == expected.level
        assert node.GetNthControlPointDescription(index) == expected.description
        assert not node.GetNthControlPointLocked(index)
    assert node.GetDisplayNode().GetPointLabelsVisibility()


def test_a_file_that_slicer_wrote_is_read(tmp_path):
    _scene, node, storage = slicer_nodes(tmp_path / "slicer.mrk.json")
    for expected in spine().points:
        index = node.AddControlPointWorld(expected.ras, expected.level)
        node.SetNthControlPointDescription(index, expected.description)
    assert storage.WriteData(node) == 1
    assert_same_labels(read_labels(tmp_path / "slicer.mrk.json"), spine())


def test_slicer_opens_a_file_that_says_its_scan_and_leaves_that_out_when_it_saves(tmp_path):
    source = ScanSource("file", (("bytes", "1"), ("header", "a"), ("voxels", "b"))).to_dict()
    labels = replace(spine(), provenance={"source": source, "model": "m", "weights_sha256": "0" * 64, "seconds": 3})
    path = tmp_path / "a.mrk.json"
    write_labels(path, labels)
    kept = read_labels(path).provenance
    assert kept == {"source": source, "model": "m", "weights_sha256": "0" * 64, AS_WRITTEN: True}
    assert read_source(path).to_dict() == source
    _scene, node, storage = slicer_nodes(path)
    assert storage.ReadData(node) == 1 and node.GetNumberOfControlPoints() == len(spine().points)
    assert storage.WriteData(node) == 1
    assert_same_labels(read_labels(path), spine())
    assert read_labels(path).provenance == {} and read_source(path) is None


def test_ras_files_are_read_as_ras(tmp_path):
    path = saved(tmp_path / "a.mrk.json", fiducials(point(), coordinateSystem="RAS"))
    assert read_points(path)[0].ras == (1.0, 2.0, 3.0)
    path = saved(tmp_path / "a.mrk.json", fiducials(point()))
    assert read_points(path)[0].ras == (-1.0, -2.0, 3.0)


def test_cut_points_are_told_from_whole_ones(tmp_path):
    path = saved(tmp_path / "a.mrk.json", fiducials(point("L1", description="cut"), point("L2", description="")))
    assert [(p.level, p.cut) for p in read_points(path)] == [("L1", True), ("L2", False)]


def test_points_that_were_not_placed_and_other_markups_are_left_out(tmp_path):
    curve = {"type": "Curve", "controlPoints": [point("C-1")]}
    path = saved(tmp_path / "a.mrk.json", [*fiducials(point(), point("L2", positionStatus="undefined")), curve])
    assert [p.level for p in read_points(path)] == ["L1"]


@pytest.mark.parametrize("description", ["", "by hand", "confidence=abc", "confidence=nan;status=guessed", None, 7])
def test_descriptions_of_other_programs_do_no_harm(tmp_path, description):
    path = saved(tmp_path / "a.mrk.json", fiducials(point(description=description)))
    (read,) = read_labels(path).points
    assert (read.confidence, read.status) == (1.0, "given")
    write_labels(tmp_path / "b.mrk.json", read_labels(path))
    (again,) = read_labels(tmp_path / "b.mrk.json").points
    assert again == read and "confidence" not in again.description


BAD = {
    "empty": (None, "", "not valid JSON"),
    "truncated": (None, '{"markups": [{"type"', "not valid JSON"),
    "binary": (None, "\x00\x01\x02", "not valid JSON"),
    "deeply nested": (None, "[" * 100_000, "not valid JSON"),
    "a list": (None, "[1, 2]", "not a Slicer markups file"),
    "a number": (None, "5", "not a Slicer markups file"),
    "no markups": (None, "{}", "not a Slicer markups file"),
    "markups of wrong type": ({"a": 1}, None, "not a Slicer markups file"),
    "markup of wrong type": ([5], None, "not a Slicer markups file"),
    "no control points": ([{"type": "Fiducial"}], None, "not a Slicer markups file"),
    "control points null": ([{"controlPoints": None}], None, "not a Slicer markups file"),
    "point of wrong type": (fiducials("L1"), None, "not a Slicer markups file"),
    "no label": (fiducials({"position": [1, 2, 3]}), None, "not a Slicer markups file"),
    "label is a list": (fiducials(point(label=["L1"])), None, "not a Slicer markups file"),
    "no position": (fiducials({"label": "L1"}), None, "not a Slicer markups file"),
    "unknown level": (fiducials(point("S1")), None, "named 'S1'"),
    "number for a level": (fiducials(point(3)), None, "named '3'"),
    "hostile label": (fiducials(point("<script>" * 1000)), None, "named '<script>"),
    "twice": (fiducials(point(), point()), None, "names L1 twice"),
    "twice in two lists": ([*fiducials(point()), *fiducials(point())], None, "names L1 twice"),
    "two numbers": (fiducials(point(position=(1, 2))), None, "position of L1"),
    "text position": (fiducials(point(position=("1", "2", "3"))), None, "position of L1"),
    "NaN": (fiducials(point(position=(1, 2, float("nan")))), None, "position of L1"),
    "infinite": (fiducials(point(position=(1, 2, float("inf")))), None, "position of L1"),
    "true": (fiducials(point(position=(1, 2, True))), None, "position of L1"),
    "null": (fiducials(point(position=(1, 2, None))), None, "position of L1"),
    "huge integer": (fiducials(point(position=(1, 2, 10**400))), None, "position of L1"),
    "far away": (fiducials(point(position=(1, 2, 1e9))), None, "position of L1"),
    "inches": (fiducials(point(), coordinateUnits="inch"), None, "not mm"),
    "other system": (fiducials(point(), coordinateSystem="IJK"), None, "coordinate system"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_damaged_or_hostile_file_gives_one_sentence(tmp_path, case):
    markups, text, expected = BAD[case]
    path = saved(tmp_path / "a.mrk.json", markups, text)
    with pytest.raises(InputError, match=expected) as error:
        read_labels(path)
    message = str(error.value)
    assert "\n" not in message and message.endswith(".") and len(message) < 200


def test_a_missing_or_huge_file_gives_one_sentence(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_points(tmp_path / "nothing.mrk.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_points(tmp_path)
    large = tmp_path / "large.mrk.json"
    with large.open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(InputError, match="too large"):
        read_points(large)


def test_every_truth_file_of_the_data_folder_is_read(shared_data):
    paths = sorted(shared_data.rglob("*.mrk.json"))
    assert len(paths) > 70
    points = [p for path in paths for p in read_points(path)]
    assert sum(p.cut for p in points) > 10
    assert sum(not p.cut for p in points) > 600
