"""Pictures of the discs: an oblique slab along each, as radiologists look at a disc, all of a spine on one sheet.

Nothing farther than :data:`REACH_MM` from the middle of a disc is sampled, and slices show no surface, so that no
picture shows a face.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Sequence

import numpy as np

from ..core.labels import LOW_CONFIDENCE, SpineLabels
from ..core.sampling import sample
from ..core.volume import Volume
from ..errors import InputError
from ..reading.discs import Disc, discs_of
from ..system.atomic import atomic_path
from .snapshot import FAINT, confidence_color, draw_text, sheet, wrapped

REACH_MM = 42.0
STEP_MM = 0.6
SLAB_MM = 2.0
_SLAB_STEP_MM = 1.0
_WINDOW_HU = (-115.0, 235.0)  # soft tissue: discs against the sac
_COLUMNS = 6
_TILE_INCH = 1.75
_NAME_INCH = 0.25
_MARGIN_INCH = 0.25
_TITLE_INCH = 0.75
_LINE_INCH = 0.22


def disc_slab(volume: Volume, disc: Disc) -> np.ndarray:
    """The mean of a slab along a disc, HU.

    Returns:
        (W, W) pixels of :data:`STEP_MM`, the patient's front up and the right on the left; NaN outside the scan and
        beyond :data:`REACH_MM`.
    """
    count = int(REACH_MM / STEP_MM)
    axis = np.arange(count, -count - 1, -1) * STEP_MM
    front, right = np.meshgrid(axis, axis, indexing="ij")
    near = front**2 + right**2 <= REACH_MM**2
    plane = disc.plane
    base = plane.origin + front[near][:, None] * plane.front + right[near][:, None] * plane.right
    total, seen = np.zeros(len(base)), np.zeros(len(base))
    for offset in np.arange(-SLAB_MM / 2, SLAB_MM / 2 + 0.1, _SLAB_STEP_MM):
        values = sample(volume, base + offset * plane.up)
        inside = np.isfinite(values)
        total[inside] += values[inside]
        seen += inside
    pixels = np.full(near.shape, np.nan)
    pixels[near] = np.where(seen > 0, total / np.maximum(seen, 1), np.nan)
    return pixels


def write_disc_slabs(
    path: str | os.PathLike, volume: Volume, labels: SpineLabels, title: str, notes: Collection[str] = ()
) -> None:
    """Write the sheet as a PNG, whole or not at all.

    Args:
        volume: the CT, HU.
        labels: its vertebrae.
        title: case name.
        notes: sentences written below the pictures, after the warnings of ``labels``.

    Raises:
        InputError: there is no disc between two of the vertebrae.
        OSError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = draw_disc_slabs(volume, labels, title, notes)
    with atomic_path(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a case name in a script that the font lacks
        FigureCanvasAgg(figure).print_png(temporary, pil_kwargs={"compress_level": 3})


def draw_disc_slabs(volume: Volume, labels: SpineLabels, title: str, notes: Collection[str] = ()):
    """The sheet as a matplotlib ``Figure``; see :func:`write_disc_slabs`."""
    discs = discs_of(labels, volume) if labels.points else ()
    if not discs:
        raise InputError("There is no disc between two labeled vertebrae to show: use another format.")
    columns = min(_COLUMNS, len(discs))
    rows = -(-len(discs) // columns)
    width = max(columns * _TILE_INCH, 5.5)
    lines = wrapped([*map(str, labels.warnings), *notes], width)
    below = _LINE_INCH * max(1, len(lines)) + _MARGIN_INCH
    size = (width + 2 * _MARGIN_INCH, rows * (_TILE_INCH + _NAME_INCH) + _TITLE_INCH + below)
    figure = sheet(size)
    for number, disc in enumerate(discs):
        row, column = divmod(number, columns)
        left = _MARGIN_INCH + column * _TILE_INCH
        bottom = below + (rows - 1 - row) * (_TILE_INCH + _NAME_INCH)
        box = (left / size[0], bottom / size[1], 0.96 * _TILE_INCH / size[0], 0.96 * _TILE_INCH / size[1])
        _draw_disc(figure.add_axes(box), disc_slab(volume, disc), disc)
    draw_text(figure, size, title, _summary(discs), lines)
    return figure


def _draw_disc(axes, pixels: np.ndarray, disc: Disc) -> None:
    low, high = _WINDOW_HU
    gray = np.clip((pixels - low) / (high - low), 0, 1)
    axes.imshow(np.nan_to_num(np.dstack([gray, gray, gray, np.isfinite(pixels)])), interpolation="bilinear")
    axes.set_axis_off()
    doubt = " ?" if disc.confidence < LOW_CONFIDENCE else ""
    color = confidence_color(disc.confidence)
    if not disc.seen:
        axes.text(0.0, 0.01, "by the points", transform=axes.transAxes, color=FAINT, fontsize=6)
    axes.text(0.0, 0.5, "R", transform=axes.transAxes, va="center", color=FAINT, fontsize=7)
    axes.set_title(disc.name + doubt, color=color, fontsize=10, fontweight="bold", pad=3)


def _summary(discs: Sequence[Disc]) -> str:
    seen = sum(disc.seen for disc in discs)
    names = f"{discs[0].name} to {discs[-1].name}" if len(discs) > 1 else discs[0].name
    count = "1 disc" if len(discs) == 1 else f"{len(discs)} discs"
    return f"{names}, {count}; planes by the end plates of {seen}, else by the points; slabs of {SLAB_MM:.0f} mm"
