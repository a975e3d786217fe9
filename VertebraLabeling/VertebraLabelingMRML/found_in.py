"""What points remember of the volume that they were found in, and what has become of both since.

A point that the user has moved or confirmed is handed to every later run. It must not be handed to another picture:
where the voxels were replaced (a frame of a sequence, a crop, a hardened warp), or where the points were moved without
their volume, the point may stand in another vertebra, and all levels would be counted from it. So each run leaves in
the provenance of its labels which volume it was, its size, a digest of its voxels, where its slices lay and where the
points stood: whatever brings the labels back, undo or a scene file, brings that memory with them. Scenes without it are
trusted.
"""

from dataclasses import dataclass, replace

import numpy as np
import slicer
from VertebraLabelingLib.core.labels import PREDICTED
from VertebraLabelingLib.core.volume import FARTHEST_MM, apply_affine
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.formats.limits import is_stored_place

from .control_points import SAME_VERTEBRA_MM
from .moved_together import isSameMotion, wholeMotion
from .slice_geometry import geometryOf
from .volume_state import UNMOVED_MM, VolumeState, isGeometry, isPicture, isRigid, motion, rigidMotion, stateOf

FOUND_IN = "found_in"  # in SpineLabels.provenance


class ChangedVolumeError(InputError):
    """The volume is not the one any more that the settled points were found in.

    Attributes:
        what: what happened, a main clause without its full stop.
        levels: the points that the user moved or confirmed.
    """

    def __init__(self, what, levels):
        self.what, self.levels = what, tuple(levels)
        offer = "label into a new point list, or call label with keep=True once you have checked these points."
        super().__init__(self.sentence(offer))

    def sentence(self, offer):
        """What happened, and another offer than scripts get: the end of the sentence."""
        return (
            f"{self.what} since its points were found, and what you moved or confirmed ({_few(self.levels)}) may stand "
            f"in another vertebra now: {offer}"
        )


class OtherVolumeError(ChangedVolumeError):
    """The point list holds the vertebrae of another volume, which a run would replace."""

    def __init__(self, pointsName, otherName, name):
        self.what = f"'{pointsName}' holds the vertebrae of '{otherName}', which those of '{name}' would replace"
        self.levels = ()
        InputError.__init__(self, f"{self.what}: choose another point list, or call label with keep=True.")

    def sentence(self, offer):
        """What would happen, as a question; an offer to keep points in a changed volume does not fit."""
        return f"{self.what}: replace them, or cancel and choose another point list?"


@dataclass(frozen=True)
class Memory:
    """What labels remember: the volume, and level -> world RAS mm of the vertebrae while it was so."""

    state: VolumeState
    places: dict


def remembering(labels, state, volumeNode=None):
    """The labels with the volume that they were found in; where no node is given, the one remembered before."""
    places = {point.level: point.ras for point in labels.points}
    named = [volumeNode.GetID(), volumeNode.GetName()] if volumeNode is not None else volumeNamed(labels.provenance)
    return _withMemory(labels, Memory(state, places), named)


def _withMemory(labels, memory, named):
    state = memory.state
    data = {
        "volume": named,
        "size": list(state.size),
        "digest": state.digest,
        "ijkToWorld": np.asarray(state.ijkToWorld).tolist(),
        "places": {level: _rounded(ras) for level, ras in memory.places.items()},
    }
    if state.beside is not None:
        data["beside"] = [_rounded(each) for each in state.beside]
    return replace(labels, provenance={**labels.provenance, FOUND_IN: data})


def _rounded(ras):
    return [round(float(value), 3) for value in ras]


def volumeNamed(provenance):
    """[ID, name] of the volume node that labels were found in; empty in older scenes, or where it is damaged."""
    memory = provenance.get(FOUND_IN)
    named = memory.get("volume") if isinstance(memory, dict) else None
    good = isinstance(named, list) and len(named) == 2 and all(isinstance(each, str) for each in named)
    return named if good else []


def rememberedVolume(scene, provenance, changed=False):
    """The volume node of that name, with the voxels that labels were found in; ``None`` where it is not there any more.

    Where a scene was imported, another volume may have its ID and name, and it another ID.

    Args:
        changed: take that of its ID too, where no volume has these voxels any more.
    """
    named, memory = volumeNamed(provenance), recall(provenance)
    if scene is None or not named or memory is None:
        return None
    nodes = [
        node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene) if node.GetName() == named[1]
    ]
    nodes.sort(key=lambda node: node.GetID() != named[0])
    same = next((node for node in nodes if isPicture(node, memory.state)), None)
    return same or next((node for node in nodes if changed and node.GetID() == named[0]), None)


def renewed(labels, before, standing, volumeNode):
    """After a correction: the labels remember where their vertebrae would be, had nothing been moved since the run.

    Args:
        labels: with what they remembered before the correction.
        before: level -> world RAS mm of the points in their node before the correction, under the names that were
            written last (:func:`points.placesAsWritten`).
        standing: (N, 3) all points that stood there then.
        volumeNode: that they were found in.
    """
    memory = recall(labels.provenance)
    if memory is None or volumeNode is None:
        return labels
    try:
        moved = _motionOf(volumeNode, memory.state)
    except InputError:  # bent: the next run tells
        return labels
    together = wholeMotion(memory.places, before)
    old = np.array(list(memory.places.values())).reshape(-1, 3)
    stood = old if together is None else apply_affine(together, old)
    ofList = np.eye(4) if together is None else together
    ofHand = moved if together is None and moved is not None and isRigid(moved) else ofList

    def placeOf(ras):
        apart = np.linalg.norm(stood - ras, axis=1)
        if apart.min(initial=np.inf) < UNMOVED_MM:
            return old[apart.argmin()]
        byHand = np.linalg.norm(standing - ras, axis=1).min(initial=np.inf) < UNMOVED_MM  # else by the correction
        return apply_affine(np.linalg.inv(ofHand if byHand else ofList), [ras])[0]

    places = {point.level: placeOf(point.ras) for point in labels.points}
    return _withMemory(labels, Memory(memory.state, places), volumeNamed(labels.provenance))


def _motionOf(volumeNode, before):
    """(4, 4) by which a volume was moved since it was in this state, whatever its voxels; ``None`` for not at all."""
    return motion(before.ijkToWorld, geometryOf(volumeNode).ijkToWorld, before.size)


def affirmed(labels, before, volumeNode, levels):
    """After the user has confirmed ``levels``: where these are all settled points, they hold in the voxels as they are.

    So do points that were moved without their volume. A volume that was only moved is left to the next run, which finds
    out what has gone along. Arguments as of :func:`renewed`.
    """
    memory = recall(labels.provenance)
    others = [point.level for point in labels.points if point.status != PREDICTED and point.level not in levels]
    if memory is None or volumeNode is None or others or not levels:
        return labels
    try:
        state = stateOf(volumeNode)
    except InputError:
        return labels
    return remembering(labels, state) if _whatHasChanged(memory, "", state, before, "") else labels


def recall(provenance):
    """What labels remember (:class:`Memory`); ``None`` in older scenes, or where it is damaged."""
    try:
        data = provenance[FOUND_IN]
        size, digest = tuple(data["size"]), data["digest"]
        matrix, places = np.array(data["ijkToWorld"], dtype=float), dict(data["places"])
        beside = np.array(data["beside"], dtype=float) if "beside" in data else None
        np.linalg.inv(matrix)
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError, np.linalg.LinAlgError):
        return None
    good = matrix.shape == (4, 4) and len(size) == 3 and isinstance(digest, str) and isGeometry(matrix)
    if not good or not all(type(count) is int and 0 < count < 1e6 for count in size):
        return None
    if beside is not None and not (beside.shape == (size[2], 3) and np.abs(beside).max() < FARTHEST_MM):
        return None
    places = {level: tuple(ras) for level, ras in places.items() if is_stored_place(ras)}
    return Memory(VolumeState(size, digest, matrix, beside), places)


def _whatHasChanged(memory, name, state, now, pointsName):
    """Why points cannot be taken as they stand, a main clause without its full stop; "" where they can.

    Args:
        memory: :class:`Memory` of the points.
        name, pointsName: of the volume and of the point list, for the words.
        state: of the volume now.
        now: level -> world RAS mm of the points of the list, under the names that were written last.
    """
    moved, what = rigidMotion(name, memory.state, state)
    together = wholeMotion(memory.places, now)
    if what or together is None or isSameMotion(together, moved, list(memory.places.values())):
        return what
    return f"'{pointsName}' was moved without '{name}'"


def carriedOver(provenance, pointsName, volumeNode, state, settled, now, keep=None):
    """The settled points as a run on this volume may use them: moved along where the volume was moved.

    Args:
        provenance: of the labels of their node.
        pointsName: name of their node.
        state: :class:`VolumeState` of the volume now.
        settled: level -> :class:`LabeledPoint`.
        now: level -> world RAS mm of the points of the node, under the names that were written last.
        keep: use them as they stand where the voxels or the geometry have changed, or the points were moved alone.

    Raises:
        ChangedVolumeError: they have changed, and ``keep`` is not true.
    """
    memory = recall(provenance)
    if memory is None or not settled:
        return settled
    what = _whatHasChanged(memory, volumeNode.GetName(), state, now, pointsName)
    if not what:
        return _carried(memory, state, settled, now)
    if not keep:
        raise ChangedVolumeError(what, settled)
    return settled


def isOfOtherVoxels(provenance, state):
    """Whether labels were found in other voxels than those of this ``state``; not so where they remember none."""
    memory = recall(provenance)
    return memory is not None and (memory.state.size, memory.state.digest) != (state.size, state.digest)


def misfit(provenance, pointsName, name, state, now):
    """Why points cannot be taken for those of a volume in this ``state``, a main clause; "" where they can.

    Args:
        provenance: of the labels of their node; where it remembers nothing (older scenes), they are trusted.
        pointsName, name: of the point list and of the volume, for the words.
        now: as of :func:`carriedOver`.
    """
    memory = recall(provenance)
    return _whatHasChanged(memory, name, state, now, pointsName) if memory is not None else ""


def placesNow(provenance, state, points, now):
    """level -> world RAS mm where vertebrae that were found earlier are now that the volume may have been moved.

    Args:
        points: level -> :class:`LabeledPoint`.
        now: as of :func:`carriedOver`.
    """
    memory = recall(provenance)
    points = _carried(memory, state, points, now) if memory else points
    return {level: point.ras for level, point in points.items()}


def _carried(memory, state, points, now):
    """Points of a list where the volume is now; those of a list that was moved as a whole stay where they are."""
    moved, _ = rigidMotion("", memory.state, state)
    alone = moved is not None and wholeMotion(memory.places, now) is None
    return movedAlong(points, moved, memory.places) if alone else points


def movedAlong(points, matrix, places):
    """Points of a volume that was moved by ``matrix``; those that have gone along already stay where they are.

    Args:
        points: level -> :class:`LabeledPoint`.
        places: level -> world RAS mm of the vertebrae before the volume was moved.
    """
    known = np.array(list(places.values())).reshape(-1, 3)
    gone = apply_affine(matrix, known)
    rows = {level: row for row, level in enumerate(places)}

    def hasGoneAlong(level, ras):
        apart = np.array([np.linalg.norm(which - ras, axis=1) for which in (known, gone)])
        own = apart[:, rows[level]] if level in rows else np.full(2, np.inf)
        stayed, went = own if own.min() < SAME_VERTEBRA_MM else apart.min(axis=1, initial=np.inf)
        return went < stayed

    return {
        level: point if hasGoneAlong(level, point.ras) else _movedBy(matrix, point) for level, point in points.items()
    }


def _movedBy(matrix, point):
    return replace(point, ras=tuple(apply_affine(matrix, [point.ras])[0].tolist()))


def _few(levels):
    """Names of levels, as many as a sentence has room for."""
    levels = list(levels)
    return ", ".join(levels) if len(levels) <= 3 else f"{levels[0]} and {len(levels) - 1} others"
