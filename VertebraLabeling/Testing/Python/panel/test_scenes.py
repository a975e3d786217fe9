"""The panel and the scene: closing, saving and loading, deleting nodes, reloading the module."""

import json
import os
import tempfile

import slicer
from panel_case import PanelCase, addVolume, centers
from VertebraLabelingMRML import points

LEVELS = list(centers())


class TestScenes(PanelCase):
    def saveAndLoad(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "scene.mrb")
            self.assertTrue(slicer.util.saveScene(path, properties={}))
            slicer.mrmlScene.Clear()
            slicer.util.loadScene(path, properties={})

    def test_closing_the_scene_empties_the_panel(self):
        self.showBalls()
        slicer.mrmlScene.Clear()
        self.assertIsNone(self.ui.inputSelector.currentNode())
        self.assertIsNone(self.node)
        self.assertEqual(self.ui.levelTable.rowCount, 0)
        self.assertFalse(self.ui.labelButton.enabled)
        self.assertFalse(self.ui.undoButton.enabled)
        self.assertEqual((self.ui.statusLabel.text, self.ui.warningLabel.text), ("", ""))

    def test_a_saved_scene_comes_back_with_choices_points_and_corrections(self):
        self.showBalls()
        self.chooseRows("T12")
        self.ui.levelComboBox.currentText = "L1"
        self.ui.nameButton.click()
        self.ui.deviceComboBox.currentText = "cpu"
        self.ui.amberSlider.value = 0.35
        self.ui.curveCheckBox.checked = True
        self.ui.followDragCheckBox.checked = False
        self.saveAndLoad()
        self.assertEqual(self.ui.inputSelector.currentNode().GetName(), "CT")
        self.assertEqual(self.node.GetName(), "CT vertebrae")
        self.assertEqual(self.column(0), list(centers("T9", "L5")))
        self.assertEqual(self.cell(self.column(0).index("L1"), 2), "confirmed")
        self.assertEqual(self.ui.deviceComboBox.currentText, "cpu")
        self.assertAlmostEqual(self.ui.amberSlider.value, 0.35)
        self.assertTrue(self.ui.curveCheckBox.checked)
        self.assertFalse(self.ui.followDragCheckBox.checked)
        self.assertEqual(len(slicer.util.getNodesByClass("vtkMRMLMarkupsCurveNode")), 1)
        self.assertEqual(len(slicer.util.getNodes("CT vertebrae thoracic", useLists=True)["CT vertebrae thoracic"]), 1)

    def test_corrections_go_on_in_a_loaded_scene(self):
        self.showBalls()
        self.saveAndLoad()
        self.chooseRows("T12")
        self.ui.levelComboBox.currentText = "T11"
        self.ui.nameButton.click()
        self.assertEqual(self.levels(), list(centers("T7", "L3")))

    def test_a_second_run_in_a_loaded_scene_keeps_the_corrections(self):
        self.showBalls()
        self.chooseRows("T12")
        self.ui.levelComboBox.currentText = "L1"
        self.ui.nameButton.click()
        self.saveAndLoad()
        self.ui.labelButton.click()
        self.waitUntil(lambda: not self.widget.panel.run.running)
        self.assertEqual(self.levels(), list(centers("T9", "L5")))

    def test_the_parameter_node_saves_and_loads_without_points(self):
        addVolume()
        self.ui.amberSlider.value = 0.9
        self.saveAndLoad()
        self.assertAlmostEqual(self.ui.amberSlider.value, 0.9)
        self.assertIsNone(self.node)

    def test_a_scene_with_a_choice_that_is_no_more_opens(self):
        addVolume()
        self.ui.amberSlider.value = 0.9
        self.logic.getParameterNode().parameterNode.SetParameter("refine", "True")
        self.saveAndLoad()
        self.assertAlmostEqual(self.ui.amberSlider.value, 0.9)
        self.assertEqual(set(self.widget.panel.runArguments()), {"weights", "device", "count"})

    def test_deleting_the_points_node_empties_the_table(self):
        node = self.showBalls()
        slicer.mrmlScene.RemoveNode(node)
        self.settle()
        self.assertEqual(self.ui.levelTable.rowCount, 0)
        self.assertFalse(self.ui.shiftUpButton.enabled)

    def test_deleting_the_volume_leaves_the_points_correctable(self):
        self.showBalls()
        slicer.mrmlScene.RemoveNode(self.ui.inputSelector.currentNode())
        self.assertFalse(self.ui.labelButton.enabled)
        self.assertFalse(self.ui.boneButton.enabled)
        self.ui.shiftDownButton.click()
        self.assertEqual(self.levels(), list(centers("T9", "L5")))

    def test_the_points_of_a_patient_whose_ct_was_removed_are_not_those_of_the_next(self):
        first = self.showBalls()
        slicer.mrmlScene.RemoveNode(self.ui.inputSelector.currentNode())
        self.assertEqual(self.column(0), LEVELS)
        addVolume(centers("T4", "T9"), name="next")
        self.assertIsNone(self.node)
        slicer.mrmlScene.RemoveNode(self.ui.inputSelector.currentNode())
        self.ui.outputSelector.setCurrentNode(first)
        addVolume(name="CT")  # loaded again
        self.assertIs(self.node, first)

    def test_points_of_unknown_origin_do_not_go_from_one_ct_to_the_next(self):
        byHand = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "by hand")
        self.ui.outputSelector.setCurrentNode(byHand)
        addVolume(name="first")
        self.assertIs(self.node, byHand)
        self.ui.inputSelector.setCurrentNode(addVolume(name="second"))
        self.assertIs(self.node, byHand)  # it is empty
        byHand.AddControlPointWorld([8.0, -12.0, 5.0], "L1")
        self.ui.inputSelector.setCurrentNode(addVolume(name="third"))
        self.assertIsNone(self.node)

    def test_choosing_another_point_list_shows_that_one(self):
        node = self.showBalls()
        other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "other")
        other.AddControlPointWorld([0, 0, 0], "C3")
        self.ui.outputSelector.setCurrentNode(other)
        self.assertEqual(self.column(0), ["C3"])
        self.ui.outputSelector.setCurrentNode(node)
        self.assertEqual(self.column(0), LEVELS)

    def test_reloading_the_module_keeps_the_points_and_goes_on(self):
        self.showBalls()
        slicer.util.reloadScriptedModule("VertebraLabeling")
        self.widget = slicer.util.getModuleWidget("VertebraLabeling")
        self.logic, self.ui = self.widget.logic, self.widget.ui
        self.assertEqual(self.column(0), LEVELS)
        self.ui.shiftDownButton.click()
        self.assertEqual(self.levels(), list(centers("T9", "L5")))

    def test_leaving_and_entering_the_module_keeps_everything(self):
        self.showBalls()
        if hasattr(slicer.app, "commandOptions") and slicer.util.mainWindow() is not None:
            slicer.util.selectModule("Data")
            slicer.util.selectModule("VertebraLabeling")
        else:
            panel = slicer.modules.vertebralabeling.widgetRepresentation()
            panel.exit()
            panel.enter()
        self.assertEqual(self.column(0), LEVELS)
        self.assertEqual(len(points.levelPoints(self.node)), len(LEVELS))

    def test_a_volume_that_is_added_while_none_is_chosen_becomes_the_chosen_one(self):
        first = addVolume(name="first")
        self.assertIs(self.ui.inputSelector.currentNode(), first)
        self.assertTrue(self.ui.labelButton.enabled)
        second = addVolume(name="second")
        self.assertIs(self.ui.inputSelector.currentNode(), first)
        slicer.mrmlScene.RemoveNode(first)
        self.assertIsNone(self.ui.inputSelector.currentNode())
        third = addVolume(name="third")
        self.assertIs(self.ui.inputSelector.currentNode(), third)
        slicer.mrmlScene.RemoveNode(second)
        self.assertIs(self.ui.inputSelector.currentNode(), third)

    def test_what_is_no_ct_is_not_chosen_when_it_is_added(self):
        for className in ("vtkMRMLLabelMapVolumeNode", "vtkMRMLVectorVolumeNode", "vtkMRMLMarkupsFiducialNode"):
            slicer.mrmlScene.AddNewNodeByClass(className)
        hidden = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
        hidden.UnRegister(None)
        hidden.SetHideFromEditors(True)  # as what a module keeps between two steps
        slicer.mrmlScene.AddNode(hidden)
        self.widget.enter()
        self.assertIsNone(self.logic.getParameterNode().inputVolume)

    def test_of_volumes_that_are_added_in_one_batch_the_first_that_stays_is_chosen(self):
        scene = slicer.mrmlScene
        scene.StartState(scene.BatchProcessState)
        scene.RemoveNode(addVolume(name="between two steps"))
        first = addVolume(name="first")
        addVolume(name="second")
        self.assertIsNone(self.ui.inputSelector.currentNode())
        scene.EndState(scene.BatchProcessState)
        self.assertIs(self.ui.inputSelector.currentNode(), first)

    def test_a_closed_panel_chooses_nothing_and_observes_nothing(self):
        self.addCleanup(slicer.util.reloadScriptedModule, "VertebraLabeling")
        self.assertNotEqual(self.widget.Observations, [])
        self.widget.cleanup()
        self.assertEqual(self.widget.Observations, [])
        addVolume()
        self.settle()
        self.assertIsNone(self.logic.getParameterNode().inputVolume)

    def test_closing_the_scene_leaves_no_observer_behind(self):
        self.showBalls()
        node = self.node
        slicer.mrmlScene.Clear()
        markups = slicer.vtkMRMLMarkupsNode
        self.assertFalse(node.HasObserver(markups.PointEndInteractionEvent))

    def clone(self):
        """A clone of the points, made as in the subject hierarchy."""
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        item = hierarchy.GetItemByDataNode(self.node) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), self.node)
        slicer.vtkSlicerSubjectHierarchyModuleLogic.CloneSubjectHierarchyItem(hierarchy, item, "clone")
        return slicer.util.getNode("clone")

    def test_a_clone_of_the_points_knows_its_volume(self):
        original, volumeNode = self.showBalls(), self.ui.inputSelector.currentNode()
        clone = self.clone()
        self.ui.outputSelector.setCurrentNode(clone)
        self.assertTrue(self.ui.boneButton.enabled)
        self.ui.boneButton.click()
        self.assertEqual(volumeNode.GetDisplayNode().GetWindow(), 1800.0)
        self.assertEqual(self.column(0), LEVELS)
        self.assertIs(points.pointsNodeOf(volumeNode), original)
        slicer.mrmlScene.RemoveNode(volumeNode)
        self.assertIsNone(points.sourceVolume(clone))

    def test_a_clone_does_not_take_another_volume_for_its_own(self):
        self.showBalls()
        clone = self.clone()
        self.ui.inputSelector.currentNode().SetName("something else")
        self.assertIsNone(points.sourceVolume(clone))
        for damaged in ([], [3], ["vtkMRMLScalarVolumeNode1"], [["a"], "b"], {}, None):
            clone.SetAttribute(points.PROVENANCE, json.dumps({"found_in": {"volume": damaged}}))
            self.assertIsNone(points.sourceVolume(clone))
