"""What panel and page tell of a node: of any node, also one that cannot be read."""

import slicer
from counted_balls import CountedBallLabeler, SixLumbar, ThirteenRibs, balls_of
from labeled_case import LabeledCase
from synthetic_spine import addVolume
from VertebraLabelingLib.core.anatomy import LEVELS
from VertebraLabelingLib.core.count_rules import RULES
from VertebraLabelingMRML import corrections, points
from VertebraLabelingMRML.told import Told, actionText, levelsOf, ruleOf, ruleText, ruleTip, told

from VertebraLabeling import VertebraLabelingLogic


class TestTold(LabeledCase):
    def label(self, labeler, **options):
        self.node = VertebraLabelingLogic(labeler()).label(addVolume(balls_of(labeler.LEVELS)), **options)

    def test_nothing_of_no_node_and_of_one_without_vertebrae(self):
        self.assertEqual(told(None), Told())
        self.node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
        self.assertEqual(told(self.node), Told())
        self.node.AddControlPointWorld((1.0, 2.0, 3.0), "nipple")
        self.assertEqual(told(self.node), Told())

    def test_points_by_hand_are_those_of_what_is_seen_and_nobody_counted_them(self):
        self.node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
        self.node.AddControlPointWorld((1.0, 2.0, 3.0), "T13")
        self.assertEqual(told(self.node), Told(rule="seen"))

    def test_a_usual_spine_has_a_sentence_and_no_other_names(self):
        self.label(CountedBallLabeler)
        found = told(self.node)
        self.assertEqual((found.others, found.rule, found.levels), ({}, "seen", LEVELS))
        self.assertEqual(found.howCounted, "Counted from the first rib, the last rib and the sacrum.")

    def test_other_names_are_told_as_spans_for_every_rule_that_gives_them(self):
        self.label(ThirteenRibs)
        self.assertEqual(told(self.node).others, {"above": "T13-L5 become L1-L6", "sacrum": "C7-T13 become C6-T12"})
        self.label(SixLumbar, count="sacrum")
        others = {"seen": "C6-L5 become C7-L6", "above": "C6-L5 become C7-L6"}
        self.assertEqual(told(self.node).others, others)

    def test_one_vertebra_is_told_alone(self):
        self.label(ThirteenRibs)
        for level in ("L5", "L4", "L3", "L2", "L1"):
            corrections.delete(self.node, self.index(level))
        self.assertEqual(told(self.node).others, {"above": "T13 becomes L1"})

    def test_a_node_that_cannot_be_read_tells_why_and_keeps_its_rule(self):
        self.label(ThirteenRibs, count="above")
        self.node.SetNthControlPointLabel(0, "L1")
        found = told(self.node)
        self.assertIn("L1 is used twice", found.warnings[0])
        self.assertEqual((found.rule, found.howCounted, found.others), ("above", "", {}))

    def test_no_T13_can_be_given_where_vertebrae_are_counted_one_by_one(self):
        self.label(ThirteenRibs)
        for rule in RULES:
            corrections.countBy(self.node, rule)
            self.assertEqual(set(LEVELS) - set(levelsOf(self.node)), {"T13"} if rule != "seen" else set())
            self.assertEqual(ruleOf(self.node), rule)

    def test_a_damaged_provenance_is_that_of_what_is_seen(self):
        self.label(ThirteenRibs, count="above")
        for text in ("", "[]", '{"count": {"landmarks": [], "rule": "upwards"}}', '{"count": 3}'):
            self.node.SetAttribute(points.PROVENANCE, text)
            self.assertEqual((ruleOf(self.node), told(self.node).howCounted), ("seen", ""))

    def test_each_rule_has_its_words(self):
        for words in (ruleText, ruleTip, actionText):
            self.assertEqual(len({words(rule) for rule in RULES}), len(RULES))
