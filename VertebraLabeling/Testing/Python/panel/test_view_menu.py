"""The menu of a point in the slice and 3D views: the plugin that Slicer asks before it opens the menu."""

import os
import sys
import tempfile
import types

import qt
import slicer
from panel_case import PanelCase, centers
from VertebraLabelingMRML import points
from VertebraLabelingPanel import view_menu


class TestViewMenu(PanelCase):
    def setUp(self):
        super().setUp()
        self.showBalls()
        inSlicer = hasattr(slicer, "qSlicerSubjectHierarchyScriptedPlugin")
        if not inSlicer:
            self.standIn()
        from VertebraLabelingPanel import VertebraLabelingSubjectHierarchyPlugin as plugins

        self.plugins = plugins
        self.parent = slicer.qSlicerSubjectHierarchyScriptedPlugin(None) if inSlicer else qt.QObject()
        self.plugin = plugins.VertebraLabelingSubjectHierarchyPlugin(self.parent)
        self.addCleanup(self.plugin.action.menu().deleteLater)

    def standIn(self):
        """What the plugin file asks of Slicer when it is loaded."""
        module = types.ModuleType("SubjectHierarchyPlugins")
        module.AbstractScriptedSubjectHierarchyPlugin = type("AbstractScriptedSubjectHierarchyPlugin", (), {})
        sys.modules["SubjectHierarchyPlugins"] = module
        self.addCleanup(sys.modules.pop, "SubjectHierarchyPlugins")
        self.positions = []
        abstract = types.SimpleNamespace(SectionNode=100, setActionPosition=lambda *given: self.positions.append(given))
        slicer.qSlicerSubjectHierarchyAbstractPlugin = abstract
        self.addCleanup(delattr, slicer, "qSlicerSubjectHierarchyAbstractPlugin")

    def rightClick(self, node, component, index):
        """Ask the plugin as Slicer does before the menu opens; returns the levels it offers."""
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        item = hierarchy.GetItemByDataNode(node)
        if not item:  # outside Slicer no plugin puts nodes into the hierarchy
            item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
        self.plugin.showViewContextMenuActionsForItem(item, {"ComponentType": component, "ComponentIndex": index})
        action = self.plugin.viewContextMenuActions()[0]
        return {each.text: each for each in action.menu().actions()} if action.visible else None

    def test_a_right_click_on_a_vertebra_offers_the_levels_near_it_and_names_it(self):
        index = list(centers()).index("T12")
        offered = self.rightClick(self.node, slicer.vtkMRMLMarkupsDisplayNode.ComponentControlPoint, index)
        self.assertTrue({"T11", "L1", "T13"} <= set(offered))
        self.assertFalse({"T12", "C1", "L6"} & set(offered))
        offered["L1"].trigger()
        self.assertEqual(self.levels(), list(centers("T9", "L5")))
        self.assertEqual(self.cell(self.column(0).index("L1"), 2), "confirmed")
        self.ui.undoButton.click()
        self.assertEqual(self.levels(), list(centers()))

    def test_the_panel_turns_to_the_points_that_were_clicked(self):
        first = self.node
        self.showBalls(centers("T5", "T10"))
        self.assertIsNot(self.node, first)
        component = slicer.vtkMRMLMarkupsDisplayNode.ComponentControlPoint
        self.rightClick(first, component, list(centers()).index("T12"))["L1"].trigger()
        self.assertIs(self.node, first)
        self.assertEqual(self.levels(), list(centers("T9", "L5")))

    def test_points_that_were_loaded_from_a_file_have_the_menu_too(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "spine.mrk.json")
            slicer.util.saveNode(self.node, path)
            loaded = slicer.util.loadMarkups(path)
        self.assertFalse(points.wasLabeled(loaded))
        index = list(centers()).index("T12")
        self.assertIn("L1", self.rightClick(loaded, slicer.vtkMRMLMarkupsDisplayNode.ComponentControlPoint, index))

    def test_elsewhere_nothing_is_offered(self):
        other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "mine")
        other.AddControlPointWorld([0, 0, 0], "T12")
        other.AddControlPointWorld([0, 0, 9], "tip of the needle")
        display = slicer.vtkMRMLMarkupsDisplayNode
        self.assertIsNone(self.rightClick(other, display.ComponentControlPoint, 0))
        self.assertIsNone(self.rightClick(self.node, display.ComponentNone, -1))
        self.assertIsNone(self.rightClick(self.node, display.ComponentControlPoint, 999))
        self.assertIsNone(self.rightClick(self.ui.inputSelector.currentNode(), display.ComponentControlPoint, 0))

    def test_points_and_rows_are_named_in_the_same_words(self):
        index = list(centers()).index("T12")
        offered = self.rightClick(self.node, slicer.vtkMRMLMarkupsDisplayNode.ComponentControlPoint, index)
        row = [each.text for each in self.rowMenu(index).actions()]
        self.assertEqual([f"{self.plugin.action.text} {level}" for level in offered], row)

    def test_the_action_has_a_name_and_the_plugin_too(self):
        self.assertEqual(self.plugin.action.objectName, "VertebraLabelingNameAction")
        self.assertEqual(self.parent.name, "VertebraLabeling")

    def test_the_menu_goes_with_the_main_window(self):
        window = slicer.util.mainWindow()
        if window is None:
            self.skipTest("needs Slicer's main window")
        self.assertEqual(self.plugin.action.menu().parent(), window)

    def test_the_plugin_is_handed_to_slicer_by_its_path(self):
        if not isinstance(slicer.qSlicerSubjectHierarchyAbstractPlugin, types.SimpleNamespace):
            self.skipTest("Slicer has registered it when it started")
        sources, registered = [], []
        scripted = types.SimpleNamespace(setPythonSource=lambda path: sources.append(path) or True)
        handler = types.SimpleNamespace(registerPlugin=registered.append)
        slicer.qSlicerSubjectHierarchyScriptedPlugin = lambda parent: scripted
        self.addCleanup(delattr, slicer, "qSlicerSubjectHierarchyScriptedPlugin")
        slicer.qSlicerSubjectHierarchyPluginHandler = types.SimpleNamespace(instance=lambda: handler)
        self.addCleanup(delattr, slicer, "qSlicerSubjectHierarchyPluginHandler")
        view_menu.register()
        self.assertEqual((sources, registered), ([self.plugins.__file__], [scripted]))
        # Slicer makes the class that bears the file's name
        self.assertTrue(hasattr(self.plugins, view_menu.PLUGIN.stem))
