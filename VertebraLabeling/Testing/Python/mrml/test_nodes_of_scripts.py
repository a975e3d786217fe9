"""What scripts may hand over by mistake: nodes outside the scene, none, or of another kind. All of it is refused."""

import inspect

import numpy as np
import slicer
from labeled_case import LabeledCase
from synthetic_spine import BallLabeler, addVolume
from VertebraLabelingLib.errors import InputError
from VertebraLabelingMRML import corrections, discs, levels, points

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

    def calls(self):
        """Each public function, with what it takes; (function, sound arguments, which of them are nodes)."""
        volumeNode, node, view = self.volumeNode, self.node, slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceNode")
        self.addCleanup(slicer.mrmlScene.RemoveNode, view)
        logic, plane, place = self.logic, levels.planeOf(node, "T9"), (0.0, 0.0, 0.0)
        ofPoints = ((each, (node, *others), (0,)) for each, *others in self.ofPoints(place))
        return [
            (logic.label, (volumeNode, node), (0, 1)),
            (logic.startLabeling, (volumeNode, node), (0, 1)),
            (logic.labelSequence, (volumeNode,), (0,)),
            (logic.straighten, (volumeNode, node), (0, 1)),
            (logic.carryTo, (volumeNode, node, self.other), (0, 1, 2)),
            (logic.labelFolder, ("in", "out"), ()),
            (levels.levelOfView, (node, view), (0, 1)),
            (levels.placeOfView, (node, view), (0, 1)),
            (levels.turnTo, (view, plane, "Axial", node), (0, 1, 3)),
            (levels.turnBack, (view,), (0,)),
            (levels.turnedTo, (view,), (0,)),
            (levels.axesBefore, (view,), (0,)),
            *ofPoints,
        ]

    @staticmethod
    def ofPoints(place):
        """Functions of a point list, each with its other arguments."""
        return (
            *((each,) for each in (levels.levelReader, levels.reportText, levels.planeNames, levels.ctOf)),
            *((each, place) for each in (levels.levelAt, levels.planeAt)),
            *((each, "T9") for each in (levels.planeOf, levels.vertebraPlane)),
            (levels.discPlane, "T9/T10"),
            *((each,) for each in (discs.discPoints, discs.writeDiscs, points.levelPoints, points.readLabels)),
            *((each, 0) for each in (corrections.addBelow, corrections.delete)),
            (corrections.nameAs, 0, "T9"),
            (corrections.follow,),
            (corrections.countBy, "seen"),
            (corrections.shift, 1),
            (corrections.confirm, [0]),
        )

    def test_what_is_no_node_gets_a_sentence_from_each_function(self):
        for function, arguments, nodes in self.calls():
            for position in nodes:
                for value in ("CT", 5, np.zeros(3), type(self.node)):
                    wrong = [value if place == position else each for place, each in enumerate(arguments)]
                    with self.subTest(f"{function.__name__}, {position}: {type(value).__name__}"):
                        self.assertRefused("is no node|of levels.planeOf", function, *wrong)

    def test_each_public_function_is_among_them(self):
        asked = {function.__name__ for function, _arguments, _nodes in self.calls()}
        own = [name for name, each in vars(VertebraLabelingLogic).items() if inspect.isfunction(each)]
        for module in (levels, corrections):
            found = inspect.getmembers(module, inspect.isfunction)
            own += [name for name, function in found if function.__module__ == module.__name__]
        others = {"getParameterNode", "textOf", "shifted", "nextLevel"}  # which take no nodes
        self.assertEqual({name for name in own if not name.startswith("_")} - others - asked, set())

    def test_what_is_no_place_plane_or_folder_gets_a_sentence(self):
        for place in ("T9", (1.0, 2.0), None, ("a", "b", "c"), 7.0):
            self.assertRefused("three numbers", levels.levelAt, self.node, place)
        self.assertIsNone(levels.levelAt(self.node, (float("nan"), 0.0, 0.0)))
        for name in (None, 5, ("T9",), self.node):
            self.assertRefused("no vertebra or disc", levels.planeOf, self.node, name)
        for folder in (None, self.volumeNode, 5):
            self.assertRefused("is no folder", self.logic.labelFolder, folder, "out")
        self.assertRefused("Voxels of", self.logic.straighten, self.volumeNode, self.node, voxelMm="1")

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
            with self.assertRaisesRegex(InputError, "a plane of levels.planeOf"):
                levels.turnTo(view, plane, orientation)
            self.assertIsNone(view.GetAttribute(levels.TURNED_FROM))
            np.testing.assert_array_equal(slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS()), before)
