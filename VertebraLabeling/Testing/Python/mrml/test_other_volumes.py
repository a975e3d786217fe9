"""A point list of one volume, and a run on another one."""

import tempfile

import slicer
from labeled_case import LabeledCase
from synthetic_spine import BallLabeler, addVolume, centers
from VertebraLabelingLib.errors import InputError
from VertebraLabelingMRML import corrections, found_in, points
from VertebraLabelingMRML.undo import UndoStack

from VertebraLabeling import VertebraLabelingLogic


class OtherCase(LabeledCase):
    def setUp(self):
        super().setUp()
        self.labeler = BallLabeler()
        self.logic = VertebraLabelingLogic(self.labeler)
        self.volumeNode, self.other = addVolume(), addVolume(centers("T4", "T9"), name="other")
        self.node = self.logic.label(self.volumeNode)
        self.node.SetName("mine")


class TestTakingOver(OtherCase):
    def test_the_list_of_another_volume_is_not_taken_unasked(self):
        before = self.all()
        words = "'mine' holds the vertebrae of 'CT', which those of 'other' would replace: .* keep=True"
        with self.assertRaisesRegex(InputError, words):
            self.logic.label(self.other, self.node)
        self.assertEqual(self.all(), before)
        self.assertIs(points.sourceVolume(self.node), self.volumeNode)
        self.assertEqual(len(self.labeler.volumes), 1)

    def test_the_panel_asks_in_its_own_words(self):
        with self.assertRaises(found_in.ChangedVolumeError) as raised:
            self.logic.label(self.other, self.node)
        question = raised.exception.sentence("anything")
        self.assertRegex(question, r"'mine' holds the vertebrae of 'CT', .*: replace them, or cancel .*\?$")

    def test_with_keep_it_is_and_its_settled_points_are_of_no_use_there(self):
        corrections.confirm(self.node, [self.index("L1")])
        for keep in (True, False):
            self.logic.label(self.other, self.node, keep=keep)
            self.assertIsNone(self.labeler.fixed[-1])
            self.assertIs(points.sourceVolume(self.node), self.other)
            self.logic.label(self.volumeNode, self.node, keep=keep)

    def test_an_empty_list_and_a_new_one_are_free(self):
        empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
        self.assertIs(self.logic.label(self.other, empty), empty)
        self.node.RemoveAllControlPoints()
        self.logic.label(self.other, self.node)
        self.assertIs(points.sourceVolume(self.node), self.other)

    def test_the_list_of_a_volume_that_is_gone_is_not_taken_unasked_for_other_voxels(self):
        slicer.mrmlScene.RemoveNode(self.volumeNode)
        before = self.all()
        for settle in (False, True):
            if settle:
                corrections.confirm(self.node, [self.index("L1")])
                before = self.all()
            with self.assertRaisesRegex(InputError, "'mine' holds the vertebrae of 'CT', which those of 'other'"):
                self.logic.label(self.other, self.node)
            self.assertEqual(self.all(), before)
        again = addVolume(name="loaded again")
        self.logic.label(again, self.node)
        self.assertEqual(list(self.labeler.fixed[-1]), ["L1"])
        self.assertIs(points.sourceVolume(self.node), again)


class TestImportedScene(LabeledCase):
    """A scene that is added to one which has a CT of the same ID and name, as all first volumes have."""

    def setUp(self):
        super().setUp()
        self.volumeNode = addVolume()
        self.node = VertebraLabelingLogic(BallLabeler()).label(self.volumeNode)

    def addTo(self, *volumes):
        """Save the scene, and add it to another one with these volumes."""
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/scene.mrb"
            slicer.util.saveScene(path, properties={})
            slicer.mrmlScene.Clear()
            here = [addVolume(*balls, name=name) for name, balls in volumes]
            slicer.util.loadScene(path, properties={})
        self.node = slicer.util.getNode("CT vertebrae")
        self.volumeNode = self.node.GetNodeReference(points.VOLUME)
        self.assertNotIn(self.volumeNode, here)
        self.assertEqual([here[0].GetID(), here[0].GetName()], found_in.volumeNamed(points.provenanceOf(self.node)))
        return here

    def clone(self):
        clone = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "clone")
        clone.CopyContent(self.node)
        for name in self.node.GetAttributeNames():
            clone.SetAttribute(name, self.node.GetAttribute(name))
        return clone

    def test_a_clone_belongs_to_the_volume_that_came_with_it(self):
        other, same = self.addTo(("CT", [centers("T4", "T9")]), ("not so named", []))
        clone = self.clone()
        self.assertIs(points.sourceVolume(clone), self.volumeNode)
        self.assertEqual(
            [points.belongsTo(clone, each) for each in (self.volumeNode, other, same)], [True, False, False]
        )
        with self.assertRaisesRegex(InputError, "'clone' holds the vertebrae of 'CT'"):
            VertebraLabelingLogic(BallLabeler()).label(other, clone)
        slicer.mrmlScene.RemoveNode(self.volumeNode)
        self.assertIsNone(points.sourceVolume(clone))

    def test_voxels_that_were_changed_are_another_picture(self):
        clone = self.clone()
        self.assertIs(points.sourceVolume(clone), self.volumeNode)
        slicer.util.updateVolumeFromArray(self.volumeNode, slicer.util.arrayFromVolume(self.volumeNode) + 1)
        self.assertIsNone(points.sourceVolume(clone))

    def test_undo_leaves_the_points_with_their_volume(self):
        self.addTo(("CT", [centers("T4", "T9")]))
        stack = UndoStack()
        stack.remember(self.node, "shift")
        corrections.shift(self.node, -1)
        self.assertEqual(stack.undo(self.node), "shift")
        self.assertIs(points.sourceVolume(self.node), self.volumeNode)


class TestUndo(OtherCase):
    """What the panel does: labels before a run, the run, undo."""

    def undo(self, before):
        stack = UndoStack()
        stack.remember(self.node, "labeling", before)
        self.assertEqual(stack.undo(self.node), "labeling")

    def test_undo_of_a_run_on_another_volume_brings_back_the_volume_too(self):
        corrections.confirm(self.node, [self.index("L1")])
        before = self.labels()
        self.logic.label(self.other, self.node, keep=True)
        self.undo(before)
        after = self.labels()
        self.assertEqual((after.points, after.provenance), (before.points, before.provenance))
        self.assertIs(points.sourceVolume(self.node), self.volumeNode)
        self.assertIs(points.pointsNodeOf(self.volumeNode), self.node)
        self.assertIsNone(points.pointsNodeOf(self.other))
        self.logic.label(self.volumeNode)
        self.assertEqual(list(self.labeler.fixed[-1]), ["L1"])

    def test_where_that_volume_is_gone_the_list_belongs_to_none(self):
        before = self.labels()
        self.logic.label(self.other, self.node, keep=True)
        slicer.mrmlScene.RemoveNode(self.volumeNode)
        self.undo(before)
        self.assertIsNone(points.sourceVolume(self.node))

    def test_undo_of_the_first_run_leaves_a_list_of_no_volume(self):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "by hand")
        node.AddControlPointWorld([1.0, 2.0, 3.0], "biopsy")
        self.node, before = node, points.readLabels(node)
        self.logic.label(self.other, node)
        self.undo(before)
        self.assertIsNone(points.sourceVolume(node))
        self.assertEqual([node.GetNthControlPointLabel(0), node.GetNumberOfControlPoints()], ["biopsy", 1])

    def test_a_clone_stays_a_copy_of_the_user(self):
        clone = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
        clone.CopyContent(self.node)
        for name in self.node.GetAttributeNames():
            clone.SetAttribute(name, self.node.GetAttribute(name))
        original, self.node, before = self.node, clone, points.readLabels(clone)
        corrections.shift(clone, 1)
        self.undo(before)
        self.assertEqual(self.labels().points, before.points)
        self.assertIs(points.sourceVolume(clone), self.volumeNode)
        self.assertIs(points.pointsNodeOf(self.volumeNode), original)
