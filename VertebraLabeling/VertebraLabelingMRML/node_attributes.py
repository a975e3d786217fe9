"""What a markups node keeps of its vertebrae besides the control points, and how all of it is changed at once."""

import json
from contextlib import contextmanager

import slicer

MODEL = "VertebraLabeling.model"
PROVENANCE = "VertebraLabeling.provenance"
WARNINGS = "VertebraLabeling.warnings"
EVIDENCE = "VertebraLabeling.evidence"
WRITTEN = "VertebraLabeling.written"
VOLUME = "VertebraLabeling.volume"  # the role of a node reference
STRAIGHTENED = "VertebraLabeling.straightened"  # of a straightened spine: the ID of the volume that it was made from
OWN_ATTRIBUTES = (MODEL, PROVENANCE, WARNINGS, EVIDENCE, WRITTEN)


def jsonOf(pointsNode, attribute, default):
    """A JSON attribute; scene files are data and may be damaged, then the default stands in."""
    try:
        value = json.loads(pointsNode.GetAttribute(attribute) or "null")
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, type(default)) else default


@contextmanager
def allOrNothing(pointsNode):
    """One change of a node: others hear of it once, and whatever is raised inside, the node becomes what it was."""
    before = slicer.vtkMRMLMarkupsFiducialNode()
    before.CopyContent(pointsNode)
    attributes = {name: pointsNode.GetAttribute(name) for name in OWN_ATTRIBUTES}
    volumeID = pointsNode.GetNodeReferenceID(VOLUME)
    with slicer.util.NodeModify(pointsNode):
        try:
            yield
        except BaseException:
            pointsNode.CopyContent(before)
            for name, value in attributes.items():
                pointsNode.SetAttribute(name, value)
            pointsNode.SetNodeReferenceID(VOLUME, volumeID)
            raise
