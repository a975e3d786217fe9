"""Points of one volume carried to another volume of the patient: a new point list, and how sure it is."""

from dataclasses import dataclass, replace

from VertebraLabelingLib.core.label_warning import note
from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.errors import InputError

from . import display, found_in, slice_views
from .dicom_report import frameOfReference
from .engine import carry
from .points import belongsTo, checkPointsNode, createPointsNode, levelPoints, readLabels, writeLabels
from .same_world import inOtherWorld, ofTwoPatients
from .volume_state import stateOf
from .volumes import checkInScene, volumeFromNode


@dataclass(frozen=True)
class CarriedPoints:
    """What came of it.

    Attributes:
        pointsNode: the new vtkMRMLMarkupsFiducialNode.
        errorMm: estimate of the mean error; 0 where nothing had to be computed.
        errorsMm: the same of each, by level.
        leftOut: levels that do not lie in the other volume.
        message: one sentence for the user.
    """

    pointsNode: object
    errorMm: float
    errorsMm: dict
    leftOut: tuple
    message: str


def carryTo(volumeNode, pointsNode, targetNode, sameFrame=None, progress=None, cancelled=None):
    """Carry the vertebrae of a volume to another one; blocks. Nothing is changed in the scene before the end.

    Args:
        volumeNode: CT or MR of the points, under any linear transform.
        pointsNode: its vertebrae.
        targetNode: vtkMRMLScalarVolumeNode of the same patient.
        sameFrame: whether both lie in one frame of reference, so that places are the same; by default where both say
            the same DICOM frame of reference UID, and neither stands elsewhere than it was loaded. Volumes of two
            patients, as DICOM says, are refused by default.
        progress, cancelled: as in :func:`labeling.label`.

    Returns:
        :class:`CarriedPoints`.

    Raises:
        VertebraLabelingError: the nodes cannot be used, or the scans do not fit together, or not well enough.
    """
    checkPointsNode(pointsNode)
    source, target = volumeFromNode(volumeNode), volumeFromNode(targetNode)
    checkInScene(volumeNode, pointsNode, targetNode)
    if volumeNode is targetNode:
        raise InputError("The points belong to this volume already: choose another volume.")
    if belongsTo(pointsNode, volumeNode) is False:
        raise InputError(
            f"The points of '{pointsNode.GetName()}' were not found in '{volumeNode.GetName()}': choose their volume."
        )
    if sameFrame not in (None, True, False):
        raise InputError("Whether both share their world coordinates is True, False or None: give one of these.")
    if sameFrame is None and ofTwoPatients(volumeNode, targetNode):
        raise InputError(
            f"'{volumeNode.GetName()}' and '{targetNode.GetName()}' are of two patients, as their DICOM headers say: "
            "choose another volume, or register them all the same by sameFrame=False."
        )
    labels = readLabels(pointsNode)
    labels = replace(labels, points=tuple(each.point for each in levelPoints(pointsNode)))
    if sameFrame is None:
        sameFrame = inOneFrame(volumeNode, targetNode)
    carried = carry(source, labels, target, sameFrame, progress, cancelled)
    kept = {key: value for key, value in labels.provenance.items() if key.startswith(("model", "weights"))}
    warnings = (*labels.warnings, note(str(carried)))
    made = found_in.remembering(SpineLabels(carried.labels.points, warnings, kept), stateOf(targetNode), targetNode)
    node = createPointsNode(targetNode)
    writeLabels(node, made, targetNode)
    display.style(node)
    slice_views.arrange(node)
    return CarriedPoints(node, carried.error_mm, carried.errors_mm, carried.left_out, str(carried))


def inOneFrame(volumeNode, other):
    """Whether two volumes say one DICOM frame of reference and the same patient, and stand under the same transform.

    Anonymizers give many patients one frame of reference. The places of all images are compared with where they lie,
    because nothing is computed where this is true.
    """
    if volumeNode.GetTransformNodeID() != other.GetTransformNodeID() or inOtherWorld(volumeNode, other):
        return False
    frame = frameOfReference(volumeNode)
    return bool(frame) and frame == frameOfReference(other)
