"""Vertebra labels as a markups node: writing them, reading them back, and seeing what the user changed.

Each vertebra is one control point: label = level, description = :attr:`LabeledPoint.description`. The node
carries what is needed to name the points again in a later session: the evidence of the solver, the model, warnings,
and a reference to the volume. Evidence and positions are kept in the node's own coordinates, so they stay together
when the node is put under a transform.

A point that the user dragged, renamed or placed while the module was not looking is recognized by comparing the node
with the record of what was last written.
"""

import json
from dataclasses import dataclass, replace

import numpy as np
import slicer
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.label_warning import LabelWarning
from VertebraLabelingLib.core.labels import CONFIRMED, MOVED, PREDICTED, LabeledPoint, SpineLabels
from VertebraLabelingLib.core.stored_sentences import from_sentence
from VertebraLabelingLib.core.volume import apply_affine
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.formats.limits import is_stored_place
from VertebraLabelingLib.solver.corrected_evidence import after_moves

from . import control_points, found_in
from .node_attributes import (
    EVIDENCE,
    MODEL,
    PROVENANCE,
    STRAIGHTENED,
    VOLUME,
    WARNINGS,
    WRITTEN,
    allOrNothing,
    checkIsNode,
    jsonOf,
)
from .slice_geometry import localToWorld

MOVED_MM = 0.5  # a point that moved by less was not dragged: a slip of the mouse in a click


@dataclass(frozen=True)
class NodePoint:
    """A control point that bears the name of a level: where it stands in the node, and its label."""

    index: int
    point: LabeledPoint


def createPointsNode(volumeNode, name=None):
    """Add a markups node for the vertebrae of a volume to the scene, named after it or after ``name``."""
    plain = (name or volumeNode.GetName()).replace("%", "_")  # Slicer takes it for a format of the points' labels
    name = slicer.mrmlScene.GenerateUniqueName(f"{plain} vertebrae")
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    node.CreateDefaultDisplayNodes()
    _putBeside(node, volumeNode)
    return node


def _putBeside(node, volumeNode):
    """Place a node where the volume stands in the subject hierarchy, e.g. in its DICOM study."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if hierarchy is None:
        return
    item, volumeItem = (hierarchy.GetItemByDataNode(each) for each in (node, volumeNode))
    if item and volumeItem:  # 0 where the hierarchy does not know the node
        hierarchy.SetItemParent(item, hierarchy.GetItemParent(volumeItem))


def wasLabeled(pointsNode):
    """Whether this module has written vertebrae into the node."""
    return pointsNode.GetAttribute(PROVENANCE) is not None


def areVertebrae(pointsNode):
    """Whether the points of a node are vertebrae: labeled by this module, or read from a file and named as levels.

    Those of a straightened spine are not: they stand nowhere in the patient.
    """
    if pointsNode.GetAttribute(STRAIGHTENED):
        return False
    return wasLabeled(pointsNode) or 0 < len(levelPoints(pointsNode)) == pointsNode.GetNumberOfDefinedControlPoints()


def provenanceOf(pointsNode):
    """``SpineLabels.provenance`` of the node's labels; empty where there is none."""
    return jsonOf(pointsNode, PROVENANCE, {})


def pointsNodeOf(volumeNode):
    """The newest markups node whose points were found in this volume, or ``None``; clones are the user's copies."""
    nodes = slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode") if volumeNode is not None else []
    return next((node for node in reversed(nodes) if node.GetNodeReference(VOLUME) is volumeNode), None)


def sourceVolume(pointsNode):
    """The volume node that the points were found in; ``None`` when unknown or deleted.

    Clones have no reference to it, as Slicer copies none, but remember it.
    """
    checkIsNode(pointsNode)
    volumeNode = pointsNode.GetNodeReference(VOLUME)
    return volumeNode or found_in.rememberedVolume(pointsNode.GetScene(), provenanceOf(pointsNode))


def belongsTo(pointsNode, volumeNode):
    """Whether points are those of this volume: found in it, or in one of its name that is gone.

    ``None`` where it is not known in what they were found: placed by hand, read from a file, or none at all.
    """
    source, named = sourceVolume(pointsNode), found_in.volumeNamed(provenanceOf(pointsNode))
    if source is not None:
        return source is volumeNode
    return named[1] == volumeNode.GetName() if named else None


def writeLabels(pointsNode, labels, volumeNode=None, places=None):
    """Replace the vertebrae of a node by ``labels``; control points that are no vertebral level stay.

    A vertebra keeps its control point, with all that the user set there (lock, visibility, color).

    Args:
        pointsNode: vtkMRMLMarkupsFiducialNode, under any linear transform.
        labels: :class:`SpineLabels`, world RAS mm.
        volumeNode: the volume they were found in; left as it is when not given.
        places: level -> world RAS mm of the vertebrae before, where the volume was moved.

    Raises:
        InputError: the node cannot take that many points. Whatever is raised, the node is as it was.
    """
    if volumeNode is None:
        volumeNode = pointsNode.GetNodeReference(VOLUME)
        labels = _renewed(pointsNode, labels)
    _write(pointsNode, labels, volumeNode, places)


def _renewed(pointsNode, labels):
    return found_in.renewed(labels, placesAsWritten(pointsNode), placesOf(pointsNode), sourceVolume(pointsNode))


def restoreLabels(pointsNode, labels):
    """Write ``labels`` that were read from the node before, with the volume that they were found in then.

    A clone refers to no volume, and goes on so.

    Raises:
        InputError: as of :func:`writeLabels`.
    """
    volumeNode, named = pointsNode.GetNodeReference(VOLUME), found_in.volumeNamed(labels.provenance)
    same = named == found_in.volumeNamed(provenanceOf(pointsNode))
    if volumeNode is not None and not same and (named or not labels.provenance):
        volumeNode = found_in.rememberedVolume(pointsNode.GetScene(), labels.provenance, changed=True)
    _write(pointsNode, labels, volumeNode)


def _write(pointsNode, labels, volumeNode, places=None):
    plan = control_points.plan(pointsNode, labels.points, places)
    evidence = _moveEvidence(labels.evidence, np.linalg.inv(localToWorld(pointsNode)))
    model = str(labels.provenance.get("model", "")).encode("utf-8", "replace").decode("utf-8")
    attributes = {
        MODEL: model,
        PROVENANCE: json.dumps(labels.provenance),
        WARNINGS: json.dumps([warning.to_json() for warning in labels.warnings]),
        EVIDENCE: evidence.to_json() if evidence else None,
    }
    with allOrNothing(pointsNode):
        for index, point in zip(control_points.apply(pointsNode, plan, labels.points), labels.points):
            _writePoint(pointsNode, index, point)
        pointsNode.SetNodeReferenceID(VOLUME, volumeNode.GetID() if volumeNode is not None else None)
        for name, value in attributes.items():
            pointsNode.SetAttribute(name, value)
        recordWritten(pointsNode)
    _updateDerived(pointsNode)


def _updateDerived(pointsNode):
    from .discs import updateDiscs  # which reads points

    updateDiscs(pointsNode)


def _writePoint(pointsNode, index, point):
    """Make a control point show a vertebra; what is right already is left alone."""
    defined = pointsNode.GetNthControlPointPositionStatus(index) == slicer.vtkMRMLMarkupsNode.PositionDefined
    if not defined or np.abs(np.subtract(pointsNode.GetNthControlPointPositionWorld(index), point.ras)).max() > 1e-6:
        pointsNode.SetNthControlPointPositionWorld(index, list(point.ras))
    pointsNode.SetNthControlPointLabel(index, point.level)
    pointsNode.SetNthControlPointDescription(index, point.description)


def readLabels(pointsNode):
    """The vertebrae of a node as :class:`SpineLabels` in world RAS mm; what the user changed has its status.

    Raises:
        InputError: this is no point list, a level is used twice, or the evidence kept with the node is damaged.
    """
    checkIsPointList(pointsNode)
    text = pointsNode.GetAttribute(EVIDENCE)
    evidence = _moveEvidence(Evidence.from_json(text), localToWorld(pointsNode)) if text else None
    found = levelPoints(pointsNode)
    labels = SpineLabels(
        points=tuple(nodePoint.point for nodePoint in found),
        warnings=_warnings(pointsNode),
        provenance=provenanceOf(pointsNode),
        evidence=evidence,
    )
    return labels if evidence is None else replace(labels, evidence=_followMoved(pointsNode, labels, found))


def _followMoved(pointsNode, labels, found):
    """The evidence of points that were dragged since they were written stands where they stand now."""
    written, toWorld = _record(pointsNode), localToWorld(pointsNode)
    before, moves = [], []
    for each in found:
        record = written.get(pointsNode.GetNthControlPointID(each.index))
        place = tuple(apply_affine(toWorld, [record[1:]])[0].tolist()) if record else each.point.ras
        before.append(replace(each.point, ras=place))
        if record and _distance(record[1:], _localPosition(pointsNode, each.index)) > MOVED_MM:
            moves.append((place, each.point.ras))
    return after_moves(labels.with_points(tuple(before)), labels.evidence, moves) if moves else labels.evidence


def levelPoints(pointsNode):
    """The control points whose label is a level, in the node's order, as :class:`NodePoint` (world RAS mm).

    Points that stand nowhere (not placed yet, not a number) are left out.

    Raises:
        InputError: this is no point list.
    """
    checkIsPointList(pointsNode)
    written = _record(pointsNode)
    placed = [(index, level) for index, level, placed in control_points.levelIndices(pointsNode) if placed]
    return [NodePoint(index, _labeledPoint(pointsNode, index, level, written)) for index, level in placed]


def hasPoints(pointsNode):
    """Whether any vertebra stands somewhere: whether :func:`levelPoints` finds one.

    Raises:
        InputError: this is no point list.
    """
    checkIsPointList(pointsNode)
    return any(placed for _index, _level, placed in control_points.levelIndices(pointsNode))


def headToFoot(pointsNode):
    """:func:`levelPoints` in the order of the spine; none of ``None``."""
    found = levelPoints(pointsNode) if pointsNode is not None else []
    return sorted(found, key=lambda each: LEVEL_INDEX[each.point.level])


def placesOf(pointsNode):
    """(N, 3) places of the vertebrae, world RAS mm, head to foot."""
    return np.array([each.point.ras for each in headToFoot(pointsNode)]).reshape(-1, 3)


def placesAsWritten(pointsNode):
    """level -> world RAS mm where the points are now that were written last, under the names that they had then."""
    written = _record(pointsNode)
    found = ((pointsNode.GetNthControlPointID(each.index), each.point.ras) for each in levelPoints(pointsNode))
    return {written[pointID][0]: ras for pointID, ras in found if pointID in written}


def userPoints(pointsNode):
    """level -> :class:`LabeledPoint` of the vertebrae that the user moved, named, placed or confirmed.

    Raises:
        InputError: two of them bear one level.
    """
    points = [each.point for each in levelPoints(pointsNode) if each.point.status != PREDICTED]
    return SpineLabels(tuple(points)).by_level


def updateStatus(pointsNode):
    """Write the status of points that the user changed into their descriptions; returns their levels.

    Points that were dragged are remembered where they are now (:mod:`.found_in`).
    """
    control_points.mendNames(pointsNode)
    changed = []
    for index, point in ((each.index, each.point) for each in levelPoints(pointsNode)):
        if pointsNode.GetNthControlPointDescription(index) != point.description:
            pointsNode.SetNthControlPointDescription(index, point.description)
            changed.append(point.level)
    if changed:
        labels = SpineLabels(tuple(each.point for each in levelPoints(pointsNode)), (), provenanceOf(pointsNode))
        labels = _renewed(pointsNode, labels)
        if labels.provenance:
            pointsNode.SetAttribute(PROVENANCE, json.dumps(labels.provenance))
        _updateDerived(pointsNode)
    return changed


def recordWritten(pointsNode):
    """Remember labels and positions as they are now: later differences are the user's."""
    record = {
        pointsNode.GetNthControlPointID(each.index): [each.point.level, *_localPosition(pointsNode, each.index)]
        for each in levelPoints(pointsNode)
    }
    pointsNode.SetAttribute(WRITTEN, json.dumps(record, separators=(",", ":")))


def _record(pointsNode):
    """What :func:`recordWritten` left: control point ID -> [level, x, y, z]; entries of another form are left out."""
    entries = jsonOf(pointsNode, WRITTEN, {}).items()
    return {
        key: entry
        for key, entry in entries
        if isinstance(entry, list) and entry and isinstance(entry[0], str) and is_stored_place(entry[1:])
    }


def _labeledPoint(pointsNode, index, level, written):
    ras = tuple(float(value) for value in pointsNode.GetNthControlPointPositionWorld(index))
    record = written.get(pointsNode.GetNthControlPointID(index))
    if written and (record is None or record[0] != level):
        return LabeledPoint(level, ras, 1.0, CONFIRMED)  # placed or named by the user
    point = LabeledPoint.described(level, ras, pointsNode.GetNthControlPointDescription(index))
    if record and _distance(record[1:], _localPosition(pointsNode, index)) > MOVED_MM:
        return replace(point, status=MOVED) if point.status == PREDICTED else point  # a place is settled, not a level
    return point


def _distance(one, other):
    """Of two places, along the axis on which they differ most; plain numbers, as this is asked for each redraw."""
    return max(abs(a - b) for a, b in zip(one, other))


def _localPosition(pointsNode, index):
    return [round(value, 3) for value in pointsNode.GetNthControlPointPosition(index)]


def transformed(labels, matrix):
    """The labels with points and evidence mapped by a (4, 4) matrix."""
    places = apply_affine(matrix, [point.ras for point in labels.points]).tolist()
    points = tuple(replace(point, ras=tuple(place)) for point, place in zip(labels.points, places))
    return replace(labels, points=points, evidence=_moveEvidence(labels.evidence, matrix))


def _moveEvidence(evidence, matrix):
    """The same evidence in other coordinates."""
    if evidence is None:
        return None
    moved = {name: apply_affine(matrix, getattr(evidence, name)) for name in ("points", "corners")}
    return replace(evidence, **moved)


def _warnings(pointsNode):
    """The warnings kept with a node, as data or, in older scenes, as sentences; what is neither is left out."""
    entries = jsonOf(pointsNode, WARNINGS, [])
    read = (from_sentence(each) if isinstance(each, str) else LabelWarning.from_json(each) for each in entries)
    return tuple(warning for warning in read if warning is not None)


def checkIsPointList(pointsNode):
    """Raise InputError for ``None``, for nodes of other kinds, and for what is no node."""
    if pointsNode is None:
        raise InputError("No point list is chosen: label the volume first, or choose its points.")
    checkIsNode(pointsNode)
    if pointsNode.GetClassName() != "vtkMRMLMarkupsFiducialNode":
        raise InputError(f"'{pointsNode.GetName()}' is not a point list: choose or create a point list for the output.")


def checkPointsNode(pointsNode):
    """Raise InputError unless the node can take vertebra points."""
    checkIsPointList(pointsNode)
    if pointsNode.GetAttribute(STRAIGHTENED):
        raise InputError(f"'{pointsNode.GetName()}' shows a straightened spine: choose the points of the scan itself.")
    localToWorld(pointsNode)
    if not control_points.levelIndices(pointsNode):
        control_points.checkRoom(pointsNode, added=1)
