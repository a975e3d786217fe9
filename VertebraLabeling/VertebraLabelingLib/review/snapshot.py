"""One picture that shows whether a labeling is correct: the spine from the side and from the front, every level named.

The spine is drawn by :mod:`.curved_planar_reformation`, so a scoliosis stays in view and no face is ever shown. Points
and names are colored by confidence, from red (low) to green (high), and doubtful levels carry a question mark as well.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Sequence
from importlib.util import find_spec

import numpy as np

from ..core.labels import CONFIRMED, GIVEN, MOVED, SpineLabels
from ..core.volume import Volume
from ..errors import InputError
from ..system.atomic import atomic_path
from .curved_planar_reformation import CurvedImage, SpineFrame, coronal_view, sagittal_view, spine_frame

_BACKGROUND, _INK, FAINT = "#101418", "#e8ecf0", "#7d8791"
_CONFIDENCE_COLORS = ("#ff5a4f", "#ffb33c", "#d9dc5a", "#58d68d")  # at 0, 1/3, 2/3 and 1
_WINDOW_HU = (-180.0, 750.0)
_MARKERS = {MOVED: "D", CONFIRMED: "s", GIVEN: "s"}
_DPI = 120
_NAMES_INCH = 1.05  # width of the column of names between the views
_MARGIN_INCH = 0.25
_TITLE_INCH = 0.75
_LINE_INCH = 0.22


def need_matplotlib() -> None:
    """See that pictures can be drawn here, before a long run that is to end in some.

    Raises:
        InputError: matplotlib, which is an extra, is not installed.
    """
    if find_spec("matplotlib") is None:
        raise InputError("Pictures need matplotlib, which is not installed here: pip install matplotlib.")


def write_snapshot(
    path: str | os.PathLike,
    volume: Volume,
    labels: SpineLabels,
    title: str,
    notes: Collection[str] = (),
) -> None:
    """Write the picture as a PNG, whole or not at all.

    Args:
        volume: the CT, HU.
        labels: its vertebrae; one is enough.
        title: case name.
        notes: sentences written below the picture, after the warnings of ``labels``.

    Raises:
        InputError: there is no point to show.
        OSError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = draw_snapshot(volume, labels, title, notes)
    with atomic_path(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a case name in a script that the font lacks
        FigureCanvasAgg(figure).print_png(temporary, pil_kwargs={"compress_level": 3})  # a third of the time


def draw_snapshot(
    volume: Volume,
    labels: SpineLabels,
    title: str,
    notes: Collection[str] = (),
):
    """The picture as a matplotlib ``Figure``; see :func:`write_snapshot`."""
    if not labels.points:
        raise InputError("There is no vertebra to show in a picture: label the scan first.")
    frame = spine_frame(volume, np.array([point.ras for point in labels.points]))
    sagittal, coronal = sagittal_view(volume, frame), coronal_view(volume, frame)
    height = sagittal.extent[3] - sagittal.extent[2]
    inch = float(np.clip(height, 250, 520) / 52 / height)  # per mm: 4.8 inch for a short field of view, 10 for a long
    widths = [_width(sagittal) * inch, _NAMES_INCH, _width(coronal) * inch]
    lines = wrapped([*map(str, labels.warnings), *notes], sum(widths))
    below = _LINE_INCH * max(1, len(lines)) + 1.5 * _MARGIN_INCH
    size = (sum(widths) + 2 * _MARGIN_INCH, height * inch + _TITLE_INCH + below)
    figure = sheet(size)

    left = _MARGIN_INCH
    axes = []
    for width in widths:
        box = (left / size[0], below / size[1], width / size[0], height * inch / size[1])
        axes.append(figure.add_axes(box, facecolor=_BACKGROUND))
        left += width
    _draw_view(axes[0], sagittal, frame, labels, across=1, sides=("A", "P"))
    _draw_view(axes[2], coronal, frame, labels, across=0, sides=("R", "L"))
    _draw_names(axes[1], axes[0], axes[2], frame, labels)
    _draw_scale(figure, size, inch)
    draw_text(figure, size, title, _summary(labels), lines)
    return figure


def sheet(size: tuple[float, float]):
    """An empty matplotlib ``Figure`` of the pictures' look; ``size`` in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=size, dpi=_DPI, facecolor=_BACKGROUND)


def confidence_color(confidence: float) -> tuple[float, float, float]:
    """RGB 0..1 on the way from red (0) over amber to green (1)."""
    from matplotlib.colors import to_rgb

    place = float(np.clip(confidence, 0, 1)) * (len(_CONFIDENCE_COLORS) - 1)
    first = min(int(place), len(_CONFIDENCE_COLORS) - 2)
    one, two = (np.array(to_rgb(color)) for color in _CONFIDENCE_COLORS[first : first + 2])
    return tuple((one + (two - one) * (place - first)).tolist())


def _width(view: CurvedImage) -> float:
    return abs(view.extent[1] - view.extent[0])


def _draw_view(axes, view: CurvedImage, frame: SpineFrame, labels: SpineLabels, across: int, sides) -> None:
    low, high = _WINDOW_HU
    gray = np.clip((view.pixels - low) / (high - low), 0, 1) ** 0.8
    rgba = np.dstack([gray, gray, gray, np.isfinite(view.pixels)])
    axes.imshow(np.nan_to_num(rgba), extent=view.extent, aspect="equal", interpolation="bilinear")
    spots = frame.coordinates(np.array([point.ras for point in labels.points]))
    axes.plot(spots[:, across], spots[:, 2], "-", color=_INK, linewidth=0.6, alpha=0.35)
    for point, place in zip(labels.points, spots):
        color = confidence_color(point.told_confidence)
        marker = _MARKERS.get(point.status, "o")
        axes.plot(place[across], place[2], marker, color="black", markersize=7, alpha=0.5)
        axes.plot(place[across], place[2], marker, markersize=6, markerfacecolor=(*color, 0.35), markeredgecolor=color)
    axes.set_xlim(view.extent[0], view.extent[1])
    axes.set_ylim(view.extent[2], view.extent[3])
    axes.set_axis_off()
    for x, align, text in ((0.01, "left", sides[0]), (0.99, "right", sides[1])):
        axes.text(x, 0.995, text, transform=axes.transAxes, ha=align, va="top", color=FAINT, fontsize=10)


def _draw_names(axes, sagittal, coronal, frame: SpineFrame, labels: SpineLabels) -> None:
    """The column of names between the views, a thin line from each name to its point on both sides."""
    from matplotlib.patches import ConnectionPatch

    axes.set_xlim(0, 1)
    axes.set_ylim(sagittal.get_ylim())
    axes.set_axis_off()
    spots = frame.coordinates(np.array([point.ras for point in labels.points]))
    for point, place, y in zip(labels.points, spots, _spread(spots[:, 2], sagittal)):
        color = confidence_color(point.told_confidence)
        mark = " ?" if point.is_uncertain() else ""
        axes.text(0.16, y, point.level + mark, ha="left", va="center", color=color, fontsize=10, fontweight="bold")
        axes.text(0.9, y, f"{point.shown_confidence:.2f}", ha="right", va="center", color=FAINT, fontsize=7)
        for view, across, x in ((sagittal, 1, 0.12), (coronal, 0, 0.94)):
            line = ConnectionPatch(
                (place[across], place[2]),
                (x, y),
                view.transData,
                axes.transData,
                color=color,
                linewidth=0.5,
                alpha=0.45,
            )
            axes.figure.add_artist(line)


def _spread(heights: np.ndarray, axes) -> np.ndarray:
    """Heights of the names: those of the points, moved apart where the text would overlap."""
    low, high = axes.get_ylim()
    inches = axes.get_position().height * axes.figure.get_size_inches()[1]
    least = (high - low) / inches * 0.165  # mm that a line of text takes
    order = np.argsort(-heights)
    placed = heights[order].astype(float)
    for _ in range(200):
        gaps = placed[:-1] - placed[1:]
        push = np.maximum(least - gaps, 0) / 2
        if push.max(initial=0) < 1e-3:
            break
        placed[:-1] += push
        placed[1:] -= push
    result = np.empty_like(placed)
    result[order] = placed
    return result


def _draw_scale(figure, size, inch_per_mm: float) -> None:
    """A bar of 5 cm at the lower right."""
    from matplotlib.lines import Line2D

    right, y = 1 - _MARGIN_INCH / size[0], 0.6 * _MARGIN_INCH / size[1]
    left = right - 50 * inch_per_mm / size[0]
    figure.add_artist(Line2D([left, right], [y, y], color=_INK, linewidth=1.5, solid_capstyle="butt"))
    figure.text((left + right) / 2, y + 0.04 / size[1], "5 cm", ha="center", va="bottom", color=_INK, fontsize=7)


def _summary(labels: SpineLabels) -> str:
    found = [point.level for point in labels.points]
    lowest = min(point.shown_confidence for point in labels.points)
    levels = f"{found[0]} to {found[-1]}" if len(found) > 1 else found[0]
    count = "1 vertebra" if len(found) == 1 else f"{len(found)} vertebrae"
    return f"{levels}, {count}, lowest confidence {lowest:.2f}"


def draw_text(figure, size: tuple[float, float], title: str, summary: str, lines: Sequence[str]) -> None:
    """Title, what was found, and the warnings below; ``$`` and the like in names are no formulas.

    Args:
        size: of the figure, inches.
        lines: :func:`wrapped` sentences.
    """
    plain = {"parse_math": False, "color": _INK}
    x = _MARGIN_INCH / size[0]
    figure.text(x, 1 - 0.32 / size[1], _shortened(title, size[0]), fontsize=13, fontweight="bold", va="center", **plain)
    figure.text(x, 1 - 0.58 / size[1], summary, fontsize=8.5, va="center", parse_math=False, color=FAINT)
    for number, line in enumerate(lines):
        y = (_MARGIN_INCH / 2 + _LINE_INCH * (len(lines) - 1 - number)) / size[1]
        figure.text(x, y, line, fontsize=8.5, va="bottom", parse_math=False, color=_CONFIDENCE_COLORS[1])


def _shortened(text: str, inches: float) -> str:
    most = max(12, int(inches * 8.2))
    return text if len(text) <= most else f"{text[: most // 2 - 1]}...{text[-(most // 2 - 2) :]}"


def wrapped(sentences: Collection[str], inches: float) -> list[str]:
    """Lines that fit beside the scale bar."""
    from textwrap import wrap

    return [line for sentence in sentences for line in wrap(sentence, max(30, int((inches - 1.3) * 14)))]
