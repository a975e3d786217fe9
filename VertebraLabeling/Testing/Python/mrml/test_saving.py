"""Points survive files: .mrk.json by Slicer's storage node, and a whole scene as .mrb, ready to be named again."""

import json
import os
import tempfile
import unittest

import numpy as np
import slicer
from synthetic_spine import BallLabeler, addVolume, centers
from VertebraLabelingLib.errors import InputError
from VertebraLabelingMRML import points

from VertebraLabeling import VertebraLabelingLogic


class TestSaving(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear()
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.volumeNode = addVolume()
        self.node = VertebraLabelingLogic(BallLabeler()).label(self.volumeNode)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def test_a_markups_file_holds_names_descriptions_and_lps_positions(self):
        path = self.path("points.mrk.json")
        self.assertTrue(slicer.util.saveNode(self.node, path, properties={}))
        with open(path, encoding="utf-8") as stream:
            markups = json.load(stream)["markups"][0]
        self.assertEqual(markups["coordinateSystem"], "LPS")
        saved = {point["label"]: point for point in markups["controlPoints"]}
        self.assertEqual(list(saved), list(centers()))
        self.assertFalse(any(point["locked"] for point in saved.values()))
        self.assertIn("SCT=66794005", saved["L1"]["description"])
        expected = np.array(centers()["L1"]) * (-1, -1, 1)
        self.assertLess(np.abs(np.array(saved["L1"]["position"]) - expected).max(), 1.0)

    def test_a_markups_file_reads_back_as_the_same_labels(self):
        self.node.SetNthControlPointPositionWorld(2, (5.0, 6.0, 7.0))
        points.updateStatus(self.node)
        path = self.path("points.mrk.json")
        slicer.util.saveNode(self.node, path, properties={})
        read = points.readLabels(slicer.util.loadMarkups(path)).by_level
        for level, point in points.readLabels(self.node).by_level.items():
            self.assertLess(np.abs(np.subtract(read[level].ras, point.ras)).max(), 1e-3)
            self.assertEqual((read[level].status, read[level].confidence), (point.status, point.confidence))

    def test_a_scene_reads_back_with_the_evidence_the_volume_and_the_user_s_changes(self):
        self.node.SetNthControlPointPositionWorld(2, (5.0, 6.0, 7.0))
        before = points.readLabels(self.node)
        path = self.path("scene.mrb")
        self.assertTrue(slicer.util.saveScene(path, properties={}))
        slicer.mrmlScene.Clear()
        slicer.util.loadScene(path, properties={})
        node = slicer.util.getNode("CT vertebrae")
        after = points.readLabels(node)
        self.assertEqual([p.level for p in after.points], [p.level for p in before.points])
        self.assertEqual(after.evidence.to_json(), before.evidence.to_json())
        self.assertEqual((after.warnings, after.provenance), (before.warnings, before.provenance))
        self.assertEqual(points.sourceVolume(node).GetName(), "CT")
        self.assertEqual(list(points.userPoints(node)), ["T10"])

    def test_a_second_run_after_reload_updates_the_reloaded_node(self):
        path = self.path("scene.mrb")
        slicer.util.saveScene(path, properties={})
        slicer.mrmlScene.Clear()
        slicer.util.loadScene(path, properties={})
        node = slicer.util.getNode("CT vertebrae")
        self.assertIs(VertebraLabelingLogic(BallLabeler()).label(slicer.util.getNode("CT")), node)

    def test_damaged_evidence_in_a_scene_file_gives_a_sentence(self):
        for damage in ("{", "[]", '{"version":1}', '{"version":1,"points":"x"}'):
            self.node.SetAttribute(points.EVIDENCE, damage)
            with self.subTest(damage), self.assertRaisesRegex(InputError, "label"):
                points.readLabels(self.node)

    def test_other_damaged_attributes_are_read_as_empty(self):
        for attribute in (points.WARNINGS, points.PROVENANCE, points.WRITTEN):
            self.node.SetAttribute(attribute, "not json")
        labels = points.readLabels(self.node)
        self.assertEqual((labels.warnings, labels.provenance, len(labels.points)), ((), {}, len(centers())))

    def test_warnings_stored_as_sentences_are_read_as_data(self):
        said = ["The field of view ends inside T8.", "T9 not found between T8 and T10.", "Slices were interpolated."]
        self.node.SetAttribute(points.WARNINGS, json.dumps([*said, 5, {"kind": "unknown"}, None]))
        warnings = points.readLabels(self.node).warnings
        self.assertEqual([warning.kind for warning in warnings], ["cut", "gap", "note"])
        self.assertEqual([str(warning) for warning in warnings], said)

    def test_evidence_follows_the_points_under_a_transform(self):
        matrix = np.eye(4)
        matrix[:3, 3] = (10.0, 20.0, 30.0)
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        slicer.util.updateTransformMatrixFromArray(transform, matrix)
        before = points.readLabels(self.node)
        self.node.SetAndObserveTransformNodeID(transform.GetID())
        after = points.readLabels(self.node)
        shift = np.subtract(after.by_level["L1"].ras, before.by_level["L1"].ras)
        self.assertTrue(np.allclose(shift, (10, 20, 30), atol=1e-3))
        self.assertTrue(np.allclose(after.evidence.points - before.evidence.points, (10, 20, 30), atol=0.02))
        self.assertEqual(points.userPoints(self.node), {})

    def test_a_level_used_twice_gives_a_sentence(self):
        self.node.SetNthControlPointLabel(0, "L1")
        with self.assertRaisesRegex(InputError, "L1 is used twice"):
            points.readLabels(self.node)
