"""Contact sheets for a reviewer: per scan the spine from the side, from the front and with its ribs, points named.

Several scans lie on one page, each at one scale, so that bodies can be counted from a landmark (dens, first or last
rib, sacrum) and a point beside its body is seen. The ticks are mm along the patient's axes (RAS where the spine stands
within 40 degrees of them): a wrong point can be moved by numbers read from the page. As in
:mod:`.curved_planar_reformation`, nothing farther than 60 mm from the spine is drawn.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.labels import LabeledPoint, SpineLabels
from ..core.volume import Volume
from ..errors import InputError
from ..system.atomic import atomic_path
from .curved_planar_reformation import CurvedImage, SpineFrame, coronal_view, rib_view, sagittal_view, spine_frame
from .snapshot import confidence_color

CELL_PX = (625, 480)
"""Width and height of one scan on a page."""

_COLUMNS = 2  # of scans on a page
_ABOVE_MM, _BELOW_MM = 35.0, 40.0  # further than a snapshot: an unnamed vertebra beyond the last point must be seen
_BACKGROUND, _INK, _FAINT, _TRUTH = "#101418", "#f2f4f6", "#7d8791", "#6cb6ff"
_WINDOW_HU = (-50.0, 600.0)
_RIB_WINDOW_HU = (50.0, 900.0)
_DPI = 100
_TITLE_PX, _GAP_PX = 17, 4
_NAME_MM = 30.0  # names stand this far in front of their points
_SAGITTAL_MM, _CORONAL_MM, _RIB_MM = 45.0, 35.0, 50.0  # shown to either side of the spine


@dataclass(frozen=True)
class ReviewScan:
    """One scan drawn: three views, and the places of its points.

    Attributes:
        title: case name and whatever the reviewer should know.
        sagittal, coronal, ribs: the views.
        labels: the proposed points.
        places: (N, 3) mm along right, front and up of ``labels``.
        truth: (M, 3) of known points, drawn as crosses; empty where there are none.
    """

    title: str
    sagittal: CurvedImage
    coronal: CurvedImage
    ribs: CurvedImage
    labels: SpineLabels
    places: np.ndarray
    truth: np.ndarray


def review_scan(volume: Volume, labels: SpineLabels, title: str, truth: Sequence[LabeledPoint] = ()) -> ReviewScan:
    """Draw the views of one scan; keep many of these rather than many volumes.

    Raises:
        InputError: there is no point.
    """
    if not labels.points:
        raise InputError("There is no vertebra to review: label the scan first.")
    frame = spine_frame(volume, _positions(labels.points), _ABOVE_MM, _BELOW_MM)
    sagittal = _trimmed(sagittal_view(volume, frame), frame.fronts, _SAGITTAL_MM)
    coronal = _trimmed(coronal_view(volume, frame), frame.rights, _CORONAL_MM)
    ribs = _trimmed(rib_view(volume, frame), frame.rights, _RIB_MM)
    return ReviewScan(title, sagittal, coronal, ribs, labels, _places(frame, labels.points), _places(frame, truth))


def _trimmed(view: CurvedImage, curve: np.ndarray, reach_mm: float) -> CurvedImage:
    """The columns within ``reach_mm`` of where the spine passes: room on the page for a larger scale."""
    left, right, bottom, top = view.extent
    step = (left - right) / view.pixels.shape[1]
    first = max(0, int((left - curve.max() - reach_mm) / step))
    last = min(view.pixels.shape[1], int(np.ceil((left - curve.min() + reach_mm) / step)))
    return CurvedImage(view.pixels[:, first:last], (left - first * step, left - last * step, bottom, top))


def _positions(points: Sequence[LabeledPoint]) -> np.ndarray:
    return np.array([point.ras for point in points], dtype=float).reshape(-1, 3)


def _places(frame: SpineFrame, points: Sequence[LabeledPoint]) -> np.ndarray:
    return frame.coordinates(_positions(points))


def write_sheet(path: str | os.PathLike, scans: Sequence[ReviewScan]) -> None:
    """Write one page as a PNG, whole or not at all.

    Args:
        scans: one cell each, row by row.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = draw_sheet(scans)
    with atomic_path(path) as temporary:
        FigureCanvasAgg(figure).print_png(temporary, pil_kwargs={"compress_level": 3})


def draw_sheet(scans: Sequence[ReviewScan]):
    """The page as a matplotlib ``Figure``; see :func:`write_sheet`."""
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(scans))
    rows = -(-len(scans) // columns)
    size = (columns * CELL_PX[0], rows * CELL_PX[1])
    figure = Figure(figsize=(size[0] / _DPI, size[1] / _DPI), dpi=_DPI, facecolor=_BACKGROUND)
    for number, scan in enumerate(scans):
        row, column = divmod(number, columns)
        _draw_cell(figure, size, scan, column * CELL_PX[0], size[1] - (row + 1) * CELL_PX[1])
    return figure


def _draw_cell(figure, size: tuple[int, int], scan: ReviewScan, left: float, bottom: float) -> None:
    """One scan in a cell whose lower left corner is (left, bottom), pixels."""
    views = ((scan.sagittal, 1), (scan.coronal, 0), (scan.ribs, 0))
    height = scan.sagittal.extent[3] - scan.sagittal.extent[2]
    width = sum(_width(view) for view, _ in views)
    room = (CELL_PX[0] - 4 * _GAP_PX, CELL_PX[1] - _TITLE_PX - _GAP_PX)
    scale = min(room[0] / width, room[1] / height)  # pixels per mm
    figure.text(
        (left + _GAP_PX) / size[0],
        (bottom + CELL_PX[1] - _TITLE_PX / 2) / size[1],
        scan.title,
        va="center",
        color=_INK,
        fontsize=8,
        parse_math=False,
    )
    x, y = left + _GAP_PX, bottom + room[1] - scale * height + _GAP_PX
    for view, across in views:
        box = (x / size[0], y / size[1], scale * _width(view) / size[0], scale * height / size[1])
        axes = figure.add_axes(box, facecolor=_BACKGROUND)
        _draw_view(axes, view, _RIB_WINDOW_HU if view is scan.ribs else _WINDOW_HU)
        _draw_points(axes, scan, across, dots=view is not scan.ribs, names=view is not scan.coronal)
        x += scale * _width(view) + _GAP_PX


def _width(view: CurvedImage) -> float:
    return abs(view.extent[1] - view.extent[0])


def _draw_view(axes, view: CurvedImage, window: tuple[float, float]) -> None:
    """Gray values, and ticks every 10 mm along the left edge (numbers every 20) and the lower edge (every 40)."""
    gray = np.clip((view.pixels - window[0]) / (window[1] - window[0]), 0, 1)
    rgba = np.dstack([gray, gray, gray, np.isfinite(view.pixels)])
    axes.imshow(np.nan_to_num(rgba), extent=view.extent, aspect="auto", interpolation="bilinear")
    left, right, bottom, top = view.extent
    heights = np.arange(np.ceil(bottom / 10), top / 10) * 10
    widths = np.arange(np.ceil(right / 10), left / 10) * 10
    axes.hlines(heights, left - 3, left, color=_FAINT, linewidth=0.8)
    axes.vlines(widths, bottom, bottom + 3, color=_FAINT, linewidth=0.8)
    for tick in heights[heights % 20 == 0]:
        axes.text(left - 4, tick, f"{tick:.0f}", color=_FAINT, fontsize=5, va="center")
    for tick in widths[widths % 40 == 0]:
        axes.text(tick, bottom + 4, f"{tick:.0f}", color=_FAINT, fontsize=5, ha="center")
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_axis_off()


def _draw_points(axes, scan: ReviewScan, across: int, dots: bool, names: bool) -> None:
    for place in scan.truth if dots else ():
        axes.plot(place[across], place[2], "x", color=_TRUTH, markersize=4, markeredgewidth=0.9)
    for point, place in zip(scan.labels.points, scan.places):
        color = confidence_color(point.told_confidence)
        if dots:
            axes.plot(place[across], place[2], "o", color=color, markersize=2.4, markeredgecolor="black", mew=0.4)
        if names:
            text = f"{point.level} ?" if point.is_uncertain() else point.level
            beside = _NAME_MM if dots else 0.0
            align = "left" if dots else "center"
            axes.text(place[across] + beside, place[2], text, color=color, fontsize=6.5, va="center", ha=align)
