"""Spines of unusual numbers in the panel: how they were counted, other names by a click, and the rule that stays."""

import os
import tempfile

import qt
import slicer
from counted_balls import CountedBallLabeler, ElevenRibs, SixLumbar, ThirteenRibs, balls_of
from panel_case import PanelCase, addVolume
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingMRML import display, points
from VertebraLabelingMRML.told import ruleOf
from VertebraLabelingPanel.count_section import COUNTING

from VertebraLabeling import VertebraLabelingLogic

SEEN, ABOVE, SACRUM = range(3)  # rows of the choice
USUAL_WIDTH = 400  # pixels of the module panel


class CountingCase(PanelCase):
    def setUp(self):
        super().setUp()
        settings = qt.QSettings()
        self.addCleanup(settings.setValue, COUNTING, slicer.util.settingsValue(COUNTING, "seen", converter=str))
        settings.setValue(COUNTING, "seen")
        self.buttons = (self.ui.countSeenButton, self.ui.countAboveButton, self.ui.countSacrumButton)
        self.widget.panel.refresh()

    def showSpine(self, labeler, **options):
        """The points in the balls of a labeler as after a run, made here."""
        self.volumeNode = addVolume(balls_of(labeler.LEVELS))
        self.ui.inputSelector.setCurrentNode(self.volumeNode)
        self.widget.panel.onResult(VertebraLabelingLogic(labeler()).label(self.volumeNode, **options), None)
        self.logic.backgroundLabeler = f"counted_balls:{labeler.__name__}"
        self.settle()

    def run_(self):
        self.ui.labelButton.click()
        self.waitUntil(lambda: not self.widget.panel.run.running)
        self.settle()
        self.assertEqual(self.ui.errorLabel.text, "")

    def showPanel(self):
        panel = self.widget.parent
        self.addCleanup(panel.hide)
        panel.setMinimumSize(0, 0)
        panel.resize(USUAL_WIDTH, 1000)
        panel.show()
        self.settle()

    def press(self, button):
        """A click of the mouse, where Qt's tests are there."""
        self.settle()
        self.assertTrue(button.enabled and not button.isHidden())
        try:
            from PySide6.QtTest import QTest
        except ImportError:
            button.click()
        else:
            self.showPanel()
            QTest.mouseClick(button, qt.Qt.LeftButton)
        self.settle()

    def choose(self, row):
        """Choose a rule of counting with the mouse, where Qt's tests are there."""
        combo = self.ui.countComboBox
        try:
            from PySide6.QtTest import QTest
        except ImportError:
            combo.currentIndex = row
            combo.activated(row)
        else:
            self.ui.advancedCollapsibleButton.collapsed = False
            self.addCleanup(setattr, self.ui.advancedCollapsibleButton, "collapsed", True)
            self.showPanel()
            QTest.mouseClick(combo, qt.Qt.LeftButton)
            QTest.qWait(qt.QApplication.doubleClickInterval() + 100)  # before, the list takes no click
            entry = combo.view().visualRect(combo.model().index(row, 0)).center()
            QTest.mouseClick(combo.view().viewport(), qt.Qt.LeftButton, qt.Qt.NoModifier, entry)
        self.settle()

    def offered(self):
        """Texts of the buttons that name all vertebrae otherwise."""
        return [button.text for button in self.buttons if not button.isHidden()]

    def chosen(self):
        return self.ui.countComboBox.currentIndex

    def inOrder(self, first):
        names = [*USUAL_LEVELS, "L6"]
        return names[names.index(first) :][: len(self.levels())]


class TestUsualSpine(CountingCase):
    def test_only_the_sentence_takes_room(self):
        self.showSpine(CountedBallLabeler)
        self.assertEqual(self.ui.countLabel.text, "Counted from the first rib, the last rib and the sacrum.")
        self.assertEqual((self.offered(), self.ui.otherCounts.isHidden()), ([], True))
        self.assertNotIn("ribs", self.ui.warningLabel.text)
        self.assertTrue(self.ui.advancedCollapsibleButton.collapsed)

    def test_a_rule_changes_no_name_and_is_told(self):
        self.showSpine(CountedBallLabeler)
        before = self.levels()
        self.choose(SACRUM)
        self.assertEqual(self.levels(), before)
        self.assertIn("the names are counted from the sacrum up", self.ui.countLabel.text)
        self.ui.undoButton.click()
        self.assertEqual((self.chosen(), ruleOf(self.node)), (SEEN, "seen"))
        self.assertEqual(self.ui.countLabel.text, "Counted from the first rib, the last rib and the sacrum.")

    def test_nothing_is_told_of_no_vertebrae_and_of_points_by_hand(self):
        self.assertEqual((self.ui.countLabel.text, self.offered()), ("", []))
        self.showSpine(ThirteenRibs)
        self.assertNotEqual((self.ui.countLabel.text, self.offered()), ("", []))
        byHand = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "by hand")
        byHand.AddControlPointWorld((1.0, 2.0, 3.0), "L1")
        self.ui.outputSelector.setCurrentNode(byHand)
        self.settle()
        self.assertEqual((self.ui.countLabel.text, self.offered()), ("", []))
        slicer.mrmlScene.Clear()
        self.assertTrue(self.ui.countLabel.isHidden() and self.ui.otherCounts.isHidden())


class TestOtherNames(CountingCase):
    def test_each_unusual_number_is_told_with_its_other_names(self):
        for labeler, says, texts in (
            (
                ThirteenRibs,
                "thirteen vertebrae bear ribs, the last is named T13; counted from the sacrum it is T12",
                ["Count from above: T13-L5 become L1-L6", "Count from the sacrum: C7-T13 become C6-T12"],
            ),
            (
                ElevenRibs,
                "eleven vertebrae bear ribs, the next is named L1; counted from above it is T12",
                ["Count from above: L1-L5 become T12-L4", "Count from the sacrum: C7-T11 become T1-T12"],
            ),
            (
                SixLumbar,
                "the lowest is named L6; counted from the sacrum it is L5",
                ["Count from the sacrum: C7-L6 become C6-L5"],
            ),
        ):
            with self.subTest(labeler.__name__):
                self.showSpine(labeler)
                self.assertIn(says, self.ui.countLabel.text)
                self.assertEqual(self.offered(), texts)

    def test_a_click_gives_the_other_names_and_another_gives_them_back(self):
        self.showSpine(ThirteenRibs)
        before = points.readLabels(self.node)
        self.press(self.ui.countSacrumButton)
        self.assertEqual(self.levels(), self.inOrder("C6"))
        self.assertEqual(self.column(0), self.levels())
        self.assertIn("the names are counted from the sacrum up", self.ui.countLabel.text)
        self.assertEqual(self.chosen(), SACRUM)
        texts = ["Name what is seen: C6-T12 become C7-T13", "Count from above: C6-L5 become C7-L6"]
        self.assertEqual(self.offered(), texts)
        self.press(self.ui.countAboveButton)
        self.assertEqual(self.levels(), self.inOrder("C7"))
        self.press(self.ui.countSeenButton)
        after = points.readLabels(self.node)
        self.assertEqual((after.points, after.warnings), (before.points, before.warnings))
        self.assertEqual(self.chosen(), SEEN)

    def test_each_click_can_be_taken_back(self):
        self.showSpine(SixLumbar)
        before = points.readLabels(self.node), self.ui.countLabel.text, self.offered(), self.chosen()
        self.press(self.ui.countSacrumButton)
        self.assertEqual(self.ui.undoButton.text, "Undo counting")
        self.press(self.ui.undoButton)
        after = points.readLabels(self.node), self.ui.countLabel.text, self.offered(), self.chosen()
        self.assertEqual(after[0].points, before[0].points)
        self.assertEqual(after[1:], before[1:])
        self.assertEqual(self.ui.statusLabel.text, "Taken back: counting.")

    def test_a_click_is_for_this_patient_and_changes_no_setting(self):
        self.showSpine(ThirteenRibs)
        self.press(self.ui.countSacrumButton)
        self.ui.inputSelector.setCurrentNode(addVolume(name="another CT"))
        self.settle()
        self.assertIsNone(self.node)
        self.assertEqual((self.chosen(), self.ui.countLabel.text, self.offered()), (SEEN, "", []))

    def test_the_views_show_the_new_names(self):
        self.showSpine(ThirteenRibs)
        lumbar = display.regionModels(self.node)["lumbar"].GetPolyData().GetBounds()
        self.press(self.ui.countAboveButton)
        self.assertGreater(display.regionModels(self.node)["lumbar"].GetPolyData().GetBounds()[5], lumbar[5] + 5)


class TestCorrections(CountingCase):
    def test_shift_and_names_are_right_under_each_rule(self):
        for rule, first in (("above", "C7"), ("sacrum", "C6")):
            with self.subTest(rule):
                self.showSpine(ThirteenRibs, count=rule)
                self.assertEqual(self.levels(), self.inOrder(first))
                before = self.levels()
                self.press(self.ui.shiftUpButton)
                self.assertEqual(self.levels(), [USUAL_LEVELS[USUAL_LEVELS.index(first) - 1], *before[:-1]])
                self.assertTrue(self.ui.countLabel.text.startswith("Counted from what the user has named"))
                self.press(self.ui.undoButton)
                self.assertEqual(self.levels(), before)
                self.chooseRows("T10")
                self.ui.levelComboBox.currentText = "T9"
                self.press(self.ui.nameButton)
                self.assertEqual(self.levels()[0], USUAL_LEVELS[USUAL_LEVELS.index(first) - 1])
                self.assertEqual(self.chosen(), ("seen", "above", "sacrum").index(rule))

    def test_shift_and_the_click_agree(self):
        self.showSpine(SixLumbar)
        self.press(self.ui.countSacrumButton)
        others = self.levels()
        self.press(self.ui.undoButton)
        self.press(self.ui.shiftUpButton)
        self.assertEqual(self.levels(), others)

    def test_what_was_confirmed_stays_confirmed_under_its_other_name(self):
        self.showSpine(ThirteenRibs)
        self.chooseRows("T13")
        self.press(self.ui.confirmButton)
        self.press(self.ui.countAboveButton)
        self.assertEqual(self.cell(self.column(0).index("L1"), 2), "confirmed")

    def test_only_names_that_the_rule_gives_are_offered(self):
        self.showSpine(ThirteenRibs)
        for rule, first in (("seen", "C7"), ("above", "C7"), ("sacrum", "C6"), ("seen", "C7")):
            with self.subTest(rule):
                self.widget.panel.corrections.countBy(rule)
                self.assertEqual(self.column(0)[0], first)
                row = self.column(0).index("T12")
                menu = self.rowMenu(row)
                self.assertEqual("This is T13" in [action.text for action in menu.actions()], rule == "seen")
                self.chooseRows("T12")
                combo = self.ui.levelComboBox
                offered = [combo.itemText(index) for index in range(combo.count)]
                self.assertEqual("T13" in offered, rule == "seen")
                self.assertEqual(combo.currentText, "T12")

    def test_a_name_that_the_rule_does_not_give_is_refused_and_changes_nothing(self):
        self.showSpine(ThirteenRibs, count="above")
        before = points.readLabels(self.node)
        self.chooseRows("L1")
        self.widget.nameVertebra(self.node, next(each.index for each in points.levelPoints(self.node)), "T13")
        self.settle()
        self.assertIn("There is no T13 where vertebrae are counted one by one", self.ui.errorLabel.text)
        self.assertEqual(points.readLabels(self.node).points, before.points)


class TestChoice(CountingCase):
    def test_it_names_what_is_shown_can_be_undone_and_is_kept_for_the_next_volume(self):
        self.showSpine(ThirteenRibs)
        self.choose(ABOVE)
        self.assertEqual(self.levels(), self.inOrder("C7"))
        self.assertEqual(slicer.util.settingsValue(COUNTING, "", converter=str), "above")
        self.ui.inputSelector.setCurrentNode(addVolume(balls_of(ThirteenRibs.LEVELS), name="another CT"))
        self.settle()
        self.assertEqual(self.chosen(), ABOVE)
        self.run_()
        self.assertEqual((self.levels(), ruleOf(self.node)), (self.inOrder("C7"), "above"))

    def test_a_choice_that_cannot_name_these_is_told_and_not_kept(self):
        self.showSpine(ThirteenRibs, count="above")
        self.node.SetNthControlPointLabel(0, "T13")  # typed in Markups: counted one by one there is none
        self.settle()
        self.choose(SEEN)
        self.assertIn("There is no T13", self.ui.errorLabel.text)
        self.assertEqual((self.chosen(), ruleOf(self.node)), (ABOVE, "above"))
        self.assertEqual(slicer.util.settingsValue(COUNTING, "", converter=str), "seen")

    def test_a_rule_without_its_landmark_says_so_beside_the_names_of_what_is_seen(self):
        self.showBalls()
        self.choose(SACRUM)
        self.assertIn(
            "The sacrum is not in view, so the vertebrae are named as what is seen", self.ui.warningLabel.text
        )
        self.assertEqual(self.chosen(), SACRUM)

    def test_settings_of_another_version_are_passed_over(self):
        qt.QSettings().setValue(COUNTING, "upwards")
        self.widget.panel.refresh()
        self.assertEqual(self.chosen(), SEEN)

    def test_it_waits_for_the_end_of_a_run(self):
        self.showSpine(ThirteenRibs)
        self.logic.backgroundLabeler = "balls:SlowBallLabeler"
        said = self.ui.countLabel.text
        self.ui.labelButton.click()
        self.assertFalse(self.ui.countComboBox.enabled or self.ui.countSacrumButton.enabled)
        self.assertEqual(self.ui.countLabel.text, said)
        self.ui.labelButton.click()
        self.assertTrue(self.ui.countComboBox.enabled and self.ui.countSacrumButton.enabled)
        self.assertEqual(self.ui.countLabel.text, said)


class TestWhatStays(CountingCase):
    def test_a_second_run_keeps_the_rule_of_the_vertebrae(self):
        self.showSpine(SixLumbar)
        self.press(self.ui.countSacrumButton)
        before = self.levels()
        self.run_()
        self.assertEqual((self.levels(), ruleOf(self.node), self.chosen()), (before, "sacrum", SACRUM))
        self.press(self.ui.undoButton)
        self.assertEqual(self.levels(), before)
        self.press(self.ui.undoButton)
        self.assertEqual((self.levels(), self.chosen()), (list(SixLumbar.LEVELS), SEEN))

    def test_a_saved_scene_comes_back_with_rule_sentence_and_other_names(self):
        self.showSpine(ThirteenRibs)
        self.press(self.ui.countAboveButton)
        before = self.levels(), self.ui.countLabel.text, self.offered(), self.chosen()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "scene.mrb")
            slicer.util.saveScene(path, properties={})
            slicer.mrmlScene.Clear()
            self.assertEqual((self.ui.countLabel.text, self.chosen()), ("", SEEN))
            slicer.util.loadScene(path, properties={})
        self.settle()
        self.assertEqual((self.levels(), self.ui.countLabel.text, self.offered(), self.chosen()), before)
        self.press(self.ui.countSeenButton)
        self.assertEqual(self.levels(), list(ThirteenRibs.LEVELS))

    def test_nothing_is_drawn_again_where_nothing_changed(self):
        self.showSpine(ThirteenRibs)
        cells = [self.ui.levelTable.item(row, 0) for row in range(self.ui.levelTable.rowCount)]
        self.widget.panel.refresh()
        self.settle()
        self.assertTrue(all(self.ui.levelTable.item(row, 0) is cell for row, cell in enumerate(cells)))


class TestLayout(CountingCase):
    def test_long_sentences_wrap_and_buttons_fit_at_the_usual_width(self):
        for labeler in (ThirteenRibs, ElevenRibs, SixLumbar):
            self.showSpine(labeler)
            self.showPanel()
            for rule in ("above", "sacrum", "seen"):
                with self.subTest(labeler.__name__, rule=rule):
                    self.widget.panel.corrections.countBy(rule)
                    self.settle()
                    label = self.ui.countLabel
                    self.assertGreaterEqual(label.height, label.heightForWidth(label.width))
                    self.assertLessEqual(label.width, USUAL_WIDTH)
                    for button in self.buttons:
                        if not button.isHidden():
                            text = button.fontMetrics().horizontalAdvance(button.text)
                            self.assertLess(text, button.width - 10)
