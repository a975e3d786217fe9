"""Draw the figure of docs/method.md: what each stage sees of a CT, and what it makes of it.

    python Utilities/draw_method_figure.py CT.nii.gz docs/images/method.png

The pictures are the arrays that the networks themselves receive and return, taken by hooks while the scan is labeled.
Needs matplotlib (requirements/test.txt). Use no scan of a head.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "VertebraLabeling"))

from VertebraLabelingLib import VertebraLabeler, read_volume

INK, PALE, LEARNED, FIXED = "#1d2733", "#5b6875", "#1f6fb2", "#7a8591"
REGIONS = {"C": "#8e5bd0", "T": "#2f8fe0", "L": "#2fa84f"}
GRAY = {"cmap": "gray", "interpolation": "bicubic"}
WIDTH, HEIGHT, GAP = 0.2165, 0.432, 0.0305
TALL = 1.245  # height of a picture over its width


def record(labeler: VertebraLabeler) -> dict[str, list[tuple[Any, Any]]]:
    """Name of a network -> the (input, output) of each call, filled while the labeler works."""
    marks = {"presence": "detection", "local": "level", "spread": "centroid"}  # a field that only its output has
    calls: dict[str, list[tuple[Any, Any]]] = {name: [] for name in marks.values()}

    def hook(module, inputs, output) -> None:
        name = next(name for field, name in marks.items() if hasattr(output, field))
        calls[name].append((inputs[0].detach().clone(), output))

    for network in vars(labeler.model).values():
        if isinstance(network, nn.Module):
            network.register_forward_hook(hook)
    return calls


def main(ct: str, png: str) -> None:
    """Label the CT and draw what its stages saw."""
    volume, labeler = read_volume(Path(ct)), VertebraLabeler(device="cpu")
    calls = record(labeler)
    labels = labeler.label(volume)
    figure = Figure(figsize=(11.6, 9.0), dpi=160, facecolor="white")
    FigureCanvasAgg(figure)
    panels = [_panel(figure, number) for number in range(8)]
    grid, said = calls["detection"][0]
    grid, heat = grid[0, 0].float().numpy(), said.center[0].sigmoid().numpy()
    _scan(panels[0], volume, labels.points)
    _working_grid(panels[1], grid, heat)
    _detection(panels[2], grid, heat)
    _candidates(panels[3], grid, heat)
    _level(panels[4], *calls["level"][0])
    _centroid(panels[5], *calls["centroid"][0])
    _chain(panels[6], volume, labels.points)
    _confidence(panels[7], labels)
    _arrows(figure)
    Path(png).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(png)


STAGES = (
    ("CT and checks", "any orientation, HU", "refused, or passed on", False),
    ("Working grid", "4 mm cells around the body", "one channel, −500 to 1250 HU", False),
    ("Detection network", "4.32 M weights", "4 mm center map, 8 mm level maps", True),
    ("Candidates", "integral around each peak", "points with 26 level costs each", False),
    ("Level network", "0.97 M weights", "rows of 4 mm × 27 classes", True),
    ("Centroid network", "0.35 M weights", "24³ cells of 2 mm → mm offset", True),
    ("Chain solver", "one ordered chain", "dynamic programming", False),
    ("Confidence", "probability that the level is correct", "and warnings in words", False),
)


def _place(number: int) -> tuple[float, float]:
    """Left and lower edge of a stage's box, in parts of the figure."""
    return 0.0215 + (number % 4) * (WIDTH + GAP), 0.535 - (number // 4) * (HEIGHT + 0.0735)


def _panel(figure: Figure, number: int):
    """The frame, words and axes of a stage."""
    title, first, second, learned = STAGES[number]
    left, low = _place(number)
    color = LEARNED if learned else FIXED
    style = "round,pad=0,rounding_size=0.012"
    frame = FancyBboxPatch((left, low), WIDTH, HEIGHT, style, fc="#f5f8fb" if learned else "#f8f8f8", ec=color, lw=1.4)
    frame.set(transform=figure.transFigure, zorder=-1)
    figure.add_artist(frame)
    top = low + HEIGHT
    badge = {"ha": "center", "va": "center", "fontsize": 9.5, "color": "white", "weight": "bold"}
    figure.text(
        left + 0.0165,
        top - 0.025,
        str(number + 1),
        bbox={"boxstyle": "circle,pad=0.22", "fc": color, "ec": color},
        **badge,
    )
    figure.text(left + 0.034, top - 0.025, title, va="center", fontsize=11.2, weight="bold", color=INK)
    figure.text(left + 0.012, low + 0.0455, first, va="center", fontsize=9.2, color=INK)
    figure.text(left + 0.012, low + 0.02, second, va="center", fontsize=9.2, color=PALE)
    axes = figure.add_axes((left + 0.011, low + 0.068, WIDTH - 0.022, HEIGHT - 0.117))
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def _arrows(figure: Figure) -> None:
    """From each stage to the next; the last of the upper row leads to the first of the lower one."""
    look = {"arrowstyle": "-|>", "mutation_scale": 13, "lw": 1.6, "color": INK, "transform": figure.transFigure}
    for number in (0, 1, 2, 4, 5, 6):
        left, low = _place(number)
        ends = [(left + WIDTH + 0.002, low + HEIGHT / 2), (left + WIDTH + GAP - 0.002, low + HEIGHT / 2)]
        figure.add_artist(FancyArrowPatch(*ends, shrinkA=0, shrinkB=0, **look))
    (left, low), (first, lower) = _place(3), _place(4)
    right, middle, down, target = left + WIDTH / 2, low - 0.0367, lower + HEIGHT, first + WIDTH / 2
    line = {"lw": 1.6, "color": INK, "solid_capstyle": "round", "transform": figure.transFigure}
    figure.add_artist(Line2D([right, right, target], [low - 0.002, middle, middle], **line))
    figure.add_artist(FancyArrowPatch((target, middle), (target, down + 0.001), shrinkA=0, shrinkB=0, **look))


def _sagittal(axes, volume, points, names: bool) -> None:
    """The sagittal slab through the spine, with points; front is left, mm."""
    axis = np.abs(np.linalg.inv(volume.ijk_to_ras)[:3, :3])
    order = [int(axis[:, way].argmax()) for way in range(3)]  # array axes (i, j, k) that run along R, A, S
    array = volume.array.transpose([2 - way for way in order])  # -> (R, A, S)
    for place, way in enumerate(order):
        if volume.ijk_to_ras[place, way] < 0:
            array = np.flip(array, place)
    corners = volume.corners
    low, high = corners.min(axis=0), corners.max(axis=0)
    ras = np.array([point.ras for point in points])
    size = (high - low) / np.array(array.shape)
    middle = int((ras[:, 0].mean() - low[0]) / size[0])
    half = max(1, round(6 / size[0]))
    slab = array[middle - half : middle + half + 1].mean(axis=0)  # (A, S)
    axes.imshow(slab.T, origin="lower", extent=(low[1], high[1], low[2], high[2]), vmin=-350, vmax=650, **GRAY)
    axes.set_facecolor("black")
    tall, middle = high[2] - low[2] + 16, ras[:, 1].mean() + 22
    axes.set_xlim(middle + tall / 2 / TALL, middle - tall / 2 / TALL)  # front on the left
    axes.set_ylim(low[2] - 8, high[2] + 8)
    if names:
        axes.plot(ras[:, 1], ras[:, 2], color="#ffffff", lw=0.9, alpha=0.75)
        for point in points:
            color = REGIONS[point.level[0]]
            axes.plot(point.ras[1], point.ras[2], "o", ms=5.2, mfc=color, mec="white", mew=0.7)
            axes.text(
                point.ras[1] + 17,
                point.ras[2],
                point.level,
                color="white",
                fontsize=7.4,
                ha="right",
                va="center",
                weight="bold",
            )


def _scan(axes, volume, points) -> None:
    _sagittal(axes, volume, points, names=False)


def _working_grid(axes, grid, heat) -> None:
    """The same plane on the 4 mm grid, its cells visible."""
    column = int(heat.max(axis=(0, 1)).argmax())
    axes.imshow(grid[:, ::-1, column], origin="lower", cmap="gray", vmin=-0.7, vmax=1.3, interpolation="nearest")
    _around(axes, heat.max(axis=2)[:, ::-1])


def _detection(axes, grid, heat) -> None:
    """The center map over a sagittal maximum of the grid."""
    column = int(heat.max(axis=(0, 1)).argmax())
    axes.imshow(grid[:, ::-1, column], origin="lower", cmap="gray", vmin=-0.7, vmax=2.6)
    shown = heat.max(axis=2)[:, ::-1]
    axes.imshow(np.ma.masked_less(shown, 0.06), origin="lower", cmap="inferno", vmin=0, vmax=1, interpolation="nearest")
    _around(axes, shown)


def _around(axes, heat) -> None:
    """Show the whole height of a picture (D, H), and as much to the sides of the spine as fits."""
    columns = (heat.max(axis=0) > 0.3).nonzero()[0]
    middle, half = (columns[0] + columns[-1]) / 2 - 5, len(heat) / 2 / TALL
    axes.set_aspect("equal")
    axes.set_facecolor("black")
    axes.set_xlim(middle - half, middle + half)


def _candidates(axes, grid, heat) -> None:
    """The peaks of the center map in the frontal plane."""
    front = grid.max(axis=1)
    axes.imshow(front[:, ::-1], origin="lower", cmap="gray", vmin=-0.2, vmax=2.4, alpha=0.8, interpolation="bilinear")
    shown = heat.max(axis=1)
    peak = np.zeros_like(heat, bool)
    inner = heat[1:-1, 1:-1, 1:-1]
    around = [
        heat[1 + a : heat.shape[0] - 1 + a, 1 + b : heat.shape[1] - 1 + b, 1 + c : heat.shape[2] - 1 + c]
        for a in (-1, 0, 1)
        for b in (-1, 0, 1)
        for c in (-1, 0, 1)
    ]
    peak[1:-1, 1:-1, 1:-1] = (inner >= np.max(around, axis=0)) & (inner > 0.08)
    z, _, x = peak.nonzero()
    axes.scatter(shown.shape[1] - 1 - x, z, s=24, fc="none", ec="#ffd23f", lw=1.4)
    axes.set_aspect("equal")
    axes.set_xlim(4, len(front[0]) - 5)


def _level(axes, image, output) -> None:
    """The straightened reformation from the side, and the class that each of its rows is given."""
    levels = [f"{r}{i}" for r, most in (("C", 7), ("T", 13), ("L", 6)) for i in range(1, most + 1)]
    side = image[0, 0].float().numpy()  # (S, front to back, left to right)
    share = output.level[0].softmax(1).numpy()
    axes.axis("off")
    left, right = axes.inset_axes((0, 0, 0.27, 1)), axes.inset_axes((0.42, 0, 0.58, 1))
    left.imshow(side[:, :, 14:18].mean(axis=2), vmin=-0.5, vmax=1.3, aspect="auto", **GRAY)
    share = share[: len(side) // 2, :26]
    names = np.flatnonzero(share.max(axis=0) > 0.5)
    first, last = names[0], names[-1]
    right.imshow(share[:, first : last + 1], cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    rows = [(share[:, level] * np.arange(len(share))).sum() / share[:, level].sum() for level in names]
    right.set_yticks(rows, [levels[level] for level in names], fontsize=7.2, color=INK)
    right.tick_params(length=0, pad=2)
    for each in (left, right):
        each.set_xticks([])
        for spine in each.spines.values():
            spine.set_color("#c4ccd4")
    left.set_yticks([])


def _centroid(axes, cubes, output) -> None:
    """Six of the cubes around candidates, sagittal, and to where the network moves the point."""
    axes.axis("off")
    cubes, offset = cubes[:, 0].float().numpy(), output.offset.numpy()
    surest = offset[:14]  # candidates come with the strongest first
    farthest = np.argsort(-np.hypot(surest[:, 0], surest[:, 1]))[:6]
    for place, number in enumerate(np.sort(farthest)):
        part = axes.inset_axes((0.01 + 0.505 * (place % 2), 0.677 - 0.3385 * (place // 2), 0.475, 0.323))
        part.imshow(cubes[number][:, ::-1, 11:13].mean(axis=2), origin="lower", vmin=-0.5, vmax=1.3, **GRAY)
        z, y, _ = offset[number] / 2
        part.plot([11.5, 11.5 - y], [11.5, 11.5 + z], color="#ffd23f", lw=1.4)
        part.plot(11.5, 11.5, "o", ms=4.6, mfc="none", mec="#ffd23f", mew=1.3)
        part.plot(11.5 - y, 11.5 + z, "o", ms=5.2, mfc="#2f8fe0", mec="white", mew=0.8)
        part.set_xticks([])
        part.set_yticks([])


def _chain(axes, volume, points) -> None:
    _sagittal(axes, volume, points, names=True)


def _confidence(axes, labels) -> None:
    """A bar for each level, and the first warnings."""
    points = labels.points
    values = [min(point.confidence, 0.99) for point in points]
    rows = np.arange(len(points))
    colors = [REGIONS[point.level[0]] if value >= 0.7 else "#f0a000" for point, value in zip(points, values)]
    axes.axis("off")
    bars = axes.inset_axes((0.13, 0.2, 0.72, 0.8))
    bars.set_facecolor("none")
    bars.barh(rows, values, color=colors, height=0.66)
    bars.axvline(0.7, color="#f0a000", lw=1.2, ls=(0, (3, 2)))
    bars.set_yticks(rows, [point.level for point in points], fontsize=7.4, color=INK)
    bars.set_ylim(len(points) - 0.4, -0.6)
    bars.set_xlim(0, 1)
    bars.set_xticks([0, 0.7, 1], ["0", "0.7", "1"], fontsize=7.4, color=PALE)
    bars.tick_params(length=0, pad=2)
    for row, value in zip(rows, values):
        bars.text(1.02, row, f"{value:.2f}", va="center", fontsize=7, color=PALE)
    for name in ("top", "right", "left", "bottom"):
        bars.spines[name].set_visible(False)
    words = "\n".join(textwrap.fill(f"“{text}”", 36) for text in labels.warnings[:1]) or "no warning"
    style = {"transform": axes.transAxes, "va": "center", "fontsize": 8}
    axes.text(0, 0.085, "below 0.7: amber, look there first", color="#b97a00", **style)
    axes.text(0, 0.01, words, color=INK, style="italic", **style)


if __name__ == "__main__":
    main(*sys.argv[1:])
