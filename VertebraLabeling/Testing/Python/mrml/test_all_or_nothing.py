"""A correction or a run whose result cannot be written leaves the node, and what can be undone, as they were."""

from contextlib import contextmanager
from dataclasses import replace
from unittest import mock

import slicer
from labeled_case import LabeledCase
from synthetic_spine import BallLabeler, addVolume
from VertebraLabelingMRML import corrections, points
from VertebraLabelingMRML.editor import Editor

from VertebraLabeling import VertebraLabelingLogic


class Broken(Exception):
    """What no code expects."""


@contextmanager
def failing(node, method, afterCalls):
    """A method of this node that works so many times, and then fails once."""
    works, calls = getattr(node, method), []

    def call(*arguments):
        calls.append(arguments)
        if len(calls) == afterCalls + 1:
            raise Broken
        return works(*arguments)

    setattr(node, method, call)
    try:
        yield calls
    finally:
        delattr(node, method)


class TestAllOrNothing(LabeledCase):
    def setUp(self):
        super().setUp()
        self.volumeNode = addVolume()
        self.node = VertebraLabelingLogic(BallLabeler()).label(self.volumeNode)
        self.node.SetNthControlPointLocked(self.index("T10"), True)
        self.editor = Editor()
        self.editor.confirm(self.node, [self.index("T9")])

    def changes(self):
        index = self.index
        return (
            lambda: self.editor.name(self.node, index("T12"), "L1"),
            lambda: self.editor.shift(self.node, 1),
            lambda: self.editor.delete(self.node, [index("T8"), index("T11"), index("L1")]),
            lambda: self.editor.confirm(self.node),
            lambda: corrections.nameAs(self.node, index("T12"), "L1"),
            lambda: VertebraLabelingLogic(BallLabeler("T7")).label(self.volumeNode),
        )

    def test_whichever_attribute_or_point_cannot_be_written(self):
        before = self.all()
        for change in self.changes():
            for method in ("SetAttribute", "SetNthControlPointLabel", "SetNthControlPointDescription"):
                for afterCalls in (0, 3):
                    with self.subTest(method=method, afterCalls=afterCalls):
                        with self.assertRaises(Broken), failing(self.node, method, afterCalls):
                            change()
                        self.assertEqual(self.all(), before)
                        self.assertEqual(self.editor.undoStack.next(self.node), "confirmation")

    def test_what_is_no_json_is_found_out_before_anything_is_written(self):
        before, labels = self.all(), self.labels()
        changed = labels.with_points(labels.points[2:])
        with self.assertRaises(TypeError), mock.patch.object(self.node, "SetAttribute", create=True) as written:
            points.writeLabels(self.node, replace(changed, provenance={"model": {1, 2}}))
        written.assert_not_called()
        self.assertEqual(self.all(), before)

    def test_the_second_of_several_deletions(self):
        before = self.all()
        deleteOne = corrections.delete

        def delete(node, index):
            if node.GetNumberOfControlPoints() < len(before[0]):
                raise Broken
            deleteOne(node, index)

        with mock.patch.object(corrections, "delete", delete), self.assertRaises(Broken):
            self.editor.delete(self.node, [0, 1, 2])
        self.assertEqual(self.all(), before)

    def test_others_hear_of_a_change_once(self):
        heard = []
        tag = self.node.AddObserver(slicer.vtkMRMLMarkupsNode.PointModifiedEvent, lambda *_: heard.append(self.all()))
        self.editor.name(self.node, self.index("T12"), "L1")
        self.node.RemoveObserver(tag)
        self.assertEqual([each[0] for each in heard], [self.all()[0]] * len(heard))
        self.assertGreater(len(heard), 0)
