"""Scene files are data: whatever stands in them is read, refused in a sentence, or left out."""

from __future__ import annotations

import json

import numpy as np
import pytest
import slicer
from cases import wrong_sentence
from damaged_values import WRONG, damaged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from own_readers import labels_fault
from synthetic_spine import BallLabeler, addVolume, centers
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.label_warning import LabelWarning
from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingMRML import corrections, labeling, points
from VertebraLabelingMRML.told import told as told_of

ATTRIBUTES = (points.WRITTEN, points.WARNINGS, points.PROVENANCE, points.EVIDENCE, points.MODEL)


@pytest.fixture
def labeled():
    """A labeled node of a clean scene."""
    slicer.mrmlScene.Clear()
    yield labeling.label(addVolume(), BallLabeler())
    slicer.mrmlScene.Clear()


def fault(node, correct=True) -> str:
    """What is wrong with how a node is read and corrected; empty where it is read soundly or refused in a sentence."""
    try:
        labels = points.readLabels(node)
        told = labels_fault(labels)
        if told or not all(isinstance(warning, LabelWarning) and str(warning) for warning in labels.warnings):
            return told or f"warnings {labels.warnings}"
        points.userPoints(node)
        told_of(node)
        points.updateStatus(node)
        if correct:
            corrections.shift(node, 1)
            corrections.shift(node, -1)
    except VertebraLabelingError as error:
        return wrong_sentence(str(error))
    return ""


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_a_damaged_attribute_does_no_harm(labeled, attribute):
    sound = labeled.GetAttribute(attribute)
    document = json.loads(sound) if attribute != points.MODEL else sound
    if attribute == points.WRITTEN:
        document = {key: document[key] for key in list(document)[:1]}
    if attribute == points.EVIDENCE:
        texts = [sound[:-5], "{", "", "null", "[" * 50_000, *(json.dumps(value) for value in WRONG)]
        texts += [json.dumps({**document, key: value}) for key in document for value in WRONG[::3]]
    else:
        texts = ["{", "", "null", "[" * 50_000, "\ufffd", *(json.dumps(value) for value in damaged(document))]
    problems = {}
    for text in texts:
        labeled.SetAttribute(attribute, text)
        try:
            told = fault(labeled, correct=False)
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
        if told:
            problems.setdefault(told[:40], f"{told[:200]} <- {text[:200]}")
        labeled.SetAttribute(attribute, sound)
    assert len(texts) > 20 and not problems, "\n".join(problems.values())


@pytest.mark.parametrize(
    "provenance",
    [
        {"model": "\ud800"},
        {"chain_parameters": {"temperature": 0}},
        {"chain_parameters": {"spacing_sd": 10**400}},
        {"chain_parameters": {"appearance": -2}},
    ],
    ids=["half a character", "no temperature", "beyond all numbers", "another sign"],
)
def test_a_correction_of_a_scene_with_a_damaged_provenance_is_whole(labeled, provenance):
    sound = json.loads(labeled.GetAttribute(points.PROVENANCE))
    before = points.readLabels(labeled)
    corrections.nameAs(labeled, 4, USUAL_LEVELS[USUAL_LEVELS.index(before.points[4].level) + 1])
    after = points.readLabels(labeled)
    points.writeLabels(labeled, before)
    labeled.SetAttribute(points.PROVENANCE, json.dumps({**sound, **provenance}))
    corrections.nameAs(labeled, 4, after.points[4].level)
    again = points.readLabels(labeled)
    assert [(p.level, p.status) for p in again.points] == [(p.level, p.status) for p in after.points]


LABELS = ("", "L1", "l1", " L1 ", "S1", "<script>", "L1\n", "C0", "x" * 5000, "日本", "T13", "L6", "=1+1", "None")
DESCRIPTIONS = (
    *("", "confidence=nan;status=predicted", "confidence=1e999;status=moved", "confidence=;status=", "status=hacked"),
    *("confidence=-5;status=predicted", "confidence=abc;status=confirmed", ";;;===", "x" * 5000, "confidence=0.5"),
    *("<script>alert(1)</script>", "__import__('os').system('id')"),
)


@pytest.mark.parametrize("text", LABELS, ids=ascii)
def test_a_control_point_of_any_label_does_no_harm(labeled, text):
    labeled.SetNthControlPointLabel(1, text)
    assert not fault(labeled)


@pytest.mark.parametrize("text", DESCRIPTIONS, ids=ascii)
def test_a_control_point_of_any_description_does_no_harm(labeled, text):
    labeled.SetNthControlPointDescription(1, text)
    assert not fault(labeled)


PLACES = ((np.nan, 0, 0), (np.inf, 0, 0), (0, -np.inf, 0), (1e30, 0, 0), (1e308, 1e308, 1e308), (0, 0, 0))


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_control_point_at_no_place_does_no_harm(labeled, place):
    labeled.SetNthControlPointPosition(1, *place)
    told = fault(labeled)
    assert not told, told


def test_hundreds_of_control_points_do_no_harm(labeled):
    with slicer.util.NodeModify(labeled):
        for number in range(400):
            labeled.AddControlPoint(float(number % 50), 0.0, float(number), f"note {number}")
    assert not fault(labeled)


def test_a_scene_file_runs_nothing(labeled, tmp_path):
    """Attributes that look like code come back as text, after a way through a file."""
    marker = tmp_path / "ran"
    code = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    for attribute in ATTRIBUTES:
        labeled.SetAttribute(attribute, code)
    labeled.SetName(f"$(touch {marker})")
    labeled.SetNthControlPointLabel(0, code)
    labeled.SetNthControlPointDescription(0, code)
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path, properties={})
    slicer.mrmlScene.Clear()
    slicer.util.loadScene(path, properties={})
    (node,) = slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")
    assert not fault(node)
    assert not marker.exists()


PLACE = st.tuples(*[st.floats(-500, 500, allow_nan=False)] * 3)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.dictionaries(st.sampled_from(USUAL_LEVELS), PLACE, min_size=1, max_size=24),
    angles=st.tuples(*[st.floats(-3, 3)] * 3),
    offset=PLACE,
)
def test_labels_survive_the_way_through_a_node_under_any_rigid_transform(places, angles, offset):
    from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels

    slicer.mrmlScene.Clear()
    written = SpineLabels(tuple(LabeledPoint(level, ras, 0.5) for level, ras in places.items()))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    slicer.util.updateTransformMatrixFromArray(transform, rigid(angles, offset))
    node.SetAndObserveTransformNodeID(transform.GetID())
    points.writeLabels(node, written)
    read = points.readLabels(node)
    assert [point.level for point in read.points] == [point.level for point in written.points]
    np.testing.assert_allclose([p.ras for p in read.points], [p.ras for p in written.points], atol=1e-3)
    assert points.userPoints(node) == {}


def rigid(angles, offset) -> np.ndarray:
    """Turns about the three axes one after the other, then a shift."""
    matrix = np.eye(4)
    for axis, angle in enumerate(angles):
        turn, (a, b) = np.eye(4), [other for other in range(3) if other != axis]
        turn[[a, a, b, b], [a, b, a, b]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        matrix = turn @ matrix
    matrix[:3, 3] = offset
    return matrix


def test_a_sound_node_is_read_without_a_word(labeled):
    assert list(points.readLabels(labeled).by_level) == list(centers())
