"""Loading the module must cost a user nothing: no torch, no SimpleITK, no scipy, and the MRML layer no Qt."""

import os
import subprocess
import sys
import unittest
from pathlib import Path

import slicer

TESTING_PYTHON = Path(__file__).resolve().parents[1]
MODULE = TESTING_PYTHON.parents[1]

LOAD_MODULE = f"""
import sys
sys.path.insert(0, {str(TESTING_PYTHON)!r})
import harness
harness.start()
before = set(sys.modules)
module = harness.loadModule({str(MODULE / "VertebraLabeling.py")!r})
module.widgetRepresentation()
heavy = {{"torch", "SimpleITK", "scipy", "matplotlib", "pandas"}} & (set(sys.modules) - before)
assert not heavy, heavy
"""

MRML_LAYER = f"""
import sys
sys.path.insert(0, {str(MODULE)!r})
from VertebraLabelingMRML import labeling, points, volumes
unwanted = {{"qt", "ctk", "PySide6", "torch", "SimpleITK"}} & set(sys.modules)
assert not unwanted, unwanted
"""


@unittest.skipIf(hasattr(slicer.app, "commandOptions"), "needs an interpreter of its own, not Slicer's")
class TestLoading(unittest.TestCase):
    def run_alone(self, code):
        environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120
        )
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])

    def test_the_module_and_its_panel_load_without_anything_heavy(self):
        self.run_alone(LOAD_MODULE)

    def test_the_mrml_layer_needs_no_qt(self):
        self.run_alone(MRML_LAYER)


class TestDescriptor(unittest.TestCase):
    def test_the_module_tells_slicer_what_the_generic_test_asks(self):
        module = slicer.modules.vertebralabeling
        self.assertEqual(module.title, "Vertebra Labeling")
        self.assertEqual(list(module.categories), ["Quantification"])
        for text in (module.helpText, module.acknowledgementText, *module.contributors):
            self.assertTrue(text.strip())
        self.assertIn("Not a medical device", module.helpText)
        self.assertIn("re-implementation", module.acknowledgementText)

    def test_the_self_test_of_the_module_passes(self):
        slicer.selfTests["VertebraLabeling"]()

    def test_the_logic_is_found_the_way_scripts_look_for_it(self):
        logic = slicer.util.getModuleLogic("VertebraLabeling")
        self.assertEqual(type(logic).__name__, "VertebraLabelingLogic")
