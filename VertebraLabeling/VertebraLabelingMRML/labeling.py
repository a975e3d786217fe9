"""Labeling a volume node: what goes in, what comes out, and what the user's own points have to say in it."""

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX
from VertebraLabelingLib.core.count_rules import AS_SEEN
from VertebraLabelingLib.core.counting import check_rule, rule_of
from VertebraLabelingLib.core.field_of_view import far_outside
from VertebraLabelingLib.core.label_warning import ASTRAY, LabelWarning, note
from VertebraLabelingLib.core.labels import CONFIRMED, GIVEN, PREDICTED, LabeledPoint, SpineLabels
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.formats.limits import is_place
from VertebraLabelingLib.solver.chain import relabel
from VertebraLabelingLib.solver.naming import (
    ContradictingNamesError,
    as_seen,
    counted_by,
    given_names,
    reading_of,
    seen_as,
)

from . import display, found_in, frames, slice_views
from .moved_together import isSameMotion, wholeMotion
from .points import (
    checkPointsNode,
    createPointsNode,
    levelPoints,
    placesAsWritten,
    pointsNodeOf,
    provenanceOf,
    sourceVolume,
    transformed,
    userPoints,
    wasLabeled,
    writeLabels,
)
from .volume_state import rigidMotion, stateOf
from .volumes import checkInScene, volumeAndNotes

SAME_PLACE_MM = 1e-3  # of a point that was handed to the engine and came back
ASTRAY_MM = 25.0  # nearer than the next vertebra but one: a settled point farther from all candidates is in none


class Labeler(Protocol):
    """What names the vertebrae of a volume; ``VertebraLabelingLib.pipeline.labeler.VertebraLabeler`` is one."""

    def label(self, volume: Volume, fixed=None, progress=None, cancelled=None) -> SpineLabels: ...


@dataclass(frozen=True)
class Request:
    """One run, checked before it starts.

    Attributes:
        volumeNode: the CT.
        volume: its voxels and world affine.
        pointsNode: the node to update, or ``None`` for that of another run that ends before this one, else a new one.
        newOutput: create a node even where another run has left one.
        kept: level -> :class:`LabeledPoint` of the user: a confirmed one stays as it is, a moved one where it is.
            Here and below vertebrae are named as what is seen, as the engine does, not by the rule.
        state: :class:`volume_state.VolumeState` of the volume before the run.
        settled: level -> :class:`LabeledPoint` that the user had settled in the node before the run, as they stood.
        places: level -> world RAS mm of all points of the node before the run.
        notes: :class:`LabelWarning` of the volume.
        count: by which rule the result is named, one of ``core.count_rules.RULES``.
        before: by which rule the node was named before the run.
        given: level -> name of the vertebrae that the user has named by this rule.
    """

    volumeNode: object
    volume: Volume
    pointsNode: object = None
    newOutput: bool = False
    kept: dict = field(default_factory=dict)
    state: object = None
    settled: dict = field(default_factory=dict)
    places: dict = field(default_factory=dict)
    notes: tuple = ()
    count: str = AS_SEEN
    before: str = AS_SEEN
    given: dict = field(default_factory=dict)

    @property
    def fixed(self):
        """level -> world RAS mm of the points whose level is settled, as the engine takes it."""
        return {level: point.ras for level, point in self.kept.items() if point.is_named}


def prepare(volumeNode, outputNode=None, fixed=None, newOutput=False, keep=None, count=None):
    """Check the nodes and collect the points that the user settled; changes nothing.

    Args:
        volumeNode: vtkMRMLScalarVolumeNode.
        outputNode: vtkMRMLMarkupsFiducialNode to write into; by default the one of an earlier run on this volume.
        fixed: level -> world RAS mm of further points that are known, named by the rule ``count``.
        newOutput: write into a new node even where an earlier run has left one.
        keep: what to do with settled points where the volume has changed since they were found in it, or where they
            were moved without it: ``None`` refuses, ``True`` uses them as they stand, ``False`` goes on without them.
            Vertebrae of another volume in ``outputNode`` are replaced only where it is not ``None``.
        count: by which rule a spine of unusual numbers is named, one of ``core.count_rules.RULES``; by default that of
            the earlier run, else what is seen. Where it is another than before, settled points get names by it.

    Raises:
        InputError: the volume or the output cannot be used, or is not in the scene;
            :class:`found_in.ChangedVolumeError` as told at ``keep``.
    """
    (volume, notes), state = volumeAndNotes(volumeNode), stateOf(volumeNode)
    checkInScene(volumeNode, *([outputNode] if outputNode is not None else []))
    pointsNode = outputNode
    if pointsNode is None and not newOutput:
        pointsNode = pointsNodeOf(volumeNode)
    settled, places, provenance = {}, {}, {}
    if pointsNode is not None:
        checkPointsNode(pointsNode)
        places, source = placesAsWritten(pointsNode), sourceVolume(pointsNode)
        if keep is None and levelPoints(pointsNode):
            _checkNotOfAnother(pointsNode, source, volumeNode, state)
        if source in (volumeNode, None):
            settled, provenance = userPoints(pointsNode), provenanceOf(pointsNode)
    kept = _kept(pointsNode, volumeNode, state, settled, places, keep) if settled else {}
    before, kept = _inNamesOf(provenance, settled), _inNamesOf(provenance, kept)
    count = check_rule(count or rule_of(before))
    reading = reading_of(before, count)
    given = given_names(kept) if count == rule_of(before) else {}
    kept = as_seen(kept).by_level
    for name, ras in (fixed or {}).items():
        if name not in LEVEL_INDEX or not is_place(ras):
            raise InputError(f"The known point {name!r} has no place or is no level: use C1-C7, T1-T13 or L1-L6.")
        level = seen_as(name, reading)
        kept[level] = LabeledPoint(level, tuple(float(value) for value in ras), 1.0, CONFIRMED)
        given[level] = name
        outside = far_outside([kept[level]], volume.corners)
        if outside is not None:
            raise InputError(
                f"The known point {name} lies {outside[1]:.0f} mm outside of {volumeNode.GetName()}: give its place in "
                "that volume, RAS mm."
            )
    given = given if reading.offset is not None else {}
    notes = (*map(note, notes), *frames.onlyShown(volumeNode))
    rule, settled = rule_of(before), as_seen(before).by_level
    return Request(volumeNode, volume, pointsNode, newOutput, kept, state, settled, places, notes, count, rule, given)


def _inNamesOf(provenance, points):
    """Points, level -> :class:`LabeledPoint`, as labels that are named as their provenance tells."""
    return SpineLabels(tuple(points.values()), provenance=provenance)


def _checkNotOfAnother(pointsNode, source, volumeNode, state):
    """Raise OtherVolumeError for a list with the vertebrae of another volume, also where that is gone."""
    provenance = provenanceOf(pointsNode)
    gone = source is None and found_in.isOfOtherVoxels(provenance, state)
    if gone or source not in (volumeNode, None):
        name = source.GetName() if source is not None else next(iter(found_in.volumeNamed(provenance)[1:]), "")
        raise found_in.OtherVolumeError(pointsNode.GetName(), name, volumeNode.GetName())


def _kept(pointsNode, volumeNode, state, settled, places, keep):
    provenance, name = provenanceOf(pointsNode), pointsNode.GetName()
    try:
        return dict(found_in.carriedOver(provenance, name, volumeNode, state, settled, places, keep))
    except found_in.ChangedVolumeError:
        if keep is None:
            raise
        return {}


def finish(request, labels):
    """Write the result of a run; returns the markups node. The first change to the scene is made here.

    What happened to the nodes during the run is respected: points that the user settled meanwhile are kept, and so is
    another rule of counting, a deleted output is made anew, that of another run on the volume is updated, and the
    points follow a volume that was moved.

    Raises:
        InputError: the voxels or the geometry of the volume have changed during the run, the output cannot take the
            points, or what the user has named does not fit the rule.
    """
    volumeNode, node, kept = request.volumeNode, request.pointsNode, dict(request.kept)
    count, given = request.count, request.given
    state = stateOf(volumeNode)
    moved, what = rigidMotion(volumeNode.GetName(), request.state, state)
    if what:
        raise InputError(f"{what} during the labeling, so its result does not fit any more: label it again.")
    if moved is not None:
        labels = transformed(labels, moved)
        kept = found_in.movedAlong(kept, moved, {level: point.ras for level, point in kept.items()})
    if node is not None and node.GetScene() is None:
        node = None
    elif node is None and not request.newOutput:
        node = pointsNodeOf(volumeNode)
    if node is not None and sourceVolume(node) in (volumeNode, None):
        _checkUnmoved(node, request.places, moved)
        now = _inNamesOf(provenanceOf(node), userPoints(node))
        kept = _withMeanwhile(kept, request.settled, as_seen(now).by_level)
        if node is request.pointsNode and rule_of(now) != request.before:  # chosen, or taken back, during the run
            count, given = rule_of(now), given_names(now)
    labels = _named(withAstray(withKept(labels, kept)), count, given)
    labels = _asGiven(labels, kept)
    labels = replace(labels, warnings=(*labels.warnings, *request.notes))
    labels = found_in.remembering(labels, state, volumeNode)
    if node is None:
        node = createPointsNode(volumeNode)
    new = not wasLabeled(node)
    before = {each.point.level: each.point for each in levelPoints(node)}
    writeLabels(node, labels, volumeNode, found_in.placesNow(provenanceOf(node), state, before, placesAsWritten(node)))
    if new:
        display.style(node)
    slice_views.arrange(node)
    return node


def _named(labels, count, given):
    """Labels under the names of a rule, around those that the user has given, level as seen -> name.

    Where these do not fit any more, because this run sees another number of vertebrae, the others are named again.

    Raises:
        InputError: they do not fit the rule.
    """
    said = {point.level for point in labels.points if point.is_named}
    given = {level: name for level, name in given.items() if level in said}
    try:
        return counted_by(labels, count, given)
    except ContradictingNamesError:
        places = {name: labels.by_level[level].ras for level, name in given.items()}
        return relabel(counted_by(labels, count), places)


def _asGiven(labels, kept):
    """The labels, in which given points are not taken for what a reader has confirmed."""
    given = [point.ras for point in kept.values() if point.status == GIVEN]
    points = (
        replace(point, status=GIVEN)
        if point.is_named and any(np.allclose(point.ras, ras, atol=SAME_PLACE_MM) for ras in given)
        else point
        for point in labels.points
    )
    return labels.with_points(tuple(points))


def _checkUnmoved(node, before, moved):
    """Raise InputError where the points were moved during the run, as a whole and without their volume."""
    together = wholeMotion(before, placesAsWritten(node))
    if together is not None and not isSameMotion(together, moved, list(before.values())):
        raise InputError(f"'{node.GetName()}' was moved during the labeling: put it back, and label again.")


def _withMeanwhile(kept, before, now):
    """The kept points, and what the user has done to the points of the node during the run."""
    kept = {level: point for level, point in kept.items() if level in now or level not in before}
    return {**kept, **{level: point for level, point in now.items() if before.get(level) != point}}


def withAstray(labels):
    """The labels, and a warning of settled points that are far from all that this run saw."""
    if labels.evidence is None or not len(labels.evidence.points):
        return labels
    settled = (point for point in labels.points if point.status != PREDICTED)
    levels = [
        point.level for point in settled if np.linalg.norm(labels.evidence.points - point.ras, axis=1).min() > ASTRAY_MM
    ]
    return replace(labels, warnings=(*labels.warnings, LabelWarning(ASTRAY, tuple(levels)))) if levels else labels


def withKept(labels, kept):
    """The labels with the user's confirmed points as they are, and with the moved ones where they are.

    Moving says where a vertebra is, not which: a moved point bears the level that this run gives it. Points that were
    named or confirmed during the run name the others, as a correction after it would.

    Raises:
        InputError: they contradict each other, or those that the run knew.
    """
    confirmed = {level: point for level, point in kept.items() if point.is_named}
    moved = [point for point in kept.values() if not point.is_named]
    known = {point.level: point.ras for point in labels.points if point.is_named}
    new = {
        level: point.ras
        for level, point in confirmed.items()
        if level not in known or not np.allclose(known[level], point.ras, atol=SAME_PLACE_MM)
    }
    if labels.evidence is None:  # nothing to name the others by
        kept = {**{point.level: point for point in moved}, **confirmed}
        others = [point for point in labels.points if point.level not in kept]
        return labels.with_points((*others, *kept.values()))
    if moved or new:
        labels = relabel(labels, new, placed=[point.ras for point in moved])
    taken, named = {point.ras for point in labels.points}, labels.by_level
    left = [point for point in moved if point.ras not in taken and point.level not in named]  # the chain has no room
    return labels.with_points((*labels.points, *left))


def label(
    volumeNode, labeler: Labeler, outputNode=None, fixed=None, progress=None, cancelled=None, keep=None, count=None
):
    """Label a CT volume node and return the markups node; blocks. Arguments as in :func:`prepare`."""
    request = prepare(volumeNode, outputNode, fixed, keep=keep, count=count)
    labels = labeler.label(request.volume, fixed=request.fixed or None, progress=progress, cancelled=cancelled)
    return finish(request, labels)
