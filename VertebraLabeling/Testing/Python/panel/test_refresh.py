"""A refresh does what has changed and no more: counted by what nodes and widgets tell of themselves."""

import time

import slicer
import vtk
from marks import timing
from panel_case import PanelCase, centers
from spine_factory import positions
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingMRML import display, points


class TestRefresh(PanelCase):
    def setUp(self):
        super().setUp()
        self.showBalls()
        self.ui.curveCheckBox.checked = True
        self.settle()
        self.changed = []
        models = display.regionModels(self.node)
        self.watch(self.node.GetNodeReference(display.CURVE), "curve")
        self.watch(self.node, "points")
        for region, model in models.items():
            self.watch(model, region)

    def watch(self, node, name):
        for each in (node, *(node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes()))):
            tag = each.AddObserver(vtk.vtkCommand.AnyEvent, lambda *_: self.changed.append(name))
            self.addCleanup(each.RemoveObserver, tag)

    def told(self, action):
        """The nodes that tell of a change while something is done."""
        self.changed.clear()
        action()
        self.settle()
        return set(self.changed)

    def test_nothing_is_touched_where_nothing_changed(self):
        cells = [self.ui.levelTable.item(0, column) for column in range(3)]
        self.assertEqual(self.told(self.widget.panel.refresh), set())
        self.assertEqual(self.told(lambda: self.widget.onParametersModified()), set())
        self.assertTrue(all(self.ui.levelTable.item(0, column) is cells[column] for column in range(3)))

    @timing
    def test_a_refresh_of_a_whole_spine_takes_less_than_5_ms_where_nothing_changed(self):
        levels = USUAL_LEVELS
        places = dict(zip(levels, positions(levels)))
        points.writeLabels(
            self.node, SpineLabels(tuple(LabeledPoint(level, tuple(ras)) for level, ras in places.items()))
        )
        self.settle()
        for action in (self.widget.panel.refresh, self.widget.onParametersModified):
            action()
            took = []
            for _ in range(20):
                start = time.process_time()
                action()
                took.append(time.process_time() - start)
            self.assertLess(min(took), 0.005)  # other work on the computer only adds

    def test_the_page_has_no_balls_made_anew_either(self):
        self.assertEqual(self.told(lambda: display.showRegions(self.node)), set())

    def test_a_point_that_moves_takes_its_own_region_along(self):
        place = self.node.GetNthControlPointPositionWorld(0)
        told = self.told(lambda: self.node.SetNthControlPointPositionWorld(0, place[0] + 2, place[1], place[2]))
        self.assertEqual(told, {"points", "curve", "thoracic"})

    def test_what_was_deleted_comes_back(self):
        slicer.mrmlScene.RemoveNode(display.regionModels(self.node)["lumbar"])
        self.settle()
        self.assertEqual(set(display.regionModels(self.node)), {"thoracic", "lumbar"})

    def test_warnings_hidden_by_a_run_are_said_again(self):
        self.node.SetAttribute("VertebraLabeling.warnings", '["The field of view ends inside L4."]')
        self.widget.panel.refresh()
        said = self.ui.warningLabel.text
        self.assertIn("L4", said)
        self.widget.panel.messages.clear()
        self.widget.panel.refresh()
        self.assertEqual(self.ui.warningLabel.text, said)

    def test_a_choice_or_a_name_that_changes_is_shown(self):
        self.ui.amberSlider.value = 1.0
        self.assertIn("uncertain", display.regionModels(self.node))
        self.ui.shiftDownButton.click()
        self.assertEqual(self.column(0), list(centers("T9", "L5")))
