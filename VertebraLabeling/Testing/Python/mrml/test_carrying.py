"""``logic.carryTo`` on real nodes: registered, in one frame, under transforms; and what is refused leaves no node."""

import importlib.util
import tempfile
import unittest
from pathlib import Path

import numpy as np
import slicer
from textured_patient import LEVELS, patient
from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.errors import Cancelled, InputError
from VertebraLabelingMRML import carrying, points

from VertebraLabeling import VertebraLabelingLogic


def add(volume, name):
    return slicer.util.addVolumeFromArray(np.ascontiguousarray(volume.array), volume.ijk_to_ras, name)


def transformOf(matrix):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    slicer.util.updateTransformMatrixFromArray(node, matrix)
    return node


def shifted(*offset):
    matrix = np.eye(4)
    matrix[:3, 3] = offset
    return matrix


class CarryCase(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear()
        self.logic = VertebraLabelingLogic()
        self.volume, labels = patient()
        self.volumeNode, self.targetNode = add(self.volume, "CT"), add(self.volume, "MR")
        self.pointsNode = points.createPointsNode(self.volumeNode)
        points.writeLabels(self.pointsNode, labels, self.volumeNode)

    def places(self, node):
        return {each.point.level: np.array(each.point.ras) for each in points.levelPoints(node)}

    def assertPlaces(self, node, expected, within):
        found = self.places(node)
        self.assertEqual(set(found), set(expected))
        for level, ras in expected.items():
            self.assertLess(np.linalg.norm(found[level] - ras), within, level)


class TestCarried(CarryCase):
    def test_a_volume_that_stands_elsewhere_gets_its_own_list(self):
        offset = np.array((25.0, -30.0, 60.0))
        self.targetNode.SetAndObserveTransformNodeID(transformOf(shifted(*offset)).GetID())
        before = self.places(self.pointsNode)
        carried = self.logic.carryTo(self.volumeNode, self.pointsNode, self.targetNode)
        self.assertPlaces(carried.pointsNode, {level: ras + offset for level, ras in before.items()}, 1.0)
        self.assertPlaces(self.pointsNode, before, 1e-6)
        self.assertIs(points.sourceVolume(carried.pointsNode), self.targetNode)
        self.assertEqual(carried.leftOut, ())
        self.assertIn("estimated error", carried.message)
        warnings = [str(each) for each in points.readLabels(carried.pointsNode).warnings]
        self.assertIn(carried.message, warnings)
        self.assertEqual(set(carried.errorsMm), set(LEVELS))

    def test_one_frame_of_reference_keeps_the_places(self):
        seen = []
        carried = self.logic.carryTo(
            self.volumeNode, self.pointsNode, self.targetNode, sameFrame=True, progress=lambda *each: seen.append(each)
        )
        self.assertPlaces(carried.pointsNode, self.places(self.pointsNode), 1e-6)
        self.assertEqual(carried.errorMm, 0)
        self.assertIn("nothing to compute", carried.message)

    def test_a_correction_of_the_carried_list_leaves_the_other_alone(self):
        carried = self.logic.carryTo(self.volumeNode, self.pointsNode, self.targetNode, sameFrame=True)
        carried.pointsNode.RemoveNthControlPoint(0)
        self.assertEqual(self.pointsNode.GetNumberOfControlPoints(), len(LEVELS))


class TestFrames(CarryCase):
    def setUp(self):
        super().setUp()
        if importlib.util.find_spec("pydicom") is None:
            self.skipTest("needs pydicom")
        from harness import dicomdatabase

        before = getattr(slicer, "dicomDatabase", None)
        dicomdatabase.install()
        self.addCleanup(setattr, slicer, "dicomDatabase", before)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def load(self, node, frame, number, **headers):
        """Write the images of a volume into the database, as if it had been loaded from there."""
        import pydicom
        from dicom_files import write_series
        from VertebraLabelingLib.core.volume import Volume

        part = Volume(self.volume.array[:6].astype(np.int16), self.volume.ijk_to_ras)
        folder = self.folder / str(number)
        write_series(folder, part, FrameOfReferenceUID=frame, SeriesInstanceUID=f"1.2.{number}", **headers)
        slicer.util.updateVolumeFromArray(node, part.array)
        images = []
        for path in folder.iterdir():
            image = pydicom.dcmread(path)
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"1.2.9.{number}.{image.InstanceNumber}"
            image.save_as(path)
            slicer.dicomDatabase.insert(str(path))
            images.append((float(image.ImagePositionPatient[2]), str(image.SOPInstanceUID)))
        node.SetAttribute("DICOM.instanceUIDs", " ".join(uid for _, uid in sorted(images)))

    def test_the_headers_tell(self):
        self.load(self.volumeNode, "1.9.1", 1)
        self.load(self.targetNode, "1.9.1", 2)
        self.assertTrue(carrying.inOneFrame(self.volumeNode, self.targetNode))
        transform = transformOf(shifted(1, 2, 3)).GetID()
        self.targetNode.SetAndObserveTransformNodeID(transform)
        self.assertFalse(carrying.inOneFrame(self.volumeNode, self.targetNode))
        self.volumeNode.SetAndObserveTransformNodeID(transform)
        self.assertTrue(carrying.inOneFrame(self.volumeNode, self.targetNode))

    def test_a_volume_that_was_moved_or_is_of_another_frame_does_not_share_it(self):
        self.load(self.volumeNode, "1.9.1", 1)
        self.load(self.targetNode, "1.9.2", 2)
        self.assertFalse(carrying.inOneFrame(self.volumeNode, self.targetNode))
        self.load(self.targetNode, "1.9.1", 3)
        self.targetNode.SetOrigin(*np.add(self.targetNode.GetOrigin(), (0, 4, 0)))
        self.assertFalse(carrying.inOneFrame(self.volumeNode, self.targetNode))

    def test_two_patients_of_one_frame_of_reference_do_not_share_it(self):
        self.load(self.volumeNode, "1.9.1", 1, PatientID="A")
        self.load(self.targetNode, "1.9.1", 2, PatientID="B")
        self.assertFalse(carrying.inOneFrame(self.volumeNode, self.targetNode))
        transform = transformOf(shifted(1, 2, 3)).GetID()
        for node in (self.volumeNode, self.targetNode):
            node.SetAndObserveTransformNodeID(transform)
        self.assertFalse(carrying.inOneFrame(self.volumeNode, self.targetNode))

    def test_two_patients_are_refused_unless_a_script_insists(self):
        for number, (tag, values) in enumerate(
            (
                ("PatientID", ("A", "B")),
                ("PatientName", ("Some^Body", "Somebody^Else")),
                ("PatientBirthDate", ("19500203", "19610405")),
            )
        ):
            with self.subTest(tag):
                for node, each, value in ((self.volumeNode, 10, values[0]), (self.targetNode, 20, values[1])):
                    self.load(node, "1.9.1", each + number, **{tag: value})
                before = slicer.mrmlScene.GetNumberOfNodes()
                for carry in (self.logic.carryTo, lambda *nodes: self.logic.straighten(nodes[2], nodes[1])):
                    with self.assertRaisesRegex(InputError, "of two patients|of another patient"):
                        carry(self.volumeNode, self.pointsNode, self.targetNode)
                self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)
                with self.assertRaisesRegex(InputError, "is True, False or None"):
                    self.logic.carryTo(self.volumeNode, self.pointsNode, self.targetNode, sameFrame="no")

    def test_without_headers_nothing_is_known(self):
        self.assertFalse(carrying.inOneFrame(self.volumeNode, self.targetNode))


class TestRefused(CarryCase):
    def assertRefused(self, words, volumeNode, pointsNode, targetNode, error=InputError, **options):
        before = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaisesRegex(error, words):
            self.logic.carryTo(volumeNode, pointsNode, targetNode, **options)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)

    def test_what_is_missing_or_no_volume(self):
        self.assertRefused("No point list is chosen", self.volumeNode, None, self.targetNode)
        self.assertRefused("No volume is chosen", self.volumeNode, self.pointsNode, None)
        labelMap = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "m")
        self.assertRefused("'m' is a label map", self.volumeNode, self.pointsNode, labelMap)

    def test_the_volume_itself_and_points_of_another(self):
        self.assertRefused("belong to this volume already", self.volumeNode, self.pointsNode, self.volumeNode)
        self.assertRefused("were not found in 'MR'", self.targetNode, self.pointsNode, self.volumeNode)

    def test_a_scan_that_shows_nothing(self):
        empty = slicer.util.addVolumeFromArray(np.full((30, 30, 30), 5, np.int16), name="empty")
        self.assertRefused("same value", self.volumeNode, self.pointsNode, empty)

    def test_too_few_points(self):
        one = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "one")
        points.writeLabels(one, SpineLabels(patient()[1].points[:1]), self.volumeNode)
        self.assertRefused("at least two vertebrae", self.volumeNode, one, self.targetNode)

    def test_cancelled(self):
        self.assertRefused(
            "canceled", self.volumeNode, self.pointsNode, self.targetNode, Cancelled, cancelled=lambda: True
        )
