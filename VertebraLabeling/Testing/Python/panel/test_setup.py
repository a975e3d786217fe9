"""The Set-up section, the devices, and the sample data: nothing happens before the user asks."""

import json
import os
import sys
import tempfile
import types
import unittest.mock
from pathlib import Path

import qt
import slicer
from panel_case import PanelCase, addVolume
from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingLib.scans import sample_ct
from VertebraLabelingPanel import sample_data, setup_section


class SetupCase(PanelCase):
    def give(self, name, module):
        """Let this module be found under a name, as if its extension were installed."""
        before = sys.modules.get(name)
        sys.modules[name] = module
        self.addCleanup(lambda: sys.modules.pop(name) if before is None else sys.modules.update({name: before}))

    def folder(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return Path(folder.name)


class TestPyTorch(SetupCase):
    def installer(self, answer):
        calls = []

        class Logic:
            def installTorch(self, **arguments):
                calls.append(arguments)
                return answer

        return types.SimpleNamespace(PyTorchUtilsLogic=Logic), calls

    def test_pytorch_is_installed_through_the_extension_after_asking(self):
        extension, calls = self.installer(object())
        self.give("PyTorchUtils", extension)
        setup_section.installTorch()
        self.assertEqual(calls, [{"askConfirmation": True, "torchVersionRequirement": ">=2.1"}])

    def test_a_user_who_declines_is_told_that_labeling_needs_it(self):
        extension, _ = self.installer(None)
        self.give("PyTorchUtils", extension)
        with self.assertRaisesRegex(VertebraLabelingError, "labeling needs it"):
            setup_section.installTorch()

    def test_without_the_extension_the_sentence_says_where_to_get_it(self):
        if "PyTorchUtils" in sys.modules or hasattr(slicer.modules, "pytorchutils"):
            self.skipTest("the PyTorch extension is installed here")
        with self.assertRaisesRegex(VertebraLabelingError, "Extensions Manager"):
            setup_section.installTorch()

    def test_the_section_tells_the_installed_version_without_importing_torch(self):
        self.ui.setupCollapsibleButton.collapsed = True
        self.ui.setupCollapsibleButton.collapsed = False
        version = setup_section.torchVersion()
        self.assertEqual(self.ui.torchLabel.text, f"PyTorch {version}" if version else "not installed")
        self.assertEqual(self.ui.installTorchButton.enabled, version is None)


class TestScrolling(SetupCase):
    """The section at the panel's lower end comes into view when it is unfolded, in the scroll area of the modules."""

    def setUp(self):
        super().setUp()
        self.ui.setupCollapsibleButton.collapsed = True
        self.settle()

    def scrollArea(self):
        """A low window around the panel; in Slicer that of its modules."""
        if hasattr(slicer.app, "commandOptions"):
            if slicer.util.mainWindow() is None:
                self.skipTest("needs Slicer's main window")
            slicer.util.selectModule("VertebraLabeling")
            area = self.widget.parent
            while not area.inherits("QScrollArea"):
                area = area.parentWidget()
        else:
            area = qt.QScrollArea()
            area.setWidgetResizable(True)
            area.setWidget(self.widget.parent)
            self.addCleanup(self.takeOut, area)
            area.resize(420, 330)
            area.show()
        self.settle()
        area.verticalScrollBar().value = 0
        return area

    def takeOut(self, area):
        area.takeWidget()
        self.widget.parent.hide()

    def assertInView(self, area):
        section = self.ui.setupCollapsibleButton
        top = section.mapTo(area.viewport(), qt.QPoint(0, 0)).y()
        self.assertGreater(section.height, 100)
        self.assertGreaterEqual(top, 0)
        self.assertLessEqual(top + section.height, area.viewport().height)

    def test_unfolding_the_section_scrolls_it_into_view(self):
        area = self.scrollArea()
        self.ui.setupCollapsibleButton.collapsed = False
        self.settle()
        self.assertInView(area)

    def test_it_is_scrolled_to_when_the_panel_opens_it_also_where_it_is_unfolded(self):
        area = self.scrollArea()
        for _ in range(2):
            area.verticalScrollBar().value = 0
            self.widget.panel.setup.open()
            self.settle()
            self.assertInView(area)

    def test_folding_scrolls_nothing(self):
        area = self.scrollArea()
        self.ui.setupCollapsibleButton.collapsed = False
        self.ui.setupCollapsibleButton.collapsed = True
        self.settle()
        self.assertEqual(area.verticalScrollBar().value, 0)

    def test_a_panel_outside_a_scroll_area_is_just_unfolded(self):
        if hasattr(slicer.app, "commandOptions"):
            self.skipTest("in Slicer the panel is in one")
        self.widget.panel.setup.open()
        self.settle()
        self.assertFalse(self.ui.setupCollapsibleButton.collapsed)


class TestWeights(SetupCase):
    def write(self, folder, content=b"weights", digest=None):
        path = folder / "model.pt"
        path.write_bytes(content)
        digest = digest or setup_section.weights.sha256_of(path)
        card = {"format": 2, "version": "9.8", "sha256": digest, "widths": [8]}
        path.with_suffix(".json").write_text(json.dumps(card))
        return path

    def test_good_weights_are_told_with_version_and_hash(self):
        path = self.write(self.folder())
        self.assertRegex(
            setup_section.weightsState(path), r"^model, version 9\.8, SHA-256 [0-9a-f]{12} \.\.\. checked$"
        )

    def test_damaged_weights_are_told(self):
        path = self.write(self.folder(), digest="0" * 64)
        self.assertIn("is damaged", setup_section.weightsState(path))

    def test_missing_weights_are_told(self):
        self.assertIn("missing", setup_section.weightsState(self.folder() / "none.pt"))

    def test_the_licenses_of_weights_and_training_data_are_told(self):
        self.ui.setupCollapsibleButton.collapsed = True
        self.ui.setupCollapsibleButton.collapsed = False
        self.assertTrue(self.ui.licenseLabel.text.startswith("CC BY-SA 4.0; trained on data under "))
        self.assertIn("CC BY 3.0", self.ui.licenseLabel.text)
        for source in ("OpenKBP", "TotalSegmentator"):
            self.assertIn(source, self.ui.licenseLabel.toolTip)
        path = self.write(self.folder())
        self.assertIn("no model card", setup_section.licenseTexts(path)[0])
        path.with_suffix(".md").write_text("| license of the weights | CC BY 4.0 (our own) |\n")
        self.assertEqual(setup_section.licenseTexts(path), ("CC BY 4.0", ""))

    def test_the_panel_says_what_it_is_and_is_not(self):
        self.assertIn("Not a medical device", self.ui.noteLabel.text)
        self.assertIn("re-implementation from the published abstract", self.ui.noteLabel.text)

    def test_a_chosen_model_file_is_remembered_for_the_next_session_and_shown(self):
        path = self.write(self.folder())
        self.ui.modelPathLineEdit.currentPath = str(path)
        self.addCleanup(setattr, self.ui.modelPathLineEdit, "currentPath", "")
        self.assertEqual(qt.QSettings().value(setup_section.MODEL_PATH), str(path))
        self.assertIn("version 9.8", self.ui.weightsLabel.text)


class TestDevices(SetupCase):
    def test_unfolding_the_advanced_section_asks_a_process_what_torch_can_use(self):
        if setup_section.torchVersion() is None:
            self.skipTest("needs PyTorch")
        self.ui.advancedCollapsibleButton.collapsed = True
        self.ui.advancedCollapsibleButton.collapsed = False
        self.waitUntil(lambda: "looking" not in self.ui.deviceInfoLabel.text, seconds=300)
        self.assertRegex(self.ui.deviceInfoLabel.text, "no CUDA GPU|GB free")

    def test_gpus_are_told_with_their_memory(self):
        gpu = {"name": "Some GPU", "free": 7.5e9, "total": 8e9}
        line = json.dumps({"type": "devices", "torch": "2.13", "cuda": [gpu]})
        self.assertEqual(setup_section.devicesText(["noise", line]), "Some GPU: 7.5 of 8.0 GB free")

    def test_an_answer_that_cannot_be_read_is_said(self):
        self.assertEqual(setup_section.devicesText(["noise"]), "the devices could not be listed")


class TestSampleData(SetupCase):
    def setUp(self):
        super().setUp()
        cache = slicer.mrmlScene.GetCacheManager()
        before, folder = cache.GetRemoteCacheDirectory(), str(self.folder())
        cache.SetRemoteCacheDirectory(folder)
        self.addCleanup(cache.SetRemoteCacheDirectory, before)

    def test_the_sample_is_registered_with_its_checksum_and_downloader(self):
        calls = []

        class Logic:
            @staticmethod
            def registerCustomSampleDataSource(
                category="Custom", sampleName=None, uris=None, fileNames=None, nodeNames=None, customDownloader=None,
                thumbnailFileName=None, loadFileType="VolumeFile", loadFiles=None, loadFileProperties=None,
                checksums=None,
            ):  # fmt: skip
                calls.append((sampleName, fileNames, checksums, customDownloader, thumbnailFileName, uris))

        self.give("SampleData", types.SimpleNamespace(SampleDataLogic=Logic))
        sample_data.register()
        ((name, file, checksum, downloader, thumbnail, uri),) = calls
        self.assertEqual((name, file), ("VertebraLabelingChestCT", sample_ct.FILE_NAME))
        self.assertEqual(checksum, f"SHA256:{sample_ct.SHA256}")
        self.assertIs(downloader, sample_data.download)
        self.assertTrue(os.path.isfile(thumbnail))
        self.assertEqual(uri, sample_ct.URL)
        self.assertTrue(uri.startswith("https://") and uri.endswith("/" + file))

    def test_remove_deletes_the_download_and_may_be_pressed_twice(self):
        sample_data.cachedFile().write_bytes(b"x")
        self.widget.panel.setup.update()
        self.assertEqual(self.ui.sampleLabel.text, "downloaded")
        self.ui.removeSampleButton.click()
        self.assertFalse(sample_data.cachedFile().exists())
        self.assertEqual(self.ui.sampleLabel.text, "not downloaded")
        sample_data.remove()

    def test_the_loaded_sample_becomes_the_chosen_volume(self):
        self.ui.inputSelector.setCurrentNode(addVolume(name="other"))
        loaded = addVolume(name="sample")
        with unittest.mock.patch.object(sample_data, "load", return_value=loaded):
            self.ui.loadSampleButton.click()
        self.assertIs(self.ui.inputSelector.currentNode(), loaded)

    def loading(self, during):
        """Press Load sample CT; ``during`` happens while it is downloaded."""
        loaded = addVolume(name="sample")
        downloads = []

        def load():
            downloads.append(1)
            during()
            return loaded

        with unittest.mock.patch.object(sample_data, "load", load):
            self.ui.loadSampleButton.click()
        return loaded, len(downloads)

    def test_it_cannot_be_pressed_again_during_its_own_download(self):
        def during():
            self.assertEqual(self.ui.sampleLabel.text, "loading ...")
            self.ui.setupCollapsibleButton.collapsed = not self.ui.setupCollapsibleButton.collapsed
            self.widget.onParametersModified()
            self.assertFalse(self.ui.loadSampleButton.enabled)
            self.assertFalse(self.ui.removeSampleButton.enabled)
            self.ui.loadSampleButton.click()

        self.assertEqual(self.loading(during)[1], 1)
        self.assertTrue(self.ui.loadSampleButton.enabled)
        self.assertEqual(self.ui.sampleLabel.text, "not downloaded")

    def test_a_download_that_fails_can_be_tried_again(self):
        def during():
            raise VertebraLabelingError("no network")

        self.assertEqual(self.loading(during)[1], 1)
        self.assertEqual(self.ui.errorLabel.text, "no network")
        self.assertTrue(self.ui.loadSampleButton.enabled)

    def test_a_run_that_began_meanwhile_keeps_its_ct(self):
        self.logic.backgroundLabeler = "balls:SlowBallLabeler"
        mine = addVolume(name="mine")
        self.ui.inputSelector.setCurrentNode(mine)
        loaded, _ = self.loading(self.ui.labelButton.click)
        self.assertIs(self.ui.inputSelector.currentNode(), mine)
        self.assertIn("is loaded", self.ui.statusLabel.text)
        self.assertFalse(self.ui.loadSampleButton.enabled)
        self.ui.labelButton.click()
        self.assertTrue(self.ui.loadSampleButton.enabled)
        self.ui.inputSelector.setCurrentNode(loaded)
        self.assertIs(self.ui.inputSelector.currentNode(), loaded)

    def test_a_failed_download_gives_the_reason(self):
        environment = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.folder()), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        environment.update({name: "http://127.0.0.1:9" for name in ("https_proxy", "HTTPS_PROXY")})  # nobody answers
        environment.update({"no_proxy": "", "NO_PROXY": ""})
        before = dict(os.environ)
        os.environ.update(environment)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(before)))
        self.ui.loadSampleButton.click()
        self.assertIn("could not be downloaded", self.ui.errorLabel.text)
        self.assertFalse(sample_data.cachedFile().exists())
