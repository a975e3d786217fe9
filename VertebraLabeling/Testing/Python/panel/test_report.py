"""Save report: a structured report in Slicer's DICOM database, of the CT whose images are there and of no other."""

import importlib.util
import subprocess
import sys
import tempfile
import unittest.mock
from pathlib import Path

import numpy as np
import slicer
import vtk
from acquisition import addScan, positionsAt
from balls import BallLabeler
from panel_case import PanelCase, addVolume, centers
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingMRML import dicom_report
from VertebraLabelingPanel import report_button

from VertebraLabeling import VertebraLabelingLogic

LEVELS = list(centers())


class Recording:
    """The DICOM database, but it takes no file."""

    def __init__(self, database):
        self._database, self.offered = database, []

    def __getattr__(self, name):
        return getattr(self._database, name)

    def insert(self, *given):
        self.offered.append(given)


def asLoaded(volumeNode):
    """The voxels of a volume, and their places without its parent transforms."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return Volume(slicer.util.arrayFromVolume(volumeNode), slicer.util.arrayFromVTKMatrix(matrix))


class ReportCase(PanelCase):
    def setUp(self):
        super().setUp()
        if importlib.util.find_spec("highdicom") is None:
            self.skipTest("needs highdicom")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.database()
        self.showBalls()
        self.volumeNode = self.ui.inputSelector.currentNode()

    def database(self):
        """An empty DICOM database for this test."""
        try:
            from DICOMLib import DICOMUtils
        except ImportError:
            from harness import dicomdatabase

            before = slicer.dicomDatabase
            dicomdatabase.install()
            self.addCleanup(setattr, slicer, "dicomDatabase", before)
        else:
            context = DICOMUtils.TemporaryDICOMDatabase(str(self.folder / "database"))
            context.__enter__()
            self.addCleanup(context.__exit__, None, None, None)

    def addImages(self, volumeNode=None, leaveOut=(), **tags):
        """The images of a volume in the database, as if it had been loaded from there."""
        import pydicom
        from dicom_files import write_series

        volumeNode = volumeNode or self.volumeNode
        paths = write_series(self.folder / volumeNode.GetID(), asLoaded(volumeNode), **tags)
        uids = [str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in paths]
        for number, path in enumerate(paths):
            if number not in leaveOut:
                slicer.dicomDatabase.insert(str(path))
        volumeNode.SetAttribute(dicom_report.INSTANCES, " ".join(uids))
        self.widget.panel.refresh()
        return [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]

    def saved(self):
        """The report that the button writes, and its points."""
        import pydicom
        from VertebraLabelingLib.formats.dicom_sr import read_labels

        uids, save = [], dicom_report.save
        with unittest.mock.patch.object(dicom_report, "save", lambda node: uids.append(save(node))):
            self.ui.reportButton.click()
        self.assertEqual(self.ui.errorLabel.text, "")
        path = slicer.dicomDatabase.fileForInstance(uids[0])
        return pydicom.dcmread(path), read_labels(path)

    def refusal(self):
        """What is said when the button is pressed and no report can be made."""
        database = Recording(slicer.dicomDatabase)
        with unittest.mock.patch.object(slicer, "dicomDatabase", database):
            self.ui.reportButton.click()
        self.assertEqual(database.offered, [])
        return self.ui.errorLabel.text


class TestReport(ReportCase):
    def test_the_report_is_of_the_patient_and_images_of_the_ct_and_holds_the_points(self):
        images = self.addImages()
        self.assertTrue(self.ui.reportButton.enabled, self.ui.reportButton.toolTip)
        self.assertIn("TID 1500", self.ui.reportButton.toolTip)
        report, labels = self.saved()
        self.assertEqual(report.Modality, "SR")
        self.assertEqual(report.PatientID, images[0].PatientID)
        self.assertEqual(report.StudyInstanceUID, images[0].StudyInstanceUID)
        (study,) = report.CurrentRequestedProcedureEvidenceSequence
        (series,) = study.ReferencedSeriesSequence
        self.assertEqual(series.SeriesInstanceUID, images[0].SeriesInstanceUID)
        referenced = {each.ReferencedSOPInstanceUID for each in series.ReferencedSOPSequence}
        self.assertEqual(referenced, {each.SOPInstanceUID for each in images})
        self.assertEqual([point.level for point in labels.points], LEVELS)
        places = np.array([point.ras for point in labels.points])
        self.assertLess(np.abs(places - list(centers().values())).max(), 0.5)
        self.assertIn("added to the DICOM database", self.ui.statusLabel.text)

    def test_it_holds_the_points_as_they_are_now(self):
        self.addImages()
        self.ui.shiftDownButton.click()
        self.assertEqual([point.level for point in self.saved()[1].points], list(centers("T9", "L5")))

    def test_of_a_volume_that_was_moved_it_holds_the_places_in_the_images(self):
        self.addImages()
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        matrix = np.array([[0, -1, 0, 30], [1, 0, 0, -10], [0, 0, 1, 5], [0, 0, 0, 1.0]])
        slicer.util.updateTransformMatrixFromArray(transform, matrix)
        for node in (self.volumeNode, self.node):
            node.SetAndObserveTransformNodeID(transform.GetID())
        places = np.array([point.ras for point in self.saved()[1].points])
        self.assertLess(np.abs(places - list(centers().values())).max(), 0.5)

    def test_nothing_is_left_behind(self):
        before = set(Path(slicer.app.temporaryPath).iterdir())
        self.addImages()
        self.saved()
        self.assertEqual(set(Path(slicer.app.temporaryPath).iterdir()), before)


class TestSlicesInTheirPlaces(ReportCase):
    """CTs that Slicer loads under an acquisition transform, which puts each slice where its header says."""

    EVEN = np.arange(-150.0, 150.0, 2.5)  # mm
    UNEVEN = EVEN + np.random.default_rng(3).uniform(-0.6, 0.6, len(EVEN))
    TILTED = (0.0, np.tan(np.radians(18)), 1.0)

    def load(self, heights, step=(0.0, 0.0, 1.0)):
        positions = positionsAt(heights, step)
        self.volumeNode = addScan(positions)
        self.ui.inputSelector.setCurrentNode(self.volumeNode)
        self.widget.panel.onResult(VertebraLabelingLogic(BallLabeler()).label(self.volumeNode), None)
        self.settle()
        toLps = (-1, -1, 1)
        self.addImages(ImagePositionPatient=lambda k: [f"{x:.8g}" for x in positions[k] * toLps])

    def assertSaved(self):
        self.assertTrue(self.ui.reportButton.enabled, self.ui.reportButton.toolTip)
        points = self.saved()[1].points
        self.assertEqual([point.level for point in points], LEVELS)
        self.assertLess(np.abs(np.array([point.ras for point in points]) - list(centers().values())).max(), 0.5)

    def test_the_report_holds_the_places_in_the_images(self):
        for heights, step in ((self.UNEVEN, (0, 0, 1)), (self.EVEN, self.TILTED), (self.UNEVEN, self.TILTED)):
            with self.subTest(uneven=heights is self.UNEVEN, tilted=step is self.TILTED):
                self.load(heights, step)
                self.assertSaved()

    def test_of_a_ct_that_was_moved_too(self):
        self.load(self.UNEVEN, self.TILTED)
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        matrix = np.array([[0, -1, 0, 30], [1, 0, 0, -10], [0, 0, 1, 5], [0, 0, 0, 1.0]])
        slicer.util.updateTransformMatrixFromArray(transform, matrix)
        for node in (self.volumeNode.GetParentTransformNode(), self.node):
            node.SetAndObserveTransformNodeID(transform.GetID())
        self.assertSaved()

    def test_slices_that_are_not_in_their_places_are_refused(self):
        self.load(self.UNEVEN)
        acquisition = self.volumeNode.GetTransformNodeID()
        self.volumeNode.SetAndObserveTransformNodeID(None)
        self.assertIn("does not lie where its DICOM images are", self.refusal())
        self.addImages()  # at even places, under the transform that makes them uneven
        self.volumeNode.SetAndObserveTransformNodeID(acquisition)
        self.assertIn("does not lie where its DICOM images are", self.refusal())


class TestWhyNot(ReportCase):
    def assertOff(self, words):
        self.widget.panel.refresh()
        self.assertFalse(self.ui.reportButton.enabled)
        self.assertIn(words, self.ui.reportButton.toolTip)

    def test_the_button_says_why_it_is_off(self):
        self.assertOff("was not loaded from Slicer's DICOM database")
        self.volumeNode.SetAttribute(dicom_report.INSTANCES, "1.2.3 1.2.4")
        self.assertOff("are not in this DICOM database")
        with unittest.mock.patch.object(slicer, "dicomDatabase", None):
            self.assertOff("is not open")
        slicer.mrmlScene.RemoveNode(self.volumeNode)
        self.assertOff("is not in the scene")
        self.ui.outputSelector.setCurrentNode(None)
        self.assertOff("There are no points")

    def test_images_that_are_missing_are_told(self):
        self.addImages(leaveOut=(3, 4))
        self.assertRegex(self.refusal(), r"2 of the \d+ images of 'CT' are not in this DICOM database")

    def test_images_of_two_series_are_refused(self):
        images = self.addImages()
        images[5].SeriesInstanceUID = "1.2.3"
        images[5].save_as(self.folder / "other.dcm", enforce_file_format=True)
        slicer.dicomDatabase.insert(str(self.folder / "other.dcm"))
        self.assertIn("not those of one series", self.refusal())

    def test_images_of_another_ct_are_refused(self):
        other = addVolume(centers("T5", "T10"), name="other")
        self.addImages(other)
        self.volumeNode.SetAttribute(dicom_report.INSTANCES, other.GetAttribute(dicom_report.INSTANCES))
        self.widget.panel.refresh()
        self.assertIn("does not lie where its DICOM images are", self.refusal())

    def test_a_volume_that_was_cropped_or_moved_after_loading_is_refused(self):
        self.addImages()
        matrix = np.array(slicer.util.arrayFromVTKMatrix(self.matrix()))
        for change in (lambda m: m[:3, 3] + (0, 0, 30), lambda m: m[:3, 3] + (1, 0, 0)):
            moved = matrix.copy()
            moved[:3, 3] = change(matrix)
            self.volumeNode.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(moved))
            self.assertIn("does not lie where its DICOM images are", self.refusal())
        self.volumeNode.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
        cropped = slicer.util.arrayFromVolume(self.volumeNode)[:-2].copy()
        slicer.util.updateVolumeFromArray(self.volumeNode, cropped)
        self.assertIn("does not lie where its DICOM images are", self.refusal())

    def test_points_that_do_not_stand_in_the_volume_as_found_are_refused(self):
        self.addImages()
        up = np.eye(4)
        up[2, 3] = 30.0
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        slicer.util.updateTransformMatrixFromArray(transform, up)
        one, other = "'CT vertebrae' was moved without 'CT' since", "'CT' was moved without 'CT vertebrae'"
        for moved, words in ((self.node, one), (self.volumeNode, other)):
            moved.SetAndObserveTransformNodeID(transform.GetID())
            self.assertIn(words, self.refusal())
            moved.SetAndObserveTransformNodeID(None)
        slicer.util.arrayFromVolume(self.volumeNode)[:] = np.roll(slicer.util.arrayFromVolume(self.volumeNode), 9, 0)
        self.assertIn("The voxels of 'CT' have changed since", self.refusal())
        self.ui.confirmAllButton.click()
        self.assertEqual(len(self.saved()[1].points), len(LEVELS))

    def matrix(self):
        import vtk

        matrix = vtk.vtkMatrix4x4()
        self.volumeNode.GetIJKToRASMatrix(matrix)
        return matrix

    def test_a_database_that_does_not_take_it_is_told(self):
        self.addImages()
        database = Recording(slicer.dicomDatabase)
        with unittest.mock.patch.object(slicer, "dicomDatabase", database):
            self.ui.reportButton.click()
        self.assertEqual(len(database.offered), 1)
        self.assertIn("did not take the report", self.ui.errorLabel.text)


class Installer:
    """What installs packages: ``slicer.packaging`` of Slicer 5.12, or the functions of ``slicer.util`` before.

    Args:
        outcome: what asking and installing lead to: None, or the exception that Slicer raises.
        works: whether the package is there afterwards.
    """

    def __init__(self, outcome=None, works=True):
        self.outcome, self.works, self.requests, self.installed = outcome, works, [], False

    def load_requirements(self, path):
        lines = Path(path).read_text().splitlines()
        return [line for line in lines if line and not line.startswith("#")]

    def pip_ensure(self, requirements, requester=None):
        self.requests.append(requirements)
        if self.outcome:
            raise self.outcome
        self.installed = self.works

    def pip_install(self, arguments):
        self.requests.append(self.load_requirements(arguments[arguments.index("-r") + 1]))
        self.pip_ensure([])

    def found(self, name):
        return self.installed or None


class TestMissingPackage(ReportCase):
    def press(self, installer, packaging=None, agrees=True):
        """Save a report where highdicom is missing; returns the error that is told."""
        self.addImages()
        patch = unittest.mock.patch.object
        with (
            patch(report_button.importlib.util, "find_spec", installer.found),
            unittest.mock.patch.dict(sys.modules, {"slicer.packaging": packaging}),
            patch(slicer.util, "pip_install", installer.pip_install),
            patch(slicer.util, "confirmOkCancelDisplay", lambda *a, **k: agrees),
        ):
            self.ui.reportButton.click()
        return self.ui.errorLabel.text

    def test_slicer_asks_and_installs_it(self):
        installer = Installer()
        self.assertEqual(self.press(installer, installer), "")
        self.assertEqual([each[0][:9] for each in installer.requests], ["highdicom"])

    def test_a_user_who_declines_slicer_is_told_what_is_missing(self):
        installer = Installer(RuntimeError("User declined package installation"))
        self.assertIn("was not installed", self.press(installer, installer))

    def test_a_failed_installation_is_told(self):
        installer = Installer(subprocess.CalledProcessError(1, "pip"))
        self.assertIn("check the network", self.press(installer, installer))

    def test_where_slicer_installs_nothing_no_report_is_tried(self):
        installer = Installer(works=False)
        self.assertIn("was not installed", self.press(installer, installer))

    def test_before_slicer_5_12_it_is_asked_first_and_installed(self):
        installer = Installer()
        self.assertIn("was not installed", self.press(installer, agrees=False))
        self.assertEqual(installer.requests, [])
        self.assertEqual(self.press(installer), "")
        self.assertEqual(installer.requests[0][0][:9], "highdicom")

    def test_before_slicer_5_12_a_failed_installation_is_told(self):
        installer = Installer(subprocess.CalledProcessError(1, "pip"))
        self.assertIn("check the network", self.press(installer))
