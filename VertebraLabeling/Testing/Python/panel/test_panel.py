"""The panel, clicked as a user clicks it."""

import slicer
from panel_case import PanelCase
from synthetic_spine import addVolume, centers


class TestLabelButton(PanelCase):
    def test_the_button_is_off_until_a_volume_is_there(self):
        self.assertFalse(self.ui.labelButton.enabled)
        self.ui.inputSelector.setCurrentNode(addVolume())
        self.assertTrue(self.ui.labelButton.enabled)

    def test_a_volume_loaded_before_the_panel_opens_is_chosen(self):
        self.widget.exit()
        volumeNode = addVolume()
        self.widget.enter()
        self.assertIs(self.ui.inputSelector.currentNode(), volumeNode)

    def test_label_maps_are_not_offered(self):
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
        self.assertEqual(self.ui.inputSelector.nodeCount(), 0)

    def test_a_click_makes_the_points_and_chooses_them_as_output(self):
        self.ui.inputSelector.setCurrentNode(addVolume())
        self.ui.labelButton.click()
        node = self.ui.outputSelector.currentNode()
        self.assertEqual(node.GetNumberOfControlPoints(), len(centers()))
        self.assertIn(str(len(centers())), self.ui.statusLabel.text)

    def test_closing_the_scene_empties_the_panel(self):
        self.ui.inputSelector.setCurrentNode(addVolume())
        slicer.mrmlScene.Clear()
        self.assertIsNone(self.ui.inputSelector.currentNode())
        self.assertFalse(self.ui.labelButton.enabled)
