"""Correcting from the panel: the table, the buttons, the menu of a row, and undo."""

import numpy as np
import qt
import slicer
from balls import DoubtfulBallLabeler
from panel_case import PanelCase, addVolume, centers
from VertebraLabelingLib.core.anatomy import REGION_COLORS
from VertebraLabelingMRML import display, points
from VertebraLabelingMRML.editor import Editor

from VertebraLabeling import VertebraLabelingLogic

LEVELS = list(centers())


class CorrectingCase(PanelCase):
    def setUp(self):
        super().setUp()
        self.showBalls()


class TestTable(CorrectingCase):
    def test_a_row_for_each_vertebra_with_level_confidence_and_status(self):
        self.assertEqual(self.column(0), LEVELS)
        self.assertTrue(all(text.endswith(" %") for text in self.column(1)))
        self.assertEqual(set(self.column(2)), {"predicted"})

    def test_going_to_a_row_jumps_the_views_to_the_vertebra(self):
        self.requireViews()
        row = self.column(0).index("L2")
        self.ui.levelTable.setCurrentCell(row, 0)
        node = slicer.app.layoutManager().sliceWidget("Yellow").mrmlSliceNode()
        matrix = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
        place = points.readLabels(self.node).by_level["L2"].ras
        self.assertAlmostEqual(matrix[0, 3], place[0], delta=0.5)
        axial = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
        self.assertAlmostEqual(slicer.util.arrayFromVTKMatrix(axial.GetSliceToRAS())[2, 3], place[2], delta=0.5)

    def test_the_table_follows_what_is_done_elsewhere_in_slicer(self):
        self.node.RemoveNthControlPoint(0)
        self.node.SetNthControlPointLabel(0, "T7")
        self.settle()
        self.assertEqual(self.column(0), ["T7", *LEVELS[2:]])
        self.assertEqual(self.cell(0, 2), "confirmed")

    def test_a_level_used_twice_is_told_and_breaks_nothing(self):
        self.node.SetNthControlPointLabel(0, "L1")
        self.settle()
        self.assertIn("L1 is used twice", self.ui.warningLabel.text)
        self.ui.shiftDownButton.click()
        self.assertIn("L1 is used twice", self.ui.errorLabel.text)

    def test_uncertain_rows_turn_amber_with_the_slider(self):
        self.node.SetNthControlPointDescription(2, "confidence=0.40;status=predicted")
        self.widget.panel.refresh()
        self.assertEqual([self.isAmber(row) for row in range(4)], [False, False, True, False])
        self.assertEqual([bool(self.node.GetNthControlPointSelected(i)) for i in range(4)], [True, True, False, True])
        self.ui.amberSlider.value = 0.3
        self.assertFalse(self.isAmber(2))
        self.assertTrue(self.node.GetNthControlPointSelected(2))

    def test_a_drag_settles_no_doubt_and_a_confirmation_does(self):
        volumeNode = addVolume(centers("T4", "T9"))
        self.ui.inputSelector.setCurrentNode(volumeNode)
        self.widget.panel.onResult(VertebraLabelingLogic(DoubtfulBallLabeler()).label(volumeNode), None)
        self.settle()
        doubtful = [True] * 6
        self.assertEqual(self.doubts(), doubtful)
        for follow in (False, True):
            with self.subTest(follow=follow):
                before = points.readLabels(self.node)
                place = np.add(before.points[2].ras, (0, 2, 0))
                self.node.SetNthControlPointPositionWorld(2, place)
                self.settle()
                self.assertEqual((self.cell(2, 2), self.doubts()), ("moved", doubtful))
                Editor().dragged(self.node, ["T6"], before, follow)
                self.settle()
                self.assertEqual((self.cell(2, 2), self.doubts()), ("moved", doubtful))
                self.assertIn("shifted by one", self.ui.warningLabel.text)
        self.chooseRows("T6")
        self.ui.confirmButton.click()
        self.assertEqual((self.cell(2, 1), self.cell(2, 2)), ("100 %", "confirmed"))
        self.assertFalse(self.doubts()[2])

    def doubts(self):
        """Of each row whether it is to be checked: table, control points and balls agree."""
        table = self.ui.levelTable
        rows = [self.isAmber(row) for row in range(table.rowCount)]
        tips = ["please check" in table.item(row, 1).toolTip() for row in range(table.rowCount)]
        marks = [not self.node.GetNthControlPointSelected(index) for index in range(table.rowCount)]
        balls = display.regionModels(self.node)
        amber = balls["uncertain"].GetAttribute(display.CENTERS) if "uncertain" in balls else ""
        places = [str(each.point.ras) in amber for each in points.levelPoints(self.node)]
        self.assertEqual((tips, marks, places), (rows, rows, rows))
        return rows

    def isAmber(self, row):
        color = self.ui.levelTable.item(row, 1).background().color()
        return (color.red(), color.green(), color.blue()) == (255, 170, 40)

    def test_a_menu_of_a_row_offers_the_levels_near_it_and_names_the_vertebra(self):
        menu = self.rowMenu(self.column(0).index("T12"))
        actions = {action.text: action for action in menu.actions()}
        self.assertIn("This is L1", actions)
        self.assertNotIn("This is C1", actions)
        actions["This is L1"].trigger()
        self.assertEqual(self.levels(), list(centers("T9", "L5")))


class TestButtons(CorrectingCase):
    def test_buttons_are_on_when_they_can_do_something(self):
        single = (self.ui.nameButton, self.ui.addButton)
        several = (self.ui.deleteButton, self.ui.confirmButton)
        always = (self.ui.shiftUpButton, self.ui.shiftDownButton, self.ui.confirmAllButton)
        for chosen, expected in (((), (0, 0, 1)), (("T9",), (1, 1, 1)), (("T9", "L1"), (0, 1, 1))):
            self.chooseRows(*chosen)
            for group, enabled in zip((single, several, always), expected):
                self.assertEqual({button.enabled for button in group}, {bool(enabled)}, chosen)
        slicer.mrmlScene.RemoveNode(self.node)
        self.assertEqual({button.enabled for button in (*single, *several, *always)}, {False})
        self.assertEqual(self.ui.levelTable.rowCount, 0)

    def test_name_it_renames_the_rest_and_keeps_the_vertebra_chosen(self):
        self.chooseRows("T12")
        self.assertEqual(self.ui.levelComboBox.currentText, "T12")
        self.ui.levelComboBox.currentText = "L1"
        self.ui.nameButton.click()
        self.assertEqual(self.levels(), list(centers("T9", "L5")))
        self.assertEqual(self.ui.levelComboBox.currentText, "L1")
        self.assertEqual(self.cell(self.column(0).index("L1"), 2), "confirmed")

    def test_shift_down_and_up(self):
        self.ui.shiftDownButton.click()
        self.assertEqual(self.levels(), list(centers("T9", "L5")))
        self.ui.shiftUpButton.click()
        self.assertEqual(self.levels(), LEVELS)

    def test_delete_and_add_below(self):
        self.chooseRows("T8", "L4")
        self.ui.deleteButton.click()
        self.assertEqual(self.levels(), LEVELS[1:-1])
        self.chooseRows("T12")
        self.ui.deleteButton.click()
        self.assertEqual(self.ui.levelTable.rowCount, len(LEVELS) - 3)
        heights = [each.point.ras[2] for each in points.levelPoints(self.node)]
        gaps = [above - below for above, below in zip(heights, heights[1:])]
        self.chooseRows(self.column(0)[gaps.index(max(gaps))])
        self.ui.addButton.click()
        self.assertEqual(self.column(0), LEVELS[1:-1])

    def test_confirm_chosen_and_all(self):
        self.chooseRows("T9", "T10")
        self.ui.confirmButton.click()
        self.assertEqual(self.column(2).count("confirmed"), 2)
        self.ui.confirmAllButton.click()
        self.assertEqual(set(self.column(2)), {"confirmed"})

    def test_every_button_can_be_undone(self):
        before = points.readLabels(self.node).points
        self.assertFalse(self.ui.undoButton.enabled)

        def name():
            self.ui.levelComboBox.currentText = "L1"
            self.ui.nameButton.click()

        actions = {
            "Undo 'this is L1'": name,
            "Undo shift up": self.ui.shiftUpButton.click,
            "Undo shift down": self.ui.shiftDownButton.click,
            "Undo added vertebra": self.ui.addButton.click,
            "Undo deletion": self.ui.deleteButton.click,
            "Undo confirmation": self.ui.confirmButton.click,
        }
        for text, action in actions.items():
            with self.subTest(text):
                self.chooseRows("T12")
                action()
                self.assertNotEqual(points.readLabels(self.node).points, before)
                self.assertEqual(self.ui.undoButton.text, text)
                self.ui.undoButton.click()
                self.assertEqual(points.readLabels(self.node).points, before)
        self.assertFalse(self.ui.undoButton.enabled)

    def test_what_cannot_be_done_is_said_and_leaves_nothing_to_undo(self):
        self.ui.shiftDownButton.click()
        undo = self.ui.undoButton.text
        before = points.readLabels(self.node).points
        self.ui.shiftDownButton.click()
        self.assertIn("below L5", self.ui.errorLabel.text)
        self.assertEqual(self.ui.undoButton.text, undo)
        self.assertEqual(points.readLabels(self.node).points, before)
        self.ui.undoButton.click()
        self.assertEqual(self.ui.errorLabel.text, "")

    def test_warnings_of_the_points_are_shown_in_words_and_go_when_solved(self):
        self.node.SetAttribute(points.WARNINGS, '["Levels may be shifted by one: no landmark is in view."]')
        self.widget.panel.refresh()
        self.assertIn("Levels may be shifted by one", self.ui.warningLabel.text)
        self.chooseRows("T12")
        self.ui.nameButton.click()
        self.assertNotIn("Levels may be shifted by one", self.ui.warningLabel.text)

    def test_a_note_of_a_scene_is_shown_as_text_not_as_html(self):
        self.node.SetAttribute(points.WARNINGS, '["<h1>hello</h1>"]')
        self.widget.panel.refresh()
        self.assertIn("<h1>hello</h1>", self.ui.warningLabel.text)
        for label in (self.ui.statusLabel, self.ui.warningLabel, self.ui.errorLabel):
            self.assertEqual(label.textFormat, qt.Qt.PlainText)

    def test_warnings_speak_of_the_new_names_after_a_shift_and_of_the_old_ones_after_undo(self):
        told = '["Levels may be shifted by one: no landmark is in view.", "The field of view ends inside L2."]'
        self.node.SetAttribute(points.WARNINGS, told)
        self.widget.panel.refresh()
        before = self.ui.warningLabel.text
        self.assertIn("ends inside L2.", before)
        self.ui.shiftDownButton.click()
        self.assertIn("ends inside L3.", self.ui.warningLabel.text)
        self.assertNotIn("L2", self.ui.warningLabel.text)
        self.assertNotIn("may be shifted", self.ui.warningLabel.text)
        self.ui.undoButton.click()
        self.assertEqual(self.ui.warningLabel.text, before)


class TestViews(CorrectingCase):
    def test_the_curve_follows_the_points_and_goes_when_unchecked(self):
        self.ui.curveCheckBox.checked = True
        curve = slicer.util.getNode("CT vertebrae curve")
        self.assertEqual(curve.GetNumberOfControlPoints(), len(LEVELS))
        self.node.SetNthControlPointPositionWorld(0, (1.0, 2.0, 150.0))
        self.settle()
        self.assertEqual(tuple(curve.GetNthControlPointPositionWorld(0)), (1.0, 2.0, 150.0))
        self.ui.curveCheckBox.checked = False
        self.assertEqual(slicer.util.getNodesByClass("vtkMRMLMarkupsCurveNode"), [])

    def test_region_balls_are_hidden_from_the_user_s_nodes_and_not_saved(self):
        for name in ("thoracic", "lumbar"):
            model = slicer.util.getNode(f"CT vertebrae {name}")
            self.assertTrue(model.GetHideFromEditors())
            self.assertFalse(model.GetSaveWithScene())
            color = [round(255 * value) for value in model.GetDisplayNode().GetColor()]
            self.assertEqual(tuple(color), REGION_COLORS[name])
        self.assertEqual(slicer.util.getNodes("CT vertebrae cervical"), {})
        self.ui.regionsCheckBox.checked = False
        self.assertEqual(slicer.util.getNodes("CT vertebrae thoracic"), {})

    def test_the_ball_of_an_uncertain_point_is_amber(self):
        self.assertEqual(slicer.util.getNodes("CT vertebrae uncertain"), {})
        self.node.SetNthControlPointDescription(2, "confidence=0.40;status=predicted")
        self.widget.panel.refresh()
        bounds = slicer.util.getNode("CT vertebrae uncertain").GetPolyData().GetBounds()
        center = [(low + high) / 2 for low, high in zip(bounds[::2], bounds[1::2])]
        self.assertLess(max(abs(a - b) for a, b in zip(center, points.levelPoints(self.node)[2].point.ras)), 0.5)

    def test_the_bone_window_is_set_on_request_only(self):
        display = self.ui.inputSelector.currentNode().GetDisplayNode()
        self.assertNotEqual(display.GetLevel(), 400)
        self.ui.boneButton.click()
        self.assertEqual((display.GetWindow(), display.GetLevel()), (1800, 400))

    def test_after_a_run_the_volume_and_the_middle_of_the_spine_are_in_view(self):
        self.requireViews()
        composite = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")[0]
        self.assertEqual(composite.GetBackgroundVolumeID(), self.ui.inputSelector.currentNode().GetID())
        axial = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
        middle = points.levelPoints(self.node)[len(LEVELS) // 2].point.ras
        self.assertAlmostEqual(slicer.util.arrayFromVTKMatrix(axial.GetSliceToRAS())[2, 3], middle[2], delta=0.5)
