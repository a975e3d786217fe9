"""Where the truth of a scan ends although the spine goes on: draw the ends for readers, turn their readings into truth.

    python -m VertebraLabelingTraining.evaluation.spine_ends draw DATA/openkbp OUT
    python -m VertebraLabelingTraining.evaluation.spine_ends apply DATA/openkbp FIRST.csv SECOND.csv --out FOLDER

The pictures show the known points and nothing that a network said. Readers follow ``truth_added/reading.md``: a row for
each end says whether the next body is ``whole`` (both end plates in view), ``cut``, or hardly there (``none``), where
its middle lies and where the image ends (``up``, ``front``, ``right``, ``edge_up``: mm along the axes of
:class:`curved_planar_reformation.SpineFrame`), and how ``sure`` (0 to 1) the reader is. What all readers are sure to be whole becomes
a point that counts; what any of them calls whole or cut otherwise, a point that is ``cut`` and counts neither way.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS, USUAL_LEVELS
from VertebraLabelingLib.core.volume import Volume, to_canonical
from VertebraLabelingLib.formats.mrk_json import MarkupPoint, read_points
from VertebraLabelingLib.formats.truth import write_truth
from VertebraLabelingLib.review.curved_planar_reformation import SpineFrame, coronal_view, sagittal_view, spine_frame
from VertebraLabelingLib.scans.read_scan import read_volume
from VertebraLabelingLib.system.atomic import atomic_path

from ..data.cases import TRUTH_SUFFIX

LOWER, UPPER = "lower", "upper"
WHOLE, CUT, NONE = VERDICTS = ("whole", "cut", "none")
SURE = 0.7
BEYOND_MM = 75.0
KNOWN = 4  # points shown beside the end
_IMAGE = ".nii.gz"
_WINDOW_HU = (-80.0, 500.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    draw = commands.add_parser("draw", help="write a picture of each end")
    draw.add_argument("data", type=Path)
    draw.add_argument("out", type=Path)
    apply = commands.add_parser("apply", help="write the points that the readers agree on")
    apply.add_argument("data", type=Path)
    apply.add_argument("readings", type=Path, nargs="+")
    apply.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    if options.command == "draw":
        for truth in sorted(options.data.glob("*" + TRUTH_SUFFIX)):
            draw_ends(truth, options.out)
    else:
        print(f"{apply_readings(options.data, options.readings, options.out)} points")
    return 0


def draw_ends(truth: Path, out: Path) -> None:
    """Write each end of one scan, as PNG, beyond which there may be a further vertebra."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    points = _head_to_foot(truth)
    out.mkdir(parents=True, exist_ok=True)
    for end in (LOWER, UPPER):
        if next_level(points, end) is None:
            continue
        name = truth.name.removesuffix(TRUTH_SUFFIX) + ("" if end == LOWER else "_upper")
        with atomic_path(out / f"{name}.png") as temporary:
            FigureCanvasAgg(_figure(name, truth, points, end)).print_png(temporary)


def apply_readings(data: Path, readings: Sequence[Path], out: Path) -> int:
    """Write ``<case>.mrk.json`` below ``out`` for each scan whose spine goes on; returns the number of points.

    Raises:
        ValueError: the readers did not read the same ends, or a verdict is none of the three.
    """
    tables = [_read(path) for path in readings]
    if any(table.keys() != tables[0].keys() for table in tables):
        raise ValueError("The readers did not read the same ends: give each of them all pictures.")
    unknown = {row["verdict"] for table in tables for row in table.values()} - set(VERDICTS)
    if unknown:
        raise ValueError(f"{sorted(unknown)[0]!r} is no verdict: write {', '.join(VERDICTS)}.")
    found: dict[str, dict[str, tuple[tuple[float, ...], bool]]] = {}
    for (case, end), first in tables[0].items():
        rows = [first, *(table[case, end] for table in tables[1:])]
        if all(row["verdict"] == NONE for row in rows):
            continue
        points = _head_to_foot(data / (case + TRUTH_SUFFIX))
        level = next_level(points, end)
        if level is None:
            raise ValueError(f"Nothing can follow the {end} end of {case}: take its row out of the readings.")
        _, frame = _frame(data / (case + _IMAGE), points, end)
        places = [[float(row[axis]) for axis in ("right", "front", "up")] for row in rows if row["verdict"] != NONE]
        ras = np.mean(places, axis=0) @ np.stack((frame.right, frame.front, frame.up))
        whole = all(row["verdict"] == WHOLE and float(row["sure"]) >= SURE for row in rows)
        found.setdefault(case, {})[level] = (tuple(ras.tolist()), whole)
    for case, added in found.items():
        cut = frozenset(level for level, (_, whole) in added.items() if not whole)
        write_truth(out / (case + TRUTH_SUFFIX), {level: ras for level, (ras, _) in added.items()}, cut)
    return sum(len(added) for added in found.values())


def next_level(points: Sequence[MarkupPoint], end: str) -> str | None:
    """The usual level that follows the last known one at an end; None beyond C1 and L5."""
    ranks = [LEVEL_INDEX[point.level] for point in points]
    usual = [level for level in LEVELS if level in USUAL_LEVELS]
    if end == LOWER:
        return next((level for level in usual if LEVEL_INDEX[level] > max(ranks)), None)
    return next((level for level in reversed(usual) if LEVEL_INDEX[level] < min(ranks)), None)


def _head_to_foot(truth: Path) -> list[MarkupPoint]:
    return sorted(read_points(truth), key=lambda point: LEVEL_INDEX[point.level])


def _read(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return {(row["case"], row["end"]): row for row in csv.DictReader(file)}


def _frame(image: Path, points: Sequence[MarkupPoint], end: str) -> tuple[Volume, SpineFrame]:
    volume = to_canonical(read_volume(image))
    ras = np.array([point.ras for point in points])
    return volume, spine_frame(volume, ras, BEYOND_MM if end == UPPER else 0.0, BEYOND_MM)


def _figure(name: str, truth: Path, points: Sequence[MarkupPoint], end: str):
    """Sagittal and coronal view of one end, the ticks in mm."""
    from matplotlib.figure import Figure

    volume, frame = _frame(truth.parent / (truth.name.removesuffix(TRUTH_SUFFIX) + _IMAGE), points, end)
    places = frame.coordinates(np.array([point.ras for point in points]))
    low, high = frame.heights[0], frame.heights[-1]
    if end == LOWER:
        high = min(high, places[max(len(places) - KNOWN, 0), 2] + 8)
    else:
        low = max(low, places[min(KNOWN, len(places)) - 1, 2] - 8)
    figure = Figure(figsize=(11, 7.5), dpi=100, facecolor="#101418")
    views = (
        ("sagittal: x = front", sagittal_view(volume, frame), 1),
        ("coronal: x = right", coronal_view(volume, frame), 0),
    )
    for column, (title, view, across) in enumerate(views):
        axes = figure.add_axes((0.04 + 0.48 * column, 0.05, 0.46, 0.9), facecolor="#203050")
        gray = np.clip((view.pixels - _WINDOW_HU[0]) / (_WINDOW_HU[1] - _WINDOW_HU[0]), 0, 1)
        rgba = np.nan_to_num(np.dstack([gray, gray, gray, np.isfinite(view.pixels)]))
        axes.imshow(rgba, extent=view.extent, interpolation="bilinear")
        _limit(axes, frame, across, low, high)
        for point, place in zip(points, places):
            if low <= place[2] <= high:
                axes.plot(place[across], place[2], "x", color="#6cb6ff")
                text = f"{point.level} cut" if point.cut else point.level
                axes.text(place[across] + 18, place[2], text, color="#6cb6ff", va="center", clip_on=True)
        axes.tick_params(colors="#c0c8d0", labelsize=7)
        axes.set_title(f"{name} {title}, mm", color="white", fontsize=9)
    return figure


def _limit(axes, frame: SpineFrame, across: int, low: float, high: float) -> None:
    curve = frame.fronts if across else frame.rights
    middle = float(np.median(curve[(frame.heights >= low) & (frame.heights <= high)]))
    half = 0.3 * (high - low) + 14
    axes.set_xlim(middle + half, middle - half)
    axes.set_ylim(low, high)
    axes.set_xticks(np.arange(np.ceil((middle - half) / 10) * 10, middle + half, 10))
    axes.set_yticks(np.arange(np.ceil(low / 5) * 5, high, 5))


if __name__ == "__main__":
    raise SystemExit(main())
