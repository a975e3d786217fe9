"""Training curves as a PNG."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np

SMOOTHING = 50

log = logging.getLogger(__name__)


def plot_curves(history: Path, png: Path) -> None:
    """Plot every loss term over the steps, as a moving mean over :data:`SMOOTHING` steps.

    Without matplotlib there is no plot and a warning: it must not cost the training that has just ended.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        log.warning("No curves were drawn: matplotlib is missing (pip install matplotlib).")
        return

    rows = [json.loads(line) for line in Path(history).read_text().splitlines()]
    names = [name for name in rows[0] if name not in ("step", "seconds")]
    figure = Figure(figsize=(12, 6), layout="constrained")
    FigureCanvasAgg(figure)
    for place, name in enumerate(names):
        axis = figure.add_subplot(2, -(-len(names) // 2), place + 1)
        values = np.array([row[name] for row in rows])
        width = max(1, min(SMOOTHING, len(values) // 4))
        mean = np.convolve(values, np.ones(width) / width, mode="valid")
        axis.plot([row["step"] for row in rows][width - 1 :], mean, linewidth=1)
        axis.set_title(name)
        axis.set_xlabel("step")
        axis.set_ylim(0, float(np.percentile(mean, 98)) * 1.1 + 1e-6)
        axis.grid(alpha=0.3)
    figure.savefig(png, dpi=100)
