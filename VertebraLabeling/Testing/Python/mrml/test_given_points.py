"""Points by hand or of another program: their levels hold, and nothing tells that a reader has confirmed them."""

import tempfile

import slicer
from labeled_case import LabeledCase
from synthetic_spine import BallLabeler, addVolume, centers
from VertebraLabelingMRML import corrections, levels, points
from VertebraLabelingMRML.told import told

from VertebraLabeling import VertebraLabelingLogic

NOT_RECORDED = "How the levels were counted is not recorded."


def byHand(names):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "CT vertebrae")
    for name in names:
        node.AddControlPoint(list(centers()[name]), name)
    return node


class TestGivenPoints(LabeledCase):
    def counted(self):
        return levels.reportText(self.node).splitlines()[1]

    def test_a_list_by_hand(self):
        self.node = byHand(("T10", "T11", "T12"))
        self.assertEqual(self.counted(), NOT_RECORDED)
        points.updateStatus(self.node)  # as the panel does once it shows them
        self.assertEqual(self.counted(), NOT_RECORDED)
        self.assertEqual({point.status for point in self.labels().points}, {"given"})

    def test_after_it_was_saved_and_opened(self):
        self.node = byHand(("T10", "T11", "T12"))
        points.updateStatus(self.node)
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/points.mrk.json"
            self.assertTrue(slicer.util.saveNode(self.node, path))
            slicer.mrmlScene.Clear()
            self.node = slicer.util.loadMarkups(path)
        self.assertEqual(self.counted(), NOT_RECORDED)

    def test_a_point_that_is_confirmed_then_is_told(self):
        self.node = byHand(("T10", "T11", "T12"))
        corrections.confirm(self.node, [1])
        self.assertEqual(
            self.counted(),
            "Counted from T11, named or confirmed by a reader, and from T10 and T12 as given, by whom is not recorded.",
        )

    def test_a_run_keeps_them_and_tells_what_is_known(self):
        for rule in ("seen", "above"):
            slicer.mrmlScene.Clear()
            volumeNode, self.node = addVolume(), byHand(("T10", "T11"))
            VertebraLabelingLogic(BallLabeler()).label(volumeNode, self.node, count=rule)
            found = self.labels().by_level
            self.assertEqual((found["T10"].status, found["T12"].status), ("given", "predicted"))
            self.assertEqual(found["T10"].ras, tuple(centers()["T10"]))
            self.assertEqual(self.counted(), "Counted from T10-T11 as given, by whom is not recorded.")
            self.assertNotIn("user", told(self.node).howCounted)
            corrections.delete(self.node, self.index("T12"))  # which names the others again
            self.assertEqual(self.labels().by_level["T10"].status, "given")

    def test_one_that_is_dragged_keeps_its_level(self):
        self.node = byHand(("T10", "T11", "T12"))
        points.recordWritten(self.node)
        self.node.SetNthControlPointPosition(1, 9.0, 9.0, centers()["T11"][2])
        self.assertEqual(self.labels().by_level["T11"].status, "given")

    def test_points_that_are_known_to_a_script_are_those_of_its_user(self):
        volumeNode = addVolume()
        self.node = VertebraLabelingLogic(BallLabeler()).label(volumeNode, fixed={"T10": centers()["T10"]})
        self.assertEqual(self.counted(), "Counted from T10, named or confirmed by a reader.")
