"""Files of disc points: Slicer's list, a table, and the disc labels of the Spinal Cord Toolbox."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk
from axis_orders import AXIS_ORDERS, name_of, stored
from bent_spine import TOP, straight
from spine_factory import WITH_L6, positions
from VertebraLabelingLib.core.counting import COUNT, Count
from VertebraLabelingLib.core.label_warning import SACRUM, VARIANT, LabelWarning
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.formats import csv_table, mrk_json, sct_discs
from VertebraLabelingLib.preprocessing.sitk_image import from_sitk
from VertebraLabelingLib.reading.discs import discs_of

LABELS = SpineLabels(tuple(straight()))
DISCS = discs_of(LABELS)


def grid(spacing=(2.0, 2.0, 3.0)) -> Volume:
    """An image around the whole of :func:`straight`."""
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = np.add(TOP, (-50, -60, -660))
    size = np.ceil(np.array((100, 120, 700)) / spacing).astype(int)
    return Volume(np.zeros(size[::-1], np.int16), matrix)


class TestSlicersList:
    def test_it_holds_the_discs_and_is_no_list_of_vertebrae(self, tmp_path):
        path = tmp_path / "ct.discs.mrk.json"
        mrk_json.write_discs(path, DISCS)
        (markup,) = json.loads(path.read_text())["markups"]
        points = markup["controlPoints"]
        assert [point["label"] for point in points] == [disc.name for disc in DISCS]
        np.testing.assert_allclose(points[4]["position"], DISCS[4].ras * np.array((-1, -1, 1)), atol=1e-3)
        assert markup["locked"] and points[0]["description"] == "confidence=0.99;status=derived"
        with pytest.raises(InputError, match="C2/C3"):
            mrk_json.read_labels(path)

    def test_slicer_opens_it(self, tmp_path):
        slicer = pytest.importorskip("slicer", reason="needs the slicer-core wheel")
        path = tmp_path / "ct.discs.mrk.json"
        mrk_json.write_discs(path, DISCS)
        scene, node = slicer.vtkMRMLScene(), slicer.vtkMRMLMarkupsFiducialNode()
        storage = slicer.vtkMRMLMarkupsJsonStorageNode()
        for each in (node, storage):
            scene.AddNode(each)
        storage.SetFileName(str(path))
        assert storage.ReadData(node) == 1 and node.GetLocked()
        assert node.GetNumberOfControlPoints() == len(DISCS)
        for index, disc in enumerate(DISCS):
            assert node.GetNthControlPointLabel(index) == disc.name
            np.testing.assert_allclose(node.GetNthControlPointPositionWorld(index), disc.ras, atol=1e-3)


def test_the_table_has_a_row_for_each_disc(tmp_path):
    path = tmp_path / "ct.discs.csv"
    csv_table.write_discs(path, DISCS, "a,case")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["disc"] for row in rows] == [disc.name for disc in DISCS] and {row["case"] for row in rows} == {
        "a,case"
    }
    assert [float(rows[3][axis]) for axis in "ras"] == pytest.approx(DISCS[3].ras, abs=1e-3)
    assert rows[0]["confidence"] == "0.9900" and rows[0]["seen"] == "0"


class TestSpinalCordToolbox:
    def test_values_are_those_of_its_convention(self):
        values = sct_discs.DISC_VALUES
        known = {"C2/C3": 3, "C3/C4": 4, "C7/T1": 8, "T1/T2": 9, "T12/L1": 20, "L1/L2": 21, "L5/S1": 25}
        assert {name: values[name] for name in known} == known and len(values) == 23

    @pytest.mark.parametrize("order", AXIS_ORDERS[::7], ids=name_of)
    def test_each_disc_is_one_voxel_at_its_posterior_edge_on_the_grid_of_the_ct(self, tmp_path, order):
        volume = stored(grid(), order)
        path = tmp_path / "ct.discs.nii.gz"
        assert sct_discs.write_discs(path, DISCS, volume) == ()
        image = sitk.ReadImage(str(path))
        assert image.GetPixelID() == sitk.sitkUInt8
        read = from_sitk(image)
        np.testing.assert_allclose(read.ijk_to_ras, volume.ijk_to_ras, atol=1e-3)
        assert read.array.shape == volume.array.shape
        for disc in DISCS:
            (kji,) = np.argwhere(read.array == sct_discs.DISC_VALUES[disc.name])
            ras = (read.ijk_to_ras @ (*kji[::-1], 1.0))[:3]
            assert np.abs(ras - disc.posterior).max() <= 1.51
        assert np.count_nonzero(read.array) == len(DISCS)

    def test_discs_without_a_number_are_told_and_left_out(self, tmp_path):
        points = [LabeledPoint(level, tuple(ras)) for level, ras in zip(WITH_L6, positions(WITH_L6))]
        matrix = np.diag([2.0, 2.0, 3.0, 1.0])
        matrix[:3, 3] = (-60, -150, -180)
        volume = Volume(np.zeros((240, 140, 70), np.uint8), matrix)
        (note,) = sct_discs.write_discs(tmp_path / "x.nii.gz", discs_of(SpineLabels(tuple(points))), volume)
        assert note == "The Spinal Cord Toolbox has no number for L5/L6, L6/S1: left out of the disc labels."

    def test_what_it_cannot_hold_is_refused(self, tmp_path):
        sheared = grid()
        matrix = sheared.ijk_to_ras.copy()
        matrix[1, 2] = 0.8
        with pytest.raises(InputError, match="tilted"):
            sct_discs.write_discs(tmp_path / "x.nii.gz", DISCS, Volume(sheared.array, matrix))
        with pytest.raises(InputError, match="No disc"):
            sct_discs.write_discs(tmp_path / "x.nii.gz", (), grid())
        assert list(tmp_path.iterdir()) == []


def test_the_count_and_the_warnings_come_back_with_points_that_nobody_changed(tmp_path):
    path, count = tmp_path / "ct.mrk.json", Count((SACRUM,), None, 6)
    warning = LabelWarning(VARIANT, ("L6",))
    mrk_json.write_labels(path, SpineLabels(LABELS.points, (warning,), {COUNT: count.to_json(), "model": "m"}))
    read = mrk_json.read_labels(path)
    assert read.warnings == (warning,) and Count.from_json(read.provenance[COUNT]) == count
    data = json.loads(path.read_text())
    data["markups"][0]["controlPoints"][2]["label"] = "L6"  # a person has changed it since
    path.write_text(json.dumps(data))
    changed = mrk_json.read_labels(path)
    assert changed.warnings == () and COUNT not in changed.provenance


@pytest.mark.parametrize(
    "stored_warnings", [None, 3, "x", [3, {"kind": "no such"}, {"kind": "shift", "levels": 5}], [[]]]
)
def test_damaged_warnings_do_no_harm(tmp_path, stored_warnings):
    path = tmp_path / "ct.mrk.json"
    mrk_json.write_labels(path, SpineLabels(LABELS.points, (), {COUNT: Count((SACRUM,)).to_json()}))
    data = json.loads(path.read_text())
    data[mrk_json.ORIGIN]["warnings"] = stored_warnings
    path.write_text(json.dumps(data))
    assert mrk_json.read_labels(path).warnings == ()
