"""Sequences of CT volumes: the shown frame is told as such, and all frames are labeled from the console."""

import logging

import numpy as np
import slicer
from changed_case import matrixOf, move
from labeled_case import LabeledCase
from synthetic_spine import BallLabeler, addVolume, centers
from VertebraLabelingLib.core.counting import rule_of
from VertebraLabelingLib.core.label_warning import FRAME
from VertebraLabelingLib.errors import InputError
from VertebraLabelingMRML import corrections, points
from VertebraLabelingMRML.editor import Editor

from VertebraLabeling import VertebraLabelingLogic

STEP_MM, FRAMES = 6.0, 4  # how much further up the patient lies in each frame
NO_SPINE = 2  # item that shows nothing


class SequenceCase(LabeledCase):
    def setUp(self):
        super().setUp()
        self.labeler = BallLabeler()
        self.logic = VertebraLabelingLogic(self.labeler)
        self.sequence = self.addSequence()

    def addSequence(self, empty=(), name="CT"):
        sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", name)
        sequence.SetIndexName("time")
        sequence.SetIndexUnit("s")
        for item in range(FRAMES):
            volumeNode = addVolume(name=f"frame {item}")
            array = slicer.util.arrayFromVolume(volumeNode)
            rolled = np.roll(array, int(item * STEP_MM / 3.0), axis=0) if item not in empty else np.full_like(array, 7)
            slicer.util.updateVolumeFromArray(volumeNode, rolled)
            sequence.SetDataNodeAtValue(volumeNode, str(item / 2))
            slicer.mrmlScene.RemoveNode(volumeNode)
        return sequence

    def addBrowser(self):
        browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
        browser.SetAndObserveMasterSequenceNodeID(self.sequence.GetID())
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
        self.browser, self.volumeNode = browser, browser.GetProxyNode(self.sequence)
        return browser

    def labelAll(self, node=None, **options):
        self.node, self.results = self.logic.labelSequence(node or self.sequence, **options)
        (self.browser,) = slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode")
        self.volumeNode = self.browser.GetProxyNode(self.sequence)

    def show(self, item):
        self.browser.SetSelectedItemNumber(item)

    def assertShows(self, item, within=1.5, move=(0, 0, 0)):
        self.show(item)
        found = self.labels().by_level
        self.assertEqual(list(found), list(centers()))
        expected = {level: np.add(np.add(ras, (0, 0, STEP_MM * item)), move) for level, ras in centers().items()}
        apart = [np.linalg.norm(np.subtract(found[level].ras, ras)) for level, ras in expected.items()]
        self.assertLess(max(apart), within)

    def allFrames(self):
        found = []
        for item in range(FRAMES):
            self.show(item)
            found.append(self.all())
        return found

    def nodes(self):
        return sorted(node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLNode"))


class TestShownFrame(SequenceCase):
    def test_it_is_told_which_frame_was_labeled(self):
        self.addBrowser().SetSelectedItemNumber(2)
        self.node = self.logic.label(self.volumeNode)
        self.assertEqual(
            [str(each) for each in self.labels().warnings if each.kind == FRAME],
            ["Only the shown frame of the sequence was labeled: 3 of 4 (time 1.0 s)."],
        )
        corrections.nameAs(self.node, self.index("T12"), "L1")
        self.assertIn(FRAME, [each.kind for each in self.labels().warnings])

    def test_a_volume_of_no_sequence_or_of_a_single_frame_is_no_frame(self):
        self.node = self.logic.label(addVolume())
        self.assertEqual(self.labels().warnings, ())
        for index in ("0.5", "1.0", "1.5"):
            self.sequence.RemoveDataNodeAtValue(index)
        self.addBrowser()
        self.node = self.logic.label(self.volumeNode)
        self.assertEqual(self.labels().warnings, ())


class TestAllFrames(SequenceCase):
    def test_all_frames_are_named_by_the_chosen_rule(self):
        self.labelAll(count="above")
        for item in range(FRAMES):
            self.show(item)
            self.assertEqual(rule_of(self.labels()), "above")

    def test_each_frame_has_its_own_points(self):
        self.labelAll()
        for item in (0, 3, 1, 2, 0):
            self.assertShows(item)
            self.assertEqual(self.labels().warnings, ())
        self.assertEqual([each["status"] for each in self.results], ["done"] * FRAMES)
        self.assertEqual([each["index"] for each in self.results][:2], ["time 0.0 s", "time 0.5 s"])
        self.assertEqual(self.results[1]["levels"], list(centers()))

    def test_the_list_is_browsed_along_with_the_volume(self):
        self.labelAll()
        ofPoints = self.browser.GetSequenceNode(self.node)
        self.assertEqual((self.node.GetName(), ofPoints.GetName()), ("CT vertebrae", "CT vertebrae sequence"))
        self.assertEqual(ofPoints.GetNumberOfDataNodes(), FRAMES)
        self.assertTrue(self.browser.IsSynchronizedSequenceNode(ofPoints))
        self.assertTrue(self.browser.GetSaveChanges(ofPoints))
        self.assertIs(points.sourceVolume(self.node), self.volumeNode)

    def test_a_browser_its_volume_and_a_sequence_browsed_along_are_the_same_sequence(self):
        other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "other")
        for each in (other.SetIndexName, self.sequence.SetIndexName):
            each("time")
        other.SetIndexUnit("s")
        other.SetDataNodeAtValue(slicer.vtkMRMLModelNode(), "0.0")
        self.addBrowser().AddSynchronizedSequenceNodeID(other.GetID())
        count = len(slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode"))
        for node in (self.browser, self.volumeNode, self.sequence):
            self.labelAll(node)
            self.assertShows(2)
        self.assertEqual(len(slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode")), count)
        self.assertEqual(len(slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")), 1)

    def test_the_frame_that_was_shown_is_shown_again(self):
        self.addBrowser().SetSelectedItemNumber(2)
        self.labelAll(items=[0, 3])
        self.assertEqual(self.browser.GetSelectedItemNumber(), 2)
        self.assertEqual(self.labels().points, ())
        self.assertShows(3)

    def test_progress_is_that_of_all_frames(self):
        seen = []
        self.labelAll(progress=lambda fraction, what: seen.append((fraction, what)))
        fractions = [fraction for fraction, _ in seen]
        self.assertEqual(fractions, sorted(fractions))
        self.assertIn((0.25, "frame 2 of 4 (time 0.5 s): finding vertebrae"), seen)

    def test_a_sequence_under_a_transform(self):
        self.addBrowser()
        move(self.volumeNode, matrixOf(30, -20, 100))
        self.labelAll()
        for item in (3, 0):
            self.assertShows(item, move=(30, -20, 100))

    def test_after_saving_and_loading(self):
        self.labelAll()
        self.show(1)
        corrections.confirm(self.node, [self.index("L1")])
        self.reload()
        (self.browser,) = slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode")
        for item in (0, 3, 1):
            self.assertShows(item)
        self.assertEqual(self.labels().by_level["L1"].status, "confirmed")
        node, self.sequence = self.node, self.browser.GetMasterSequenceNode()
        self.labelAll(self.volumeNode)
        self.assertIs(self.node, node)
        self.assertEqual([bool(fixed) for fixed in self.labeler.fixed[-FRAMES:]], [False, True, False, False])


class TestCorrections(SequenceCase):
    def setUp(self):
        super().setUp()
        self.labelAll()

    def test_they_are_kept_in_their_frame(self):
        self.show(1)
        corrections.nameAs(self.node, self.index("T12"), "L1")
        for item, levels in ((2, centers()), (1, centers("T9", "L5")), (0, centers())):
            self.show(item)
            self.assertEqual(list(self.labels().by_level), list(levels))

    def test_a_second_run_keeps_what_was_settled_in_each_frame(self):
        first = self.node
        self.show(3)
        corrections.nameAs(self.node, self.index("T12"), "L1")
        self.labeler.fixed.clear()
        self.labelAll()
        self.assertIs(self.node, first)
        self.assertEqual([fixed and list(fixed) for fixed in self.labeler.fixed], [None, None, None, ["L1"]])
        self.assertShows(0)
        self.show(3)
        self.assertEqual(list(self.labels().by_level), list(centers("T9", "L5")))

    def test_undo_takes_back_what_was_done_in_the_shown_frame_only(self):
        editor = Editor()
        self.show(1)
        editor.shift(self.node, 1)
        self.show(2)
        self.assertEqual((editor.undoStack.next(self.node), editor.undo(self.node)), ("", ""))
        self.assertShows(2)
        self.show(1)
        self.assertEqual(editor.undo(self.node), "shift down")
        self.assertShows(1)

    def test_labeling_the_shown_frame_again_changes_that_frame_only(self):
        self.show(1)
        VertebraLabelingLogic(BallLabeler("T7")).label(self.volumeNode)
        self.assertEqual(list(self.labels().by_level), list(centers("T7", "L3")))
        self.assertShows(0)


class TestWhatGoesWrong(SequenceCase):
    def test_a_frame_without_spine_is_named_has_no_points_and_the_others_have_theirs(self):
        self.sequence = self.addSequence(empty=[NO_SPINE])
        self.labelAll()
        self.assertEqual([each["status"] for each in self.results], ["done", "done", "failed", "done"])
        self.assertRegex(self.results[NO_SPINE]["message"], r"^In frame 3 of 4 \(time 1.0 s\): No spine was found")
        for item in (1, 3, 0):
            self.assertShows(item)
            self.show(NO_SPINE)
            self.assertEqual(self.labels().points, ())
            self.assertFalse(points.wasLabeled(self.node))

    def test_a_bug_in_one_frame_is_no_reason_to_lose_the_others(self):
        class Buggy(BallLabeler):
            def label(labeler, *arguments, **options):
                if len(labeler.volumes) == 1:
                    labeler.volumes.append(None)
                    raise KeyError("patient's name")
                return super().label(*arguments, **options)

        self.logic = VertebraLabelingLogic(Buggy())
        with self.assertLogs(level=logging.ERROR) as logged:
            self.labelAll()
        self.assertEqual([each["status"] for each in self.results], ["done", "failed", "done", "done"])
        self.assertRegex(self.results[1]["message"], r"^In frame 2 of 4 \(time 0.5 s\): unexpected KeyError: report it")
        self.assertNotIn("patient", self.results[1]["message"])
        self.assertEqual(len(logged.records), 1)
        self.assertShows(3)

    def test_cancel_keeps_what_has_been_labeled(self):
        self.labelAll(cancelled=lambda: len(self.labeler.volumes) == 3)
        self.assertEqual([each["status"] for each in self.results], ["done", "done", "canceled", "canceled"])
        self.assertEqual([each["item"] for each in self.results], [0, 1, 2, 3])
        self.assertShows(1)
        self.show(2)
        self.assertEqual(self.labels().points, ())

    def test_cancel_in_the_first_frame_leaves_the_scene_as_it_was(self):
        self.addBrowser()
        before = self.nodes()
        self.assertEqual(self.logic.labelSequence(self.sequence, cancelled=lambda: True)[0], None)
        self.assertEqual(self.nodes(), before)

    def test_an_interrupt_too(self):
        def interrupt(fraction, what):
            raise KeyboardInterrupt

        self.addBrowser().SetSelectedItemNumber(1)
        before = self.nodes()
        with self.assertRaises(KeyboardInterrupt):
            self.logic.labelSequence(self.sequence, progress=interrupt)
        self.assertEqual((self.nodes(), self.browser.GetSelectedItemNumber()), (before, 1))

    def test_a_failed_second_run_leaves_the_points(self):
        self.labelAll()
        before = self.allFrames()
        self.logic = VertebraLabelingLogic(NeverLabeler())
        self.labelAll()
        self.assertEqual([each["status"] for each in self.results], ["failed"] * FRAMES)
        self.assertEqual(self.allFrames(), before)

    def test_a_frame_that_is_left_during_its_labeling_is_told(self):
        class Browsing(BallLabeler):
            def label(labeler, *arguments, **options):
                labels = super().label(*arguments, **options)
                if len(labeler.volumes) == 2:
                    self.show(3)
                return labels

        self.addBrowser()
        self.logic = VertebraLabelingLogic(Browsing())
        self.labelAll()
        self.assertEqual([each["status"] for each in self.results], ["done", "failed", "done", "done"])
        self.assertIn("Another frame was shown", self.results[1]["message"])
        self.assertShows(3)

    def test_a_list_of_a_single_frame_is_left_alone(self):
        self.addBrowser()
        single = self.logic.label(self.volumeNode)
        self.labelAll()
        self.assertIsNot(self.node, single)
        self.show(2)
        self.assertEqual(single.GetNthControlPointLabel(0), "T8")

    def test_what_is_no_sequence_of_volumes_is_refused(self):
        models = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "models")
        models.SetDataNodeAtValue(slicer.vtkMRMLModelNode(), "0")
        browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "empty")
        for node in (None, addVolume(), models, browser, slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode")):
            with self.assertRaisesRegex(InputError, "sequence"):
                self.logic.labelSequence(node)

    def test_a_recording_or_frozen_browser_and_frames_that_are_not_there_are_refused(self):
        self.addBrowser().SetRecordingActive(True)
        with self.assertRaisesRegex(InputError, "'browser' is recording: stop it"):
            self.logic.labelSequence(self.sequence)
        self.browser.SetRecordingActive(False)
        for items in ([4], [-1], ["0"]):
            with self.assertRaisesRegex(InputError, "has frames 0 to 3"):
                self.logic.labelSequence(self.sequence, items=items)
        self.browser.SetPlayback(self.sequence, False)
        with self.assertRaisesRegex(InputError, "'browser' does not show 'CT': switch on its playback"):
            self.logic.labelSequence(self.sequence)


class NeverLabeler(BallLabeler):
    def label(self, *arguments, **options):
        raise InputError("This never works: do without.")
