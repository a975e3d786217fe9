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
from ..core.spacing import scale_of
from ..preprocessing.prepared_scan import PreparedScan
from ..solver.chain_ends import count_of, end_of, next_to, place_beyond

INSIDE_MM = 8.0  # of the next body's likely center: nearer to the edge of the image it may lie outside
TISSUE_HU = -300.0  # between fat and lung: what was cut away around a patient is air
AROUND_MM = 15.0  # half a vertebral body and the tissue beside it
MOST_TISSUE = 0.8
"""Share of the voxels around that place. Of 514 ends of held-out scans and crops none of a rightly labeled one shows
as much 8 mm inside (most: 0.62, where slices are blanked); of chains that end three vertebrae early, 149 of 170 do."""


def open_ends(scan: PreparedScan, labels: SpineLabels) -> tuple[LabelWarning, ...]:
    """A warning for each end of the spine beyond which the next vertebra should lie well inside the patient.

    Args:
        scan: the prepared scan.
        labels: its named vertebrae, with their evidence.
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
        if distance_to_face(place[None], corners)[0] >= INSIDE_MM and _is_in_patient(scan, place):
            said.append(LabelWarning(BEYOND, (end,), numbers={"step": step}))
    return tuple(said)


def _is_in_patient(scan: PreparedScan, place: np.ndarray) -> bool:
    box = scan.box(place[None], AROUND_MM)
    return bool(box.array.size) and float((box.array > TISSUE_HU).mean()) >= MOST_TISSUE
