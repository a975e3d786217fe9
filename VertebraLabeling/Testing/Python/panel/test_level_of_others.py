"""Levels are not read in a volume of another patient or frame of reference, nor in one with vertebrae of its own."""

import slicer
from panel_case import addVolume
from synthetic_spine import BallLabeler
from test_report import ReportCase
from VertebraLabelingMRML.same_world import inOtherWorld

from VertebraLabeling import VertebraLabelingLogic


class TestOtherVolumes(ReportCase):
    def setUp(self):
        super().setUp()
        self.requireViews()
        self.other = addVolume()

    def show(self, volumeNode):
        slicer.util.setSliceViewerLayers(background=volumeNode)
        self.settle()
        return self.widget.panel.reading.readout.texts()

    def test_another_patient_has_other_levels(self):
        self.addImages()
        self.addImages(self.other, PatientID="of somebody else")
        self.assertEqual(self.show(self.other), {})
        self.assertIn("Red", self.show(self.volumeNode))

    def test_another_frame_of_reference_too_unless_it_was_brought_there(self):
        self.addImages()
        self.addImages(self.other, FrameOfReferenceUID="1.2.3.4.5")
        self.assertEqual(self.show(self.other), {})
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        self.other.SetAndObserveTransformNodeID(transform.GetID())
        self.assertFalse(inOtherWorld(self.other, self.volumeNode))

    def test_the_same_frame_of_reference_and_what_is_not_known_have_the_same(self):
        self.assertFalse(inOtherWorld(self.other, self.volumeNode))
        self.addImages()
        self.assertIn("Red", self.show(self.other))
        self.addImages(self.other)
        self.assertIn("Red", self.show(self.other))

    def test_vertebrae_of_its_own_are_not_passed_over(self):
        """Of two patients whose CT came as NIfTI files, nothing else tells that they are two."""
        self.assertIn("Red", self.show(self.other))
        own = VertebraLabelingLogic(BallLabeler()).label(self.other)
        self.assertIsNot(own, self.node)
        self.assertEqual(self.show(self.other), {})
        self.assertIn("Red", self.show(self.volumeNode))
        slicer.mrmlScene.RemoveNode(own)
        self.assertIn("Red", self.show(self.other))

    def test_two_series_of_one_study_share_their_levels_though_both_have_them(self):
        self.addImages()
        self.addImages(self.other)
        VertebraLabelingLogic(BallLabeler()).label(self.other)
        self.assertIn("Red", self.show(self.other))
