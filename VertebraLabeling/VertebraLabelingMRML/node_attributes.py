"""What a markups node keeps of its vertebrae besides the control points, and how all of it is changed at once."""

import json
from contextlib import contextmanager

import slicer
from VertebraLabelingLib.errors import InputError

MODEL = "VertebraLabeling.model"
PROVENANCE = "VertebraLabeling.provenance"
WARNINGS = "VertebraLabeling.warnings"
EVIDENCE = "VertebraLabeling.evidence"
WRITTEN = "VertebraLabeling.written"
VOLUME = "VertebraLabeling.volume"  # the role of a node reference
STRAIGHTENED = "VertebraLabeling.straightened"  # of a straightened spine: the ID of the volume that it was made from
OWN_ATTRIBUTES = (MODEL, PROVENANCE, WARNINGS, EVIDENCE, WRITTEN)


def checkIsNode(node):
    """Raise InputError for what scripts may give in place of a node: its name or ID, a file, or an array."""
    if not isinstance(node, slicer.vtkMRMLNode):
        given = "A text" if isinstance(node, str) else f"An object of the type {type(node).__name__}"
        raise InputError(f"{given} is no node: give the node itself, as slicer.util.getNode('CT') returns it.")


def jsonOf(node, attribute, default):
    """A JSON attribute; scene files are data and may be damaged, then the default stands in."""
    checkIsNode(node)
    try:
        value = json.loads(node.GetAttribute(attribute) or "null")
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
