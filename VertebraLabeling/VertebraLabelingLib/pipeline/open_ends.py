"""Tell the user where the image shows more of the patient beyond an end of the spine, and no vertebra was seen there.

The solver tells of a level that the detection network sees somewhere in the scan. Where the network recognizes nothing
(cone-beam CT, heavy noise), only the image tells that the spine goes on.
"""

from __future__ import annotations

import numpy as np

from ..core.anatomy import LEVEL_INDEX
from ..core.field_of_view import distance_to_face
from ..core.label_warning import BEYOND, END, LabelWarning
from ..core.labels import SpineLabels
from ..core.parameters import SHIPPED, EndParameters
from ..core.spacing import scale_of
from ..preprocessing.prepared_scan import PreparedScan
from ..solver.chain_ends import count_of, end_of, next_to, place_beyond

TISSUE_HU = -300.0  # between fat and lung: what was cut away around a patient is air
AROUND_MM = 15.0  # half a vertebral body and the tissue beside it


def open_ends(
    scan: PreparedScan, labels: SpineLabels, parameters: EndParameters = SHIPPED.ends
) -> tuple[LabelWarning, ...]:
    """A warning for each end of the spine beyond which the next vertebra should lie well inside the patient.

    Args:
        scan: the prepared scan.
        labels: its named vertebrae, with their evidence.
        parameters: how far inside, and in how much tissue.
    """
    if labels.evidence is None or len(labels.points) < 2:
        return ()
    levels = [point.level for point in labels.points]
    points = np.array([point.ras for point in labels.points])
    corners = labels.evidence.corners
    scale = scale_of(points, np.array([LEVEL_INDEX[level] for level in levels]))
    count = count_of(levels, points, scale, labels.evidence)
    told = {warning.beside[0] for warning in labels.warnings if warning.kind == END}
    said = []
    for step in (-1, 1):
        end = end_of(levels, step)
        if next_to(levels, step) is None or end in told or (step > 0 and end == count.last):
            continue
        place, _ = place_beyond(levels, points, scale, step)
        inside = distance_to_face(place[None], corners)[0] >= parameters.inside_mm
        if inside and _tissue_around(scan, place) >= parameters.most_tissue:
            said.append(LabelWarning(BEYOND, (end,), numbers={"step": step}))
    return tuple(said)


def _tissue_around(scan: PreparedScan, place: np.ndarray) -> float:
    """Share of the voxels around a place that are no air; 0 outside the image."""
    box = scan.box(place[None], AROUND_MM)
    return float((box.array > TISSUE_HU).mean()) if box.array.size else 0.0
