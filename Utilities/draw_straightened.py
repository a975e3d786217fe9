"""Draw what the level network sees of a CT: the straightened spine, and the level that it reads in each row.

    python Utilities/draw_straightened.py CT.nii.gz docs/images/straightened.png

Needs matplotlib (requirements/test.txt). Use no scan of a head.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "VertebraLabeling"))

from VertebraLabelingLib.core.anatomy import LEVELS
from VertebraLabelingLib.networks.level_network import STRIDE
from VertebraLabelingLib.pipeline.labeler import VertebraLabeler
from VertebraLabelingLib.pipeline.level_classification import classify_rows, straighten_along, to_mm
from VertebraLabelingLib.preprocessing.prepared_scan import PreparedScan
from VertebraLabelingLib.preprocessing.straightening import CELL_MM, STEP_MM
from VertebraLabelingLib.scans.read_scan import read_volume


def main(ct: str, png: str) -> None:
    """Label the CT, straighten its spine along the labels, and draw it."""
    volume, labeler = read_volume(Path(ct)), VertebraLabeler(device="cpu")
    points = labeler.label(volume).points
    ras = np.array([point.ras for point in points])
    grid, sections, image = straighten_along(PreparedScan.of(volume), ras, ras)
    share = np.exp(classify_rows(labeler.model.level_network, image)[0])[:, : len(LEVELS)]

    figure = Figure(figsize=(7.5, 8), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    height, aspect = len(image), STEP_MM / CELL_MM
    side, front, rows = figure.subplots(1, 3, width_ratios=(1, 1.4, 2.2))
    middle = image.shape[2] // 2
    side.imshow(image[:, :, middle - 2 : middle + 2].mean(2), cmap="gray", vmin=-200, vmax=700, aspect=aspect)
    side.set_title("from the side", fontsize=9)
    front.imshow(image[:, 6:14].amax(1), cmap="gray", vmin=-100, vmax=900, aspect=aspect)
    front.set_title("from behind", fontsize=9)
    seen = np.flatnonzero(share.max(axis=0) > 0.05)
    extent = (seen[0] - 0.5, seen[-1] + 0.5, STRIDE * len(share), 0)
    rows.imshow(share[:, seen[0] : seen[-1] + 1], cmap="Blues", vmin=0, vmax=1, aspect="auto", extent=extent)
    rows.set_xticks(np.arange(seen[0], seen[-1] + 1), LEVELS[seen[0] : seen[-1] + 1], rotation=90, fontsize=8)
    rows.set_title("probability of each level", fontsize=9)
    for point, row in zip(points, sections.rows_of(to_mm(grid, ras))):
        front.text(1, row, point.level, color="yellow", fontsize=7, va="center")
    for axis in (side, front, rows):
        axis.set_yticks([])
        axis.set_ylim(height, 0)
    for axis in (side, front):
        axis.set_xticks([])
    Path(png).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(png)


if __name__ == "__main__":
    main(*sys.argv[1:])
