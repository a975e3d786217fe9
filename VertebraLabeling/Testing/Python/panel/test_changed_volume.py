"""The panel asks before it labels a changed volume without the points that were settled in it."""

from unittest import mock

import numpy as np
import slicer
from panel_case import PanelCase, addVolume, centers
from VertebraLabelingMRML import points


class TestChangedVolume(PanelCase):
    def setUp(self):
        super().setUp()
        self.labelBalls()
        self.chooseRows("L1")
        self.ui.confirmButton.click()
        self.volumeNode = self.ui.inputSelector.currentNode()
        self.rollVoxels()
        self.before = points.readLabels(self.node)

    def rollVoxels(self):
        array = slicer.util.arrayFromVolume(self.volumeNode)
        slicer.util.updateVolumeFromArray(self.volumeNode, np.roll(array, 10, axis=0))

    def label(self, answer):
        """Press the button and answer what is asked; returns the questions."""
        with mock.patch.object(slicer.util, "confirmOkCancelDisplay", return_value=answer) as asked:
            self.ui.labelButton.click()
            self.waitUntil(lambda: not self.widget.panel.run.running)
        self.settle()
        return [call.args[0] for call in asked.call_args_list]

    def heights(self):
        return {point.level: point.ras[2] for point in points.readLabels(self.node).points}

    def test_ok_labels_without_them_and_undo_brings_them_back(self):
        (question,) = self.label(True)
        self.assertRegex(question, r"^The voxels of 'CT' have changed since .* confirmed \(L1\) may .*[?]")
        self.assertNotIn("keep=", question)
        self.assertEqual(set(self.column(2)), {"predicted"})
        for level, height in self.heights().items():
            self.assertAlmostEqual(height, centers()[level][2] + 30, delta=1.5)
        self.ui.undoButton.click()
        self.assertEqual(points.readLabels(self.node).points, self.before.points)
        self.assertEqual(len(self.label(False)), 1)

    def test_cancel_leaves_everything_as_it_is(self):
        self.assertEqual(len(self.label(False)), 1)
        self.assertEqual(points.readLabels(self.node).points, self.before.points)
        self.assertEqual((self.ui.statusLabel.text, self.ui.errorLabel.text), ("Nothing was labeled.", ""))
        self.assertEqual(self.ui.labelButton.text, "Label vertebrae")

    def test_after_confirm_all_nothing_is_asked(self):
        self.label(False)
        for level in centers():
            index = next(each.index for each in points.levelPoints(self.node) if each.point.level == level)
            self.node.SetNthControlPointPositionWorld(index, np.add(centers()[level], (0, 0, 30)))
        self.ui.confirmAllButton.click()
        self.assertEqual(self.label(False), [])
        self.assertEqual(self.levels(), list(centers()))

    def test_an_unchanged_volume_asks_nothing(self):
        self.label(True)
        self.chooseRows("L1")
        self.ui.confirmButton.click()
        self.assertEqual(self.label(True), [])

    def test_voxels_that_change_during_a_run_end_it_with_a_sentence(self):
        self.label(True)
        before = points.readLabels(self.node)
        self.ui.labelButton.click()
        self.rollVoxels()
        with self.assertLogs(level="ERROR"):
            self.waitUntil(lambda: not self.widget.panel.run.running)
        self.assertRegex(self.ui.errorLabel.text, "have changed during the labeling.*label it again")
        self.assertEqual(points.readLabels(self.node).points, before.points)

    def test_the_list_of_another_volume_is_replaced_only_after_a_question_and_undo_gives_it_back(self):
        node, mine = self.node, self.volumeNode
        other = addVolume(name="other")
        self.ui.inputSelector.setCurrentNode(other)
        self.ui.outputSelector.setCurrentNode(node)
        (question,) = self.label(False)
        self.assertRegex(question, r"^'CT vertebrae' holds the vertebrae of 'CT', .* 'other' would replace: .*[?]$")
        self.assertIs(points.sourceVolume(node), mine)
        self.label(True)
        self.assertIs(points.sourceVolume(node), other)
        self.ui.undoButton.click()
        self.assertIs(points.sourceVolume(node), mine)
        self.assertEqual(points.readLabels(node).points, self.before.points)
