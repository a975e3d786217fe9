"""What scripts may hand over by mistake: nodes outside the scene, none, or of another kind. All of it is refused."""

import numpy as np
import slicer
from labeled_case import LabeledCase
from synthetic_spine import BallLabeler, addVolume
from VertebraLabelingLib.errors import InputError
from VertebraLabelingMRML import discs, levels, points

from VertebraLabeling import VertebraLabelingLogic


def outside(node):
    """A copy that was never added to the scene."""
    copy = type(node)()
    copy.Copy(node)
    if node.IsA("vtkMRMLVolumeNode"):
        copy.SetAndObserveImageData(node.GetImageData())
    copy.SetName("alone")
    return copy


class TestNodesOfScripts(LabeledCase):
    def setUp(self):
        super().setUp()
        self.logic = VertebraLabelingLogic(BallLabeler())
        self.volumeNode, self.other = addVolume(), addVolume(name="other")
        self.node = self.logic.label(self.volumeNode)

    def assertRefused(self, words, function, *arguments, **options):
        """In one sentence, with nothing left in the scene."""
        before = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaisesRegex(InputError, words):
            function(*arguments, **options)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)

    def test_nodes_outside_the_scene(self):
        """Nothing could refer to them: a straightened spine would not be known as one, nor points as those of a CT."""
        words, volumeNode, node = "'alone' is not in the scene", outside(self.volumeNode), outside(self.node)
        self.assertRefused(words, self.logic.straighten, volumeNode, self.node)
        self.assertRefused(words, self.logic.straighten, self.volumeNode, node)
        self.assertRefused(words, self.logic.carryTo, self.volumeNode, self.node, volumeNode, sameFrame=True)
        self.assertRefused(words, self.logic.carryTo, self.volumeNode, node, self.other, sameFrame=True)
        self.assertRefused(words, discs.writeDiscs, node)

    def test_none(self):
        words = "No point list is chosen"
        self.assertRefused(words, self.logic.straighten, self.volumeNode, None)
        self.assertRefused(words, self.logic.carryTo, self.volumeNode, None, self.other)
        self.assertRefused(words, discs.writeDiscs, None)
        self.assertRefused(words, levels.reportText, None)
        self.assertRefused("No volume is chosen", self.logic.straighten, None, self.node)
        self.assertRefused("No volume is chosen", self.logic.carryTo, self.volumeNode, self.node, None)

    def test_of_none_there_are_neither_points_nor_discs(self):
        """A list by hand refers to none either."""
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "by hand")
        self.assertIsNone(discs.discsNodeOf(None))
        self.assertIsNone(discs.updateDiscs(None))
        self.assertIsNone(points.pointsNodeOf(None))

    def test_nodes_of_another_kind(self):
        self.assertRefused("is not a point list", discs.writeDiscs, self.volumeNode)
        self.assertRefused("is not a point list", self.logic.straighten, self.node, self.volumeNode)
        self.assertRefused("is not a scalar volume", self.logic.straighten, self.node, self.node)
        carry = self.logic.carryTo
        self.assertRefused("belong to this volume already", carry, self.volumeNode, self.node, self.volumeNode)

    def test_label_maps_that_were_loaded_as_volumes(self):
        regions = np.indices((30, 30, 30))[0] // 6
        labels = slicer.util.addVolumeFromArray(regions.astype(np.uint8), name="regions")
        self.assertRefused("is a label map", self.logic.straighten, labels, self.node)
        self.assertRefused("is a label map", self.logic.carryTo, self.volumeNode, self.node, labels, sameFrame=True)

    def test_sizes_of_voxels(self):
        for voxelMm in (0, -1.0, float("nan"), float("inf"), 1e-3, 500.0):
            with self.subTest(voxelMm):
                self.assertRefused("Voxels of", self.logic.straighten, self.volumeNode, self.node, voxelMm=voxelMm)

    def test_a_view_that_cannot_be_turned_is_not_taken_for_turned(self):
        view = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceNode", "View")
        self.addCleanup(slicer.mrmlScene.RemoveNode, view)
        before = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS()).copy()
        for plane, orientation in ((None, "Axial"), (levels.planeOf(self.node, "T9"), "axial")):
            with self.assertRaises((AttributeError, KeyError)):
                levels.turnTo(view, plane, orientation)
            self.assertIsNone(view.GetAttribute(levels.TURNED_FROM))
            np.testing.assert_array_equal(slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS()), before)
