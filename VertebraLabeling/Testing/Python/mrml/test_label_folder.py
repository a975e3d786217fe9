"""``labelFolder`` from the console: files in, files out that Slicer opens, the scene untouched."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import slicer
from balls import centers
from synthetic_spine import BallLabeler, addVolume
from VertebraLabelingLib.errors import InputError

from VertebraLabeling import VertebraLabelingLogic


class TestLabelFolder(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.input, self.output = Path(folder.name) / "ct", Path(folder.name) / "labels"
        self.input.mkdir()
        for name in ("a.nrrd", "b.nii.gz"):
            slicer.util.saveNode(addVolume(name=name), str(self.input / name), properties={})
        slicer.mrmlScene.Clear()
        self.logic = VertebraLabelingLogic(BallLabeler())

    def test_each_scan_gets_a_file_that_slicer_opens(self):
        told = []
        results = self.logic.labelFolder(self.input, self.output, progress=lambda *event: told.append(event))
        self.assertEqual(len(results), 2)
        self.assertEqual(slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode"), [])
        for name in ("a", "b"):
            node = slicer.util.loadMarkups(str(self.output / f"{name}.mrk.json"))
            found = slicer.util.arrayFromMarkupsControlPoints(node, world=True)
            self.assertLess(np.abs(found - np.array(list(centers().values()))).max(), 1.5)
        self.assertEqual(told[-1][0], 1.0)

    def test_a_pattern_picks_files_and_formats_are_written(self):
        self.logic.labelFolder(str(self.input), str(self.output), "*.nrrd", formats=("mrk.json", "csv"))
        written = {path.name for path in self.output.iterdir()}
        self.assertTrue({"a.mrk.json", "a.csv"} <= written, written)
        self.assertNotIn("b.mrk.json", written)

    def test_what_is_done_is_not_done_again_unless_asked(self):
        labeler = self.logic.labeler
        self.logic.labelFolder(self.input, self.output)
        self.logic.labelFolder(self.input, self.output)
        self.assertEqual(len(labeler.volumes), 2)
        self.logic.labelFolder(self.input, self.output, overwrite=True)
        self.assertEqual(len(labeler.volumes), 4)

    def test_a_bad_scan_is_told_and_does_not_stop_the_others(self):
        (self.input / "broken.nrrd").write_text("NRRD0004\n")
        results = self.logic.labelFolder(self.input, self.output)
        outcome = {result["name"]: result["status"] for result in results}
        self.assertEqual(outcome, {"a": "done", "b": "done", "broken": "failed"})
        self.assertTrue(next(result["message"] for result in results if result["name"] == "broken"))
        self.assertTrue((self.output / "a.mrk.json").is_file())

    def test_an_empty_folder_gets_a_sentence(self):
        with self.assertRaises(InputError):
            self.logic.labelFolder(self.input, self.output, "*.mha")
