"""Levels of places and slice views on real nodes: in world space, of the points as they are now, in no time."""

import contextlib
import io
import re
import time
import unittest
from pathlib import Path

import numpy as np
import slicer
import vtk
from bent_spine import straight, tilted_bodies
from labeled_case import LabeledCase
from synthetic_spine import BallLabeler, addVolume, centers
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.core.volume import apply_affine
from VertebraLabelingLib.errors import InputError
from VertebraLabelingMRML import corrections, levels, points

from VertebraLabeling import VertebraLabelingLogic


def turned(degrees=35.0, shift=(12.0, -40.0, 250.0)):
    """(4, 4) about the patient's left-right axis, and elsewhere."""
    angle, matrix = np.radians(degrees), np.eye(4)
    matrix[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = shift
    return matrix


def addTransform(matrix):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return node


def sliceNode(orientation="Axial", ras=(0.0, 0.0, 0.0)):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceNode", "View")
    node.SetLayoutName(slicer.mrmlScene.GenerateUniqueName("View"))
    node.SetOrientation(orientation)
    node.JumpSliceByCentering(*ras)
    return node


def removeViews():
    """Those of :func:`sliceNode`: Slicer keeps views when a scene is closed."""
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        if node.GetName().startswith("View"):
            slicer.mrmlScene.RemoveNode(node)


class LevelCase(LabeledCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(removeViews)
        self.volumeNode = addVolume()
        self.node = VertebraLabelingLogic(BallLabeler()).label(self.volumeNode)

    def text(self, ras):
        return levels.textOf(levels.levelAt(self.node, ras))


class TestLevelAt(LevelCase):
    def test_each_vertebra_and_the_discs_between(self):
        places = {each.point.level: np.array(each.point.ras) for each in points.headToFoot(self.node)}
        self.assertEqual(list(places), list(centers()))
        for level, ras in places.items():
            self.assertEqual(self.text(ras), f"{level}, middle third")
        for (above, one), (below, other) in zip(places.items(), list(places.items())[1:]):
            self.assertEqual(self.text((one + other) / 2), f"{above}/{below} disc")
        self.assertEqual(self.text(places["T8"] + (0, 0, 40)), "above T8")
        self.assertEqual(self.text(places["L4"] - (0, 0, 60)), "below L4")

    def test_under_transforms_it_is_read_in_world_space(self):
        ras = np.array(self.labels().by_level["T11"].ras)
        self.node.SetAndObserveTransformNodeID(addTransform(turned()).GetID())
        self.assertEqual(self.text(apply_affine(turned(), [ras])[0]), "T11, middle third")
        self.assertNotEqual(self.text(ras), "T11, middle third")

    def test_a_bent_transform_too(self):
        ras = np.array(self.labels().by_level["T11"].ras)
        bent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
        spline = vtk.vtkThinPlateSplineTransform()
        before, after = vtk.vtkPoints(), vtk.vtkPoints()
        for x in (-200, 200):
            for y in (-200, 200):
                for z in (-300, 0, 300):
                    before.InsertNextPoint(x, y, z)
                    after.InsertNextPoint(x, y + 0.0002 * z * z, z + 30)
        spline.SetSourceLandmarks(before)
        spline.SetTargetLandmarks(after)
        spline.SetBasisToR()
        bent.SetAndObserveTransformToParent(spline)
        self.node.SetAndObserveTransformNodeID(bent.GetID())
        moved = self.node.GetNthControlPointPositionWorld(self.index("T11"))
        self.assertGreater(np.linalg.norm(np.subtract(moved, ras)), 20)
        self.assertEqual(self.text(moved), "T11, middle third")

    def test_a_correction_changes_it_at_once(self):
        ras = self.labels().by_level["T12"].ras
        corrections.nameAs(self.node, self.index("T12"), "L1")
        self.assertEqual(self.text(ras), "L1, middle third")
        self.node.SetNthControlPointPositionWorld(self.index("L1"), list(np.add(ras, (0, 0, 9.0))))
        self.assertEqual(self.text(ras), "L1, lower third")

    def test_what_cannot_be_read_is_none(self):
        ras = self.labels().by_level["T12"].ras
        self.assertIsNone(levels.levelAt(self.node, (float("nan"), 0, 0)))
        self.node.SetNthControlPointLabel(self.index("T11"), "T12")  # twice
        self.assertIsNone(levels.levelAt(self.node, ras))
        self.assertEqual((self.text(ras), levels.planeNames(self.node)), ("", []))
        empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
        self.assertIsNone(levels.levelAt(empty, ras))

    def test_reading_follows_the_mouse(self):
        """Less than 2 ms for a whole spine, also in the slice that one scrolls through: the middle of many."""
        whole = points.createPointsNode(self.volumeNode)
        points.writeLabels(whole, SpineLabels(tuple(straight())), self.volumeNode)
        view, took = sliceNode(ras=straight()[12].ras), []
        for _ in range(51):
            start = time.perf_counter()
            self.assertTrue(levels.textOf(levels.levelOfView(whole, view)).startswith("T6"))
            took.append(time.perf_counter() - start)
        self.assertLess(1000 * np.median(took), 2.0)


class TestLevelOfView(LevelCase):
    def test_an_axial_slice_is_where_it_cuts_the_spine(self):
        ras = np.array(self.labels().by_level["T10"].ras)
        for beside in ((0, 0, 0), (70, 90, 0)):
            reading = levels.levelOfView(self.node, sliceNode("Axial", ras + beside), (500.0, 500.0, ras[2]))
            self.assertEqual(levels.textOf(reading), "T10, middle third")

    def test_a_sagittal_slice_is_where_one_looks(self):
        places = self.labels().by_level
        view = sliceNode("Sagittal", places["T10"].ras)
        self.assertEqual(levels.levelOfView(self.node, view).levels, ("T10",))
        self.assertEqual(levels.levelOfView(self.node, view, places["L2"].ras).levels, ("L2",))
        behind = np.add(places["L2"].ras, (0, -60, 0))
        self.assertTrue(levels.textOf(levels.levelOfView(self.node, view, behind)).startswith("at the level of "))


class TestPlanes(LevelCase):
    def test_names_go_from_head_to_foot(self):
        names = levels.planeNames(self.node)
        self.assertEqual(names[:4], ["T8", "T8/T9", "T9", "T9/T10"])
        self.assertEqual(names[-1], "L4")

    def test_a_view_turns_to_a_vertebra_and_back(self):
        ras = np.array(self.labels().by_level["L3"].ras)
        view = sliceNode("Axial", (5.0, 6.0, 7.0))
        for orientation in ("Axial", "Sagittal", "Coronal"):
            plane = levels.vertebraPlane(self.node, "L3", onCt=False)
            levels.turnTo(view, plane, orientation)
            matrix = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())
            np.testing.assert_allclose(matrix, plane.slice_to_ras(orientation), atol=1e-9)
            np.testing.assert_allclose(matrix[:3, 3], ras, atol=1e-6)
        self.assertNotEqual(view.GetOrientation(), "Axial")
        levels.turnBack(view)
        self.assertEqual(view.GetOrientation(), "Axial")
        self.assertAlmostEqual(view.GetSliceOffset(), ras[2], places=3)
        levels.turnBack(view)  # not turned: left alone
        self.assertEqual(view.GetOrientation(), "Axial")

    def test_a_view_that_the_user_had_turned_comes_back_so(self):
        view, own = sliceNode("Axial"), turned(20)
        slicer.util.updateVTKMatrixFromArray(view.GetSliceToRAS(), own)
        view.UpdateMatrices()
        for name in ("L3", "T9/T10"):
            levels.turnTo(view, levels.planeOf(self.node, name, onCt=False))
        levels.turnBack(view)
        np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())[:3, :3], own[:3, :3])
        for damaged in ("[1, 2]", "{", '["a"]', "[[1], 2, 3, 4, 5, 6, 7, 8, 9]", "[0, 0, 0, 0, 0, 0, 0, 0, NaN]"):
            view.SetAttribute(levels.TURNED_FROM, damaged)
            levels.turnBack(view)
            self.assertIsNone(view.GetAttribute(levels.TURNED_FROM))

    def test_planes_stand_across_the_spine_under_a_transform(self):
        before = levels.discPlane(self.node, "T11/T12", onCt=False)
        self.node.SetAndObserveTransformNodeID(addTransform(turned()).GetID())
        after = levels.discPlane(self.node, "T11/T12", onCt=False)
        np.testing.assert_allclose(after.up, turned()[:3, :3] @ before.up, atol=1e-6)
        np.testing.assert_allclose(after.origin, apply_affine(turned(), [before.origin])[0], atol=1e-6)

    def test_what_is_not_there_gets_a_sentence(self):
        for name in ("C3", "T8/T10", "L4/L5", "nonsense"):
            with self.assertRaisesRegex(InputError, "There is no vertebra or disc"):
                levels.planeOf(self.node, name)
        empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
        with self.assertRaisesRegex(InputError, "label a CT"):
            levels.planeOf(empty, "T8")

    def test_the_report_tells_what_was_labeled(self):
        text = levels.reportText(self.node)
        self.assertTrue(text.startswith("9 vertebrae were labeled: T8 to L4.\n"), text)


class TestPlanesOnTheCt(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear()
        volume, found, self.true = tilted_bodies()
        self.volumeNode = slicer.util.addVolumeFromArray(volume.array, volume.ijk_to_ras, "CT")
        self.node = points.createPointsNode(self.volumeNode)
        points.writeLabels(self.node, SpineLabels(tuple(found)), self.volumeNode)

    def degreesOff(self, name, turn=None, **options):
        plane, up = levels.discPlane(self.node, name, **options), self.true[name][1]
        up = up if turn is None else turn[:3, :3] @ up
        return np.degrees(np.arccos(np.clip(plane.up @ up, -1, 1)))

    def test_planes_stand_on_the_end_plates_that_the_ct_shows(self):
        for name in self.true:
            self.assertLess(self.degreesOff(name), 0.7)
        self.assertGreater(max(self.degreesOff(name, onCt=False) for name in self.true), 5.0)
        leaning = levels.vertebraPlane(self.node, "L4")
        self.assertAlmostEqual(np.degrees(np.arctan2(leaning.up[1], leaning.up[2])), 9.0, delta=6.0)

    def test_also_where_both_were_moved(self):
        transform = addTransform(turned())
        for node in (self.node, self.volumeNode):
            node.SetAndObserveTransformNodeID(transform.GetID())
        for name in self.true:
            self.assertLess(self.degreesOff(name, turned()), 0.7)

    def test_without_the_ct_the_points_decide(self):
        slicer.mrmlScene.RemoveNode(self.volumeNode)
        self.assertGreater(max(self.degreesOff(name) for name in self.true), 5.0)

    def test_one_point_alone_has_a_plane(self):
        node = points.createPointsNode(self.volumeNode)
        points.writeLabels(node, SpineLabels((LabeledPoint("L2", (0.0, 0.0, -34.0)),)), self.volumeNode)
        np.testing.assert_allclose(levels.vertebraPlane(node, "L2").up, (0, 0, 1), atol=1e-9)


class TestTheTutorial(unittest.TestCase):
    def test_its_console_example_does_what_it_says(self):
        tutorial = Path(__file__).resolve().parents[4] / "docs" / "tutorial.md"
        if not tutorial.is_file():
            self.skipTest("needs a clone of the repository")
        blocks = re.findall(r"```python\n(.*?)```", tutorial.read_text(encoding="utf-8"), re.DOTALL)
        (example,) = [block for block in blocks if "levels.levelAt" in block]
        slicer.mrmlScene.Clear()
        red = slicer.vtkMRMLSliceNode()
        red.SetSingletonTag("Red")
        red = slicer.mrmlScene.AddNode(red)
        red.SetOrientation("Axial")
        volumeNode = addVolume()
        node = points.createPointsNode(volumeNode)
        found = [LabeledPoint(each.level, tuple(each.ras)) for each in straight()]
        points.writeLabels(node, SpineLabels(tuple(found)), volumeNode)
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            exec(compile(example, "tutorial", "exec"), {"slicer": slicer, "pointsNode": node})
        self.assertEqual(told.getvalue().splitlines()[0], "C3, middle third")
        self.assertIn("24 vertebrae were labeled: C1 to L5.", told.getvalue())
        self.assertEqual(slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed").GetOrientation(), "Axial")
