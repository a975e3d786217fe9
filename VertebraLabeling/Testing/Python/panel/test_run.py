"""Labeling from the panel: the run in the background, its progress, its end, and what can happen meanwhile."""

import os

import numpy as np
import slicer
from marks import timing
from panel_case import PanelCase, addVolume, centers, processIsAlive, volumeFolders
from VertebraLabelingLib.errors import Cancelled, InputError, VertebraLabelingError
from VertebraLabelingMRML import engine
from VertebraLabelingMRML.wording import timeLeft


class TestLabelButton(PanelCase):
    def test_the_button_is_off_until_a_volume_is_there(self):
        self.assertFalse(self.ui.labelButton.enabled)
        addVolume()
        self.assertTrue(self.ui.labelButton.enabled)

    def test_a_volume_loaded_before_the_panel_opens_is_chosen(self):
        volumeNode = addVolume()
        self.ui.inputSelector.setCurrentNode(None)
        self.widget.enter()
        self.assertIs(self.ui.inputSelector.currentNode(), volumeNode)

    def test_label_maps_are_not_offered(self):
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
        self.assertEqual(self.ui.inputSelector.nodeCount(), 0)
        self.widget.enter()
        self.assertFalse(self.ui.labelButton.enabled)

    def test_the_volume_that_is_active_in_slicer_is_chosen(self):
        volumes = [addVolume(name=name) for name in ("one", "two", "three")]
        slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSelectionNode").SetActiveVolumeID(volumes[1].GetID())
        self.ui.inputSelector.setCurrentNode(None)
        self.widget.enter()
        self.assertIs(self.ui.inputSelector.currentNode(), volumes[1])

    def test_another_volume_gets_points_of_its_own(self):
        first = self.labelBalls()
        volume = self.ui.inputSelector.currentNode()
        self.ui.inputSelector.setCurrentNode(addVolume(name="other"))
        self.assertIsNone(self.node)
        self.ui.inputSelector.setCurrentNode(volume)
        self.assertIs(self.node, first)

    def test_create_new_points_leaves_those_of_the_earlier_run(self):
        first = self.labelBalls()
        self.ui.outputSelector.setCurrentNode(None)
        self.assertIsNone(self.node)
        self.ui.labelButton.click()
        self.waitUntil(lambda: not self.widget.panel.run.running)
        self.assertIsNotNone(self.node)
        self.assertIsNot(self.node, first)

    def test_a_click_makes_the_points_and_chooses_them_as_output(self):
        node = self.labelBalls()
        self.assertEqual(self.levels(), list(centers()))
        self.assertEqual(node.GetName(), "CT vertebrae")
        self.assertIn(f"{len(centers())} vertebrae labeled in 0.1 s on the CPU", self.ui.statusLabel.text)
        self.assertEqual(self.ui.labelButton.text, "Label vertebrae")
        self.assertFalse(self.ui.progressBar.isVisibleTo(self.widget.parent))

    def test_progress_moves_and_names_the_stage(self):
        self.logic.backgroundLabeler = "balls:UnhurriedBallLabeler"
        self.ui.inputSelector.setCurrentNode(addVolume())
        seen = []
        self.ui.labelButton.click()
        while self.widget.panel.run.running:
            slicer.app.processEvents()
            seen.append((self.ui.progressBar.value, self.ui.stageLabel.text))
        values = [value for value, _ in seen]
        self.assertEqual(values, sorted(values))
        self.assertGreater(len(set(values)), 3)
        self.assertTrue(any("Handing over" in stage for _, stage in seen))
        self.assertTrue(any("Finding vertebrae" in stage for _, stage in seen))

    def test_the_chosen_device_and_weights_reach_the_engine(self):
        self.ui.deviceComboBox.currentText = "cpu"
        self.ui.modelPathLineEdit.currentPath = "/models/mine.pt"
        expected = {"weights": "/models/mine.pt", "device": "cpu", "count": "seen"}
        self.assertEqual(self.widget.panel.runArguments(), expected)
        self.ui.modelPathLineEdit.currentPath = ""
        self.assertIsNone(self.widget.panel.runArguments()["weights"])

    def test_the_process_gets_the_voxels_unchanged(self):
        volumeNode = addVolume()
        request = []
        self.logic.backgroundLabeler = "echo_labeler:EchoLabeler"
        run = self.logic.startLabeling(volumeNode, onFinished=request.append, waitForCompletion=True, device="cuda")
        told = run.pointsNode.GetAttribute("VertebraLabeling.provenance")
        array = slicer.util.arrayFromVolume(volumeNode)
        self.assertIn(f'"sum": {int(array.astype("int64").sum())}', told)
        self.assertIn(f'"dtype": "{array.dtype}"', told)
        self.assertIn('"device": "cuda"', told)
        self.assertEqual(request, [run])

    def test_nothing_is_left_in_the_temporary_folder(self):
        self.labelBalls()
        self.assertEqual(volumeFolders(), [])

    def test_a_second_run_updates_the_node_and_can_be_undone(self):
        node = self.labelBalls()
        self.ui.labelButton.click()
        self.waitUntil(lambda: not self.widget.panel.run.running)
        self.assertIs(self.node, node)
        self.assertEqual(self.ui.undoButton.text, "Undo labeling")


class TestCancel(PanelCase):
    def start(self):
        self.logic.backgroundLabeler = "balls:SlowBallLabeler"
        self.ui.inputSelector.setCurrentNode(addVolume())
        self.nodesBefore = slicer.mrmlScene.GetNumberOfNodes()
        self.ui.labelButton.click()
        self.waitUntil(lambda: self.widget.panel.run._run.workerPid is not None)
        self.pid = self.widget.panel.run._run.workerPid

    def assertStopped(self, nodes=None):
        self.assertFalse(self.widget.panel.run.running)
        self.waitUntil(lambda: not processIsAlive(self.pid))
        self.assertEqual(volumeFolders(), [])
        if nodes is not None:
            self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), nodes)

    @timing
    def test_the_button_becomes_cancel_and_ends_the_run_at_once(self):
        """A few hundredths of a second on a quiet computer; the labeler would go on for more than a minute."""
        self.start()
        self.assertEqual(self.ui.labelButton.text, "Cancel")
        self.assertFalse(self.ui.inputSelector.enabled)
        self.ui.labelButton.click()
        self.waitUntil(lambda: not processIsAlive(self.pid), seconds=10)
        self.assertStopped(self.nodesBefore)
        self.assertIsNone(self.node)
        self.assertIn("canceled", self.ui.statusLabel.text)
        self.assertTrue(self.ui.inputSelector.enabled)

    def test_cancel_works_before_the_process_has_started(self):
        self.logic.backgroundLabeler = "balls:SlowBallLabeler"
        self.ui.inputSelector.setCurrentNode(addVolume())
        self.ui.labelButton.click()
        self.ui.labelButton.click()
        self.settle()
        self.assertFalse(self.widget.panel.run.running)
        self.assertEqual(volumeFolders(), [])

    def test_closing_the_scene_ends_the_run(self):
        self.start()
        slicer.mrmlScene.Clear()
        self.assertStopped()
        self.assertFalse(self.ui.labelButton.enabled)
        self.assertEqual(self.ui.labelButton.text, "Label vertebrae")

    def test_deleting_the_volume_ends_the_run_with_a_sentence(self):
        self.start()
        slicer.mrmlScene.RemoveNode(self.ui.inputSelector.currentNode())
        self.assertStopped()
        self.assertIn("The volume was removed", self.ui.statusLabel.text)

    def test_reloading_the_module_ends_the_run_and_the_new_panel_works(self):
        self.start()
        slicer.util.reloadScriptedModule("VertebraLabeling")
        self.waitUntil(lambda: not processIsAlive(self.pid))
        PanelCase.setUp(self)
        self.labelBalls()
        self.assertEqual(self.levels(), list(centers()))

    def test_quitting_slicer_ends_the_run(self):
        if hasattr(slicer.app, "commandOptions"):
            self.skipTest("would quit the Slicer that runs the tests")
        self.start()
        slicer.app.aboutToQuit.emit()
        self.assertStopped(self.nodesBefore)

    def test_quitting_slicer_ends_a_run_that_a_script_started(self):
        if hasattr(slicer.app, "commandOptions"):
            self.skipTest("would quit the Slicer that runs the tests")
        run = self.logic.startLabeling(addVolume())
        self.waitUntil(lambda: run.workerPid is not None)
        self.assertNotEqual(volumeFolders(), [])
        slicer.app.aboutToQuit.emit()
        self.assertFalse(run.running)
        self.waitUntil(lambda: not processIsAlive(run.workerPid))
        self.assertEqual(volumeFolders(), [])

    def test_the_process_ends_when_its_launcher_is_killed(self):
        self.start()
        self.widget.panel.run._run._process._process.kill()
        self.waitUntil(lambda: not self.widget.panel.run.running)
        self.assertIn("ended", self.ui.errorLabel.text)
        self.waitUntil(lambda: not processIsAlive(self.pid))


class TestNodesChangeDuringARun(PanelCase):
    def run_with(self, change, output=None):
        run = self.logic.startLabeling(addVolume(), output)
        change(run)
        run.wait()
        return run.pointsNode

    def test_a_deleted_output_is_made_anew(self):
        output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "mine")
        node = self.run_with(lambda run: slicer.mrmlScene.RemoveNode(output), output)
        self.assertIsNot(node, output)
        self.assertEqual(node.GetNumberOfControlPoints(), len(centers()))

    def test_points_follow_a_volume_that_was_transformed_meanwhile(self):
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        matrix = slicer.util.arrayFromTransformMatrix(transform)
        matrix[:3, 3] = (0, 0, 50)
        slicer.util.updateTransformMatrixFromArray(transform, matrix)
        volume = addVolume()
        run = self.logic.startLabeling(volume)
        volume.SetAndObserveTransformNodeID(transform.GetID())
        run.wait()
        found = slicer.util.arrayFromMarkupsControlPoints(run.pointsNode, world=True)
        self.assertAlmostEqual(found[0][2], centers()["T8"][2] + 50, delta=1)

    def test_a_point_dragged_meanwhile_stays_where_the_user_put_it(self):
        node = self.labelBalls()
        place = (11.0, -3.0, 2.0)
        run = self.logic.startLabeling(self.ui.inputSelector.currentNode())
        node.SetNthControlPointPositionWorld(4, place)
        run.wait()
        self.assertEqual(tuple(node.GetNthControlPointPositionWorld(4)), place)


class TestFailures(PanelCase):
    def fail_with(self, labeler):
        self.logic.backgroundLabeler = labeler
        self.ui.inputSelector.setCurrentNode(addVolume())
        nodes = slicer.mrmlScene.GetNumberOfNodes()
        self.ui.labelButton.click()
        self.waitUntil(lambda: not self.widget.panel.run.running)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), nodes)
        return self.ui.errorLabel.text

    def test_a_scan_without_a_spine_gets_the_engine_s_sentence(self):
        self.ui.inputSelector.setCurrentNode(slicer.util.addVolumeFromArray(np.zeros((9, 9, 9), "int16")))
        self.ui.labelButton.click()
        self.waitUntil(lambda: not self.widget.panel.run.running)
        self.assertIn("No spine was found", self.ui.errorLabel.text)
        self.assertIsNone(self.node)

    def test_a_crash_of_the_process_gives_a_sentence_and_its_last_lines_go_to_the_log(self):
        with self.assertLogs(level="ERROR") as log:
            text = self.fail_with("balls:CrashingLabeler")
        self.assertIn("ended without a result", text)
        self.assertIn("about to crash", "\n".join(log.output))

    def test_a_bug_in_the_process_gives_a_sentence_and_the_traceback_goes_to_the_log(self):
        with self.assertLogs(level="ERROR") as log:
            text = self.fail_with("balls:BuggyLabeler")
        self.assertIn("unexpected error", text)
        self.assertIn("KeyError: 'a bug'", "\n".join(log.output))

    def test_a_volume_under_a_non_linear_transform_gets_a_sentence_at_once(self):
        volume = addVolume()
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
        volume.SetAndObserveTransformNodeID(transform.GetID())
        self.ui.inputSelector.setCurrentNode(volume)
        self.ui.labelButton.click()
        self.assertIn("non-linear transform", self.ui.errorLabel.text)
        self.assertFalse(self.widget.panel.run.running)

    def test_missing_pytorch_opens_the_set_up_section(self):
        def missing(name):
            return None

        original, engine.importlib.util.find_spec = engine.importlib.util.find_spec, missing
        self.addCleanup(setattr, engine.importlib.util, "find_spec", original)
        self.logic.backgroundLabeler = "VertebraLabelingLib.pipeline.labeler:VertebraLabeler"
        self.ui.setupCollapsibleButton.collapsed = True
        self.ui.inputSelector.setCurrentNode(addVolume())
        self.ui.labelButton.click()
        self.assertIn("press 'Install PyTorch'", self.ui.errorLabel.text)
        self.assertFalse(self.ui.setupCollapsibleButton.collapsed)

    def test_a_full_disk_gives_a_sentence(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("needs /dev/full")
        from VertebraLabelingLib.background.handover import Handover

        array = slicer.util.arrayFromVolume(addVolume())
        with self.assertRaisesRegex(VertebraLabelingError, "free some disk space"):
            handover = Handover(array, "/dev/full")
            while handover.step():
                pass

    def test_a_new_run_clears_the_old_error(self):
        self.fail_with("balls:BuggyLabeler")
        self.logic.backgroundLabeler = "balls:BallLabeler"
        self.ui.labelButton.click()
        self.waitUntil(lambda: not self.widget.panel.run.running)
        self.assertEqual(self.ui.errorLabel.text, "")


class TestConsole(PanelCase):
    def test_start_labeling_returns_at_once_and_tells_when_it_is_done(self):
        ended = []
        run = self.logic.startLabeling(addVolume(), onFinished=ended.append)
        self.assertTrue(run.running)
        self.assertEqual(run._handover.fraction, 0.0, "before the first voxel is handed over")
        self.assertIsNone(run.workerPid)
        self.waitUntil(lambda: ended)
        self.assertEqual((ended, run.error), ([run], None))
        self.assertEqual(run.pointsNode.GetNumberOfControlPoints(), len(centers()))

    def test_wait_for_completion_returns_the_finished_run(self):
        run = self.logic.startLabeling(addVolume(), waitForCompletion=True)
        self.assertFalse(run.running)
        self.assertIs(run.wait(), run.pointsNode)

    def test_wait_for_completion_raises_what_went_wrong(self):
        self.logic.backgroundLabeler = "balls:BuggyLabeler"
        with self.assertRaises(VertebraLabelingError), self.assertLogs(level="ERROR"):
            self.logic.startLabeling(addVolume(), waitForCompletion=True)

    def test_a_run_can_be_cancelled_from_the_console(self):
        self.logic.backgroundLabeler = "balls:SlowBallLabeler"
        run = self.logic.startLabeling(addVolume())
        run.cancel()
        with self.assertRaises(Cancelled):
            run.wait()

    def test_two_runs_at_once_do_not_mix(self):
        runs = [self.logic.startLabeling(addVolume(centers("T5", last), name=last)) for last in ("T10", "T12")]
        for run, count in zip(runs, (6, 8)):
            self.assertEqual(run.wait().GetNumberOfControlPoints(), count)

    def test_two_runs_at_once_on_one_volume_give_one_list(self):
        volumeNode = addVolume()
        nodes = {run.wait() for run in [self.logic.startLabeling(volumeNode) for _ in range(2)]}
        self.assertEqual(nodes, set(slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")))
        self.assertEqual(len(nodes), 1)

    def test_a_label_map_is_refused_before_anything_starts(self):
        node = slicer.util.addVolumeFromArray(np.zeros((4, 4, 4)), nodeClassName="vtkMRMLLabelMapVolumeNode")
        with self.assertRaises(InputError):
            self.logic.startLabeling(node)
        self.assertEqual(volumeFolders(), [])


class TestTimeLeft(PanelCase):
    def test_the_time_left_is_told_no_finer_than_it_is_known(self):
        cases = {3: "a few seconds left", 34: "about 30 s left", 61: "about 1 min left", 400: "about 7 min left"}
        for seconds, words in cases.items():
            self.assertEqual(timeLeft(seconds), words)
