"""Rules of counting on real nodes: runs, corrections, Shift, undo, and a scene that is saved and opened again."""

import json

from labeled_case import LabeledCase
from spine_factory import FOUR_LUMBAR, NO_T12, WITH_L6, WITH_T13, spine
from synthetic_spine import addVolume
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.counting import how_counted, rule_of
from VertebraLabelingLib.core.label_warning import COUNTS, RULE, VARIANT, LabelWarning
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.solver.chain import solve
from VertebraLabelingLib.solver.naming import alternative_names
from VertebraLabelingMRML import corrections, labeling, points
from VertebraLabelingMRML.editor import Editor

from VertebraLabeling import VertebraLabelingLogic

T13, ELEVEN, SIX, FOUR = (levels[10:] for levels in (WITH_T13, NO_T12, WITH_L6, FOUR_LUMBAR))
ABOVE = (*USUAL_LEVELS, "L6")


class SpineLabeler:
    """Sees the same spine in every volume; ``fixed`` holds what it was told of known points."""

    def __init__(self, levels):
        self.evidence, self.fixed = spine(levels), []

    def label(self, volume, fixed=None, progress=None, cancelled=None):
        self.fixed.append(fixed)
        return solve(self.evidence, fixed)


class CountingCase(LabeledCase):
    def label(self, levels, **options):
        self.labeler = SpineLabeler(levels)
        self.volumeNode = addVolume()
        self.logic = VertebraLabelingLogic(self.labeler)
        self.node = self.logic.label(self.volumeNode, **options)

    def levels(self):
        return [point.level for point in self.labels().points]

    def told(self):
        return [warning.kind for warning in self.labels().warnings]

    def name(self, level, other):
        """Name the vertebra of this level otherwise."""
        corrections.nameAs(self.node, self.index(level), other)


class TestRuns(CountingCase):
    def test_a_run_names_by_the_rule_and_says_how_it_counted(self):
        neck = USUAL_LEVELS[3:]
        for spineLevels in (WITH_T13[3:], NO_T12[3:], WITH_L6[3:], FOUR_LUMBAR[3:]):
            with self.subTest(levels=len(spineLevels)):
                self.label(spineLevels, count="above")
                self.assertEqual(self.levels(), list(ABOVE[3:][: len(spineLevels)]))
                self.assertIn("counted from above", how_counted(self.labels()))
                self.label(spineLevels, count="sacrum")
                self.assertEqual(self.levels(), list(USUAL_LEVELS[24 - len(spineLevels) :]))
                self.label(spineLevels)
                self.assertEqual(self.levels(), list(spineLevels))
                self.assertEqual(self.told().count(COUNTS), 1)
        self.label(neck, count="above")
        self.assertEqual((self.levels(), self.told()), (list(neck), []))

    def test_a_further_run_keeps_the_rule_and_the_users_names(self):
        self.label(WITH_T13[5:], count="above")
        self.name("L1", "L1")
        corrections.confirm(self.node, [self.index("T5")])
        before = self.levels()
        self.logic.label(self.volumeNode)
        self.assertEqual((self.levels(), rule_of(self.labels())), (before, "above"))
        self.assertEqual(set(self.labeler.fixed[-1]), {"T13", "T5"}, "the engine knows what is seen")
        self.assertEqual(self.labels().by_level["L1"].status, "confirmed")

    def test_another_rule_renames_what_the_user_has_confirmed_too(self):
        self.label(WITH_T13[5:], count="above")
        self.name("L1", "L1")
        place = self.labels().by_level["L1"].ras
        for rule, level in (("seen", "T13"), ("sacrum", "T12"), ("above", "L1")):
            self.logic.label(self.volumeNode, count=rule)
            point = self.labels().by_level[level]
            self.assertEqual((rule_of(self.labels()), point.ras, point.status), (rule, place, "confirmed"))

    def test_known_points_bear_names_of_the_rule(self):
        self.label(WITH_T13[5:], count="above")
        place, before = self.labels().by_level["L2"].ras, self.levels()
        self.label(WITH_T13[5:], count="above", fixed={"L2": place})
        self.assertEqual(self.labels().by_level["L2"].ras, place)
        self.assertEqual(self.levels(), before)
        with self.assertRaisesRegex(InputError, "no T13 where vertebrae are counted one by one"):
            self.label(WITH_T13[5:], count="above", fixed={"T13": place})
        with self.assertRaisesRegex(InputError, "use seen, above, sacrum"):
            self.label(T13, count="upwards")
        self.assertEqual(self.labeler.fixed, [], "that is told before the run")

    def test_names_that_a_further_run_sees_otherwise_still_hold(self):
        self.label(WITH_T13[5:], count="above")
        corrections.confirm(self.node, [self.index("T5"), self.index("L3")])
        places = {level: self.labels().by_level[level].ras for level in ("T5", "L3")}
        self.labeler.evidence = spine((*ABOVE[5:],))  # the same vertebrae, of which twelve bear ribs
        self.logic.label(self.volumeNode)
        self.assertEqual({level: self.labels().by_level[level].ras for level in places}, places)

    def test_a_rule_that_was_chosen_or_taken_back_during_a_run_holds(self):
        editor = Editor()
        for undone in (True, False):
            for confirmed in ((), ("T5", "L3")):
                with self.subTest(undone=undone, confirmed=confirmed):
                    self.label(WITH_T13[5:])
                    corrections.confirm(self.node, [self.index(level) for level in confirmed])
                    editor.countBy(self.node, "sacrum")
                    request = labeling.prepare(self.volumeNode, self.node, count="sacrum")
                    found = self.labeler.label(request.volume, fixed=request.fixed)
                    if undone:
                        editor.undo(self.node)
                    else:
                        editor.countBy(self.node, "above")
                    rule, before = rule_of(self.labels()), self.levels()
                    labeling.finish(request, found)
                    self.assertEqual((rule_of(self.labels()), self.levels()), (rule, before))
                    self.assertEqual(rule, "seen" if undone else "above")


class TestCountingAnew(CountingCase):
    def test_a_click_names_by_another_rule_and_back(self):
        self.label(WITH_T13[5:])
        before = self.labels()
        for rule, names in alternative_names(before).items():
            corrections.countBy(self.node, rule)
            self.assertEqual(self.levels(), list(names.values()))
            self.assertEqual(rule_of(self.labels()), rule)
            corrections.countBy(self.node, "seen")
            self.assertEqual(self.labels().points, before.points)
            self.assertEqual(self.labels().warnings, before.warnings)

    def test_it_can_be_undone(self):
        self.label(WITH_T13[5:])
        editor, before = Editor(), self.labels()
        for change in (
            lambda: editor.countBy(self.node, "sacrum"),
            lambda: editor.name(self.node, self.index("T9"), "T9"),
            lambda: editor.shift(self.node, -1),
            lambda: editor.countBy(self.node, "above"),
            lambda: editor.delete(self.node, [0]),
        ):
            change()
        while editor.undo(self.node):
            pass
        after = self.labels()
        self.assertEqual((after.points, after.warnings), (before.points, before.warnings))
        self.assertEqual(after.provenance["count"], before.provenance["count"])

    def test_control_points_keep_their_identity(self):
        self.label(WITH_T13[5:])
        before = self.node.GetNthControlPointID(self.index("T13"))
        corrections.countBy(self.node, "above")
        self.assertEqual(self.node.GetNthControlPointID(self.index("L1")), before)

    def test_a_rule_that_cannot_name_all_says_so(self):
        self.label(WITH_L6[5:18])
        corrections.countBy(self.node, "sacrum")
        self.assertEqual((self.levels(), self.told()), (list(USUAL_LEVELS[5:18]), [RULE]))
        corrections.countBy(self.node, "seen")
        self.assertEqual(self.told(), [])

    def test_an_older_scene_is_counted_by_its_evidence(self):
        self.label(WITH_T13[5:])
        labels = self.labels()
        old = {name: value for name, value in labels.provenance.items() if name != "count"}
        self.node.SetAttribute(points.PROVENANCE, json.dumps(old))
        self.node.SetAttribute(points.WARNINGS, '["T13 found.", {"kind": "variant", "levels": ["T13"]}]')
        self.assertEqual(list(self.labels().warnings), [LabelWarning(VARIANT, ("T13",))] * 2)
        self.assertEqual(how_counted(self.labels()), "")
        corrections.countBy(self.node, "above")
        self.assertEqual(self.levels(), list(ABOVE[5:]))
        self.assertEqual(self.told(), [COUNTS])


class TestCorrections(CountingCase):
    def test_corrections_after_a_reload_are_read_in_the_rule(self):
        self.label(WITH_T13[5:], count="above")
        self.reload()
        self.name("L4", "L4")
        self.assertEqual(self.levels(), list(ABOVE[5:]))
        self.name("L4", "L3")
        self.assertEqual(self.levels(), list(ABOVE[4:-1]))
        self.reload()
        self.name("L3", "L4")
        self.assertEqual((self.levels(), rule_of(self.labels())), (list(ABOVE[5:]), "above"))

    def test_points_that_were_dragged_deleted_and_added(self):
        self.label(WITH_T13[5:], count="above")
        before = self.levels()
        point = self.labels().by_level["L2"]
        self.node.SetNthControlPointPositionWorld(self.index("L2"), point.ras[0] + 3, *point.ras[1:])
        corrections.follow(self.node)
        self.assertEqual(self.levels(), before)
        corrections.delete(self.node, self.index("L6"))
        self.assertEqual(self.levels(), before[:-1])
        corrections.delete(self.node, self.index("C6"))
        self.assertEqual(self.levels(), before[1:-1])

    def test_a_name_that_was_typed_in_markups_is_one_of_the_rule(self):
        self.label(WITH_T13[5:], count="above")
        self.node.SetNthControlPointLabel(self.index("C7"), "T13")
        for change in (lambda: corrections.follow(self.node), lambda: corrections.countBy(self.node, "seen")):
            with self.assertRaisesRegex(InputError, "no T13 where vertebrae are counted one by one"):
                change()

    def test_a_name_that_the_rule_does_not_give_changes_nothing(self):
        self.label(WITH_T13[5:], count="sacrum")
        before = self.labels()
        with self.assertRaisesRegex(InputError, "no T13"):
            self.name("T12", "T13")
        self.assertEqual(self.labels().points, before.points)


class TestShift(CountingCase):
    def test_shift_knows_the_other_count(self):
        for spineLevels, step in ((T13, -1), (ELEVEN, 1), (SIX, -1), (FOUR, 1)):
            with self.subTest(step=step, last=spineLevels[-1]):
                self.label(spineLevels)
                others = alternative_names(self.labels())["sacrum"]
                corrections.shift(self.node, step)
                self.assertEqual(self.levels(), list(others.values()))
                self.assertNotIn(COUNTS, self.told())
                self.assertTrue(how_counted(self.labels()).startswith("Counted from what the user has named."))

    def test_shift_by_a_rule_and_corrections_after_it(self):
        self.label(WITH_T13[5:], count="above")
        corrections.confirm(self.node, [self.index("T5"), self.index("L3")])
        corrections.shift(self.node, -1)
        self.assertEqual(self.levels(), list(ABOVE[4:-1]))
        corrections.shift(self.node, 1)
        self.assertEqual(self.levels(), list(ABOVE[5:]), "as far as L6, which there is")
        with self.assertRaisesRegex(InputError, "below L6"):
            corrections.shift(self.node, 1)
        corrections.shift(self.node, -1)
        surest = next(point.level for point in self.labels().points if point.status == "confirmed")
        self.name(surest, surest)
        self.assertEqual(self.levels(), list(ABOVE[4:-1]))
        self.logic.label(self.volumeNode)
        self.assertEqual((self.levels(), rule_of(self.labels())), (list(ABOVE[4:-1]), "above"))
