"""Whether two volumes lie in one world: the same patient on the same table, or brought together by a transform."""

import slicer

from .dicom_report import instanceUIDs

FRAME_OF_REFERENCE, PATIENT_ID = "0020,0052", "0010,0020"
PATIENT = (PATIENT_ID, "0010,0010", "0010,0030")  # ID, name and date of birth: anonymizers leave one or another of them


def inOtherWorld(volumeNode, otherNode):
    """Whether it is known that places in one volume mean nothing in the other.

    It is, where DICOM says that they are of two patients, or of two frames of reference and no transform has brought
    them together. Of what came as no DICOM nothing is known: it shares Slicer's one world.
    """
    if volumeNode is None or otherNode is None or volumeNode is otherNode:
        return False
    if ofTwoPatients(volumeNode, otherNode):
        return True
    return not any(map(_isMoved, (volumeNode, otherNode))) and _differ(volumeNode, otherNode, FRAME_OF_REFERENCE)


def ofTwoPatients(volumeNode, otherNode):
    """Whether DICOM says that two volumes are of two patients."""
    return any(_differ(volumeNode, otherNode, tag) for tag in PATIENT)


def inSameFrame(volumeNode, otherNode):
    """Whether DICOM says that two volumes are of one patient and of one frame of reference, and none was moved."""
    values = [[_value(node, tag) for tag in (PATIENT_ID, FRAME_OF_REFERENCE)] for node in (volumeNode, otherNode)]
    isSame = "" not in values[0] and values[0] == values[1] and not ofTwoPatients(volumeNode, otherNode)
    return isSame and not any(map(_isMoved, (volumeNode, otherNode)))


def _isMoved(volumeNode):
    """Whether somebody has moved a volume; the acquisition transform of Slicer's DICOM reader moves slices only."""
    transform = volumeNode.GetParentTransformNode()
    return transform is not None and bool(transform.IsTransformToWorldLinear())


def _differ(volumeNode, otherNode, tag):
    values = [_value(node, tag) for node in (volumeNode, otherNode)]
    return "" not in values and values[0] != values[1]


def _value(volumeNode, tag):
    """A value of the header of the first image that a volume was read from; empty where it is not known."""
    uids, database = instanceUIDs(volumeNode), getattr(slicer, "dicomDatabase", None)
    if not uids or database is None or not database.isOpen:
        return ""
    return database.instanceValue(uids[0], tag).strip()
