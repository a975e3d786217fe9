"""Whether a list of vertebrae and the volume that they were found in have been moved apart since."""

from dataclasses import replace

import numpy as np
from VertebraLabelingLib.errors import InputError

from . import found_in
from .moved_together import FELT_MM
from .points import levelPoints, placesAsWritten, provenanceOf, sourceVolume
from .slice_geometry import geometryOf


def standApart(pointsNode):
    """Whether it is known that the points do not stand any more where their vertebrae are in their volume.

    It is where one of the two was moved by more than :data:`moved_together.FELT_MM`, by a transform or otherwise, and
    the other was not. New voxels are not looked at, so it is cheap. Where the volume is gone or the points remember
    none, nothing is known.
    """
    volumeNode, provenance = sourceVolume(pointsNode), provenanceOf(pointsNode)
    memory = found_in.recall(provenance)
    image = volumeNode.GetImageData() if volumeNode is not None else None
    if memory is None or image is None or tuple(image.GetDimensions()) != memory.state.size:
        return False
    try:
        state = replace(memory.state, ijkToWorld=geometryOf(volumeNode).ijkToWorld)
    except InputError:  # bent
        return True
    written = placesAsWritten(pointsNode)
    if found_in.misfit(provenance, "", "", state, written):
        return True
    points = {each.point.level: each.point for each in levelPoints(pointsNode)}
    places = found_in.placesNow(provenance, state, points, written)
    return any(np.linalg.norm(np.subtract(places[level], point.ras)) > FELT_MM for level, point in points.items())
