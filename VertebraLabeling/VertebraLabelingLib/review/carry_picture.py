"""The check of carried points: the spine of both scans side by side, from the side and from the front.

Drawn by :mod:`.curved_planar_reformation`, so that nothing far from the spine, and no face, is shown.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping

import numpy as np

from ..core.labels import SpineLabels
from ..core.volume import Volume
from ..errors import InputError
from ..system.atomic import atomic_path
from .curved_planar_reformation import CurvedImage, SpineFrame, coronal_view, sagittal_view, spine_frame

_BACKGROUND, _INK, _FAINT, _POINT, _DOUBTFUL = "#101418", "#e8ecf0", "#7d8791", "#58d6f0", "#ffb33c"
_CT_WINDOW = (-180.0, 750.0)
_DOUBTFUL_MM = 3.0  # estimate from which a carried point is drawn as uncertain
_DPI = 110


def write_carry_picture(
    path: str | os.PathLike,
    source: tuple[Volume, SpineLabels],
    target: tuple[Volume, SpineLabels],
    errors_mm: Mapping[str, float],
    title: str,
    note: str,
) -> None:
    """Write the picture as a PNG, whole or not at all.

    Args:
        source, target: each scan with its points; those of the source that were not carried are drawn faint.
        errors_mm: level -> estimate, mm.
        title: plain text, above the views.
        note: one sentence below them.

    Raises:
        InputError: there is no point to show.
        OSError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = draw_carry_picture(source, target, errors_mm, title, note)
    with atomic_path(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a name in a script that the font lacks
        FigureCanvasAgg(figure).print_png(temporary)


def draw_carry_picture(source, target, errors_mm, title, note):
    """The picture as a matplotlib ``Figure``; see :func:`write_carry_picture`."""
    from matplotlib.figure import Figure

    if not source[1].points or not target[1].points:
        raise InputError("There is no vertebra to show in a picture: label the scan first.")
    figure = Figure(figsize=(11, 8), dpi=_DPI, facecolor=_BACKGROUND)
    names = ("source, sagittal", "carried, sagittal", "source, coronal", "carried, coronal")
    frames = [_frame(*each) for each in (source, target)]
    views = [
        view(scan, frame)
        for view in (sagittal_view, coronal_view)
        for (scan, _), frame in zip((source, target), frames)
    ]
    for number, (name, view) in enumerate(zip(names, views)):
        scan, labels = (source, target)[number % 2]
        axes = figure.add_axes((0.01 + 0.245 * number, 0.07, 0.24, 0.82), facecolor=_BACKGROUND)
        _draw(
            axes,
            scan,
            labels,
            view,
            frames[number % 2],
            across=1 - number // 2,
            errors_mm=errors_mm if number % 2 else None,
            kept=errors_mm,
        )
        axes.set_title(name, color=_FAINT, fontsize=9)
    figure.text(0.02, 0.955, title, color=_INK, fontsize=13, fontweight="bold", parse_math=False)
    figure.text(0.02, 0.025, note, color=_INK, fontsize=9, parse_math=False)
    return figure


def _frame(volume: Volume, labels: SpineLabels) -> SpineFrame:
    return spine_frame(volume, np.array([point.ras for point in labels.points]))


def _draw(axes, volume, labels, view: CurvedImage, frame, across: int, errors_mm, kept) -> None:
    low, high = _window(view.pixels)
    gray = np.clip((view.pixels - low) / (high - low), 0, 1)
    rgba = np.dstack([gray, gray, gray, np.isfinite(view.pixels)])
    axes.imshow(np.nan_to_num(rgba), extent=view.extent, aspect="equal", interpolation="bilinear")
    spots = frame.coordinates(np.array([point.ras for point in labels.points]))
    for point, place in zip(labels.points, spots):
        doubtful = errors_mm is not None and errors_mm.get(point.level, 0.0) > _DOUBTFUL_MM
        color = _FAINT if point.level not in kept else _DOUBTFUL if doubtful else _POINT
        axes.plot(place[across], place[2], "+", color=color, markersize=8)
        mark = " ?" if doubtful else ""
        axes.annotate(
            point.level + mark,
            (place[across], place[2]),
            xytext=(9, -3),
            textcoords="offset points",
            color=color,
            fontsize=8,
        )
    axes.set_xlim(view.extent[0], view.extent[1])
    axes.set_ylim(view.extent[2], view.extent[3])
    axes.set_axis_off()


def _window(pixels: np.ndarray) -> tuple[float, float]:
    """Bone for a CT, nearly all values for an MR."""
    seen = pixels[np.isfinite(pixels)]
    if not seen.size or (seen < -200).any():
        return _CT_WINDOW
    low, high = np.percentile(seen, (1, 99))
    return float(low), float(max(high, low + 1))
