"""The benchmark's results as one picture."""

from __future__ import annotations

from pathlib import Path

from VertebraLabelingLib.system.atomic import atomic_path

from .report import GOAL_RATIO, GOAL_SECONDS, default_rows


def plot(results: dict, path: Path) -> None:
    """Seconds by stage over the number of voxels, and the times of the peers in multiples of ours, as PNG.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.2))
    _stages(left, default_rows(results))
    _ratios(right, [peer for peer in results["peers"] if peer["ratio"] is not None])
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _stages(axes, rows: list[dict]) -> None:
    """Stacked bars: where the time of each scan goes."""
    names = [row["scan"] for row in rows]
    bottom = [0.0] * len(rows)
    for stage in dict.fromkeys(name for row in rows for name in row["stages"]):
        heights = [row["stages"].get(stage, 0.0) for row in rows]
        if max(heights, default=0.0) >= 0.01:
            axes.bar(names, heights, bottom=bottom, label=stage, width=0.6)
        bottom = [low + height for low, height in zip(bottom, heights)]
    axes.axhline(GOAL_SECONDS, color="gray", linestyle=":", linewidth=1)
    axes.set_ylabel("seconds")
    axes.set_title("Labeling, fp32, CPU", fontsize=10)
    axes.tick_params(labelsize=8)
    axes.set_ylim(0, 1.5 * max([GOAL_SECONDS, *bottom]))  # room for the legend
    axes.legend(fontsize=8, frameon=False, loc="upper left", ncols=2)


def _ratios(axes, peers: list[dict]) -> None:
    """Horizontal bars on a logarithmic axis: how many times longer each peer takes."""
    names = ["ours", *(f"{peer['name'].split(' (')[0]}\n{peer['scan']}" for peer in peers)]
    values = [1.0, *(peer["ratio"] for peer in peers)]
    bars = axes.barh(names, values, color=["tab:green"] + ["tab:gray"] * len(peers), height=0.6)
    axes.bar_label(bars, [f" {value:.0f} x" for value in values], fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(0.8, max(values) * 4)
    axes.axvline(GOAL_RATIO, color="gray", linestyle=":", linewidth=1)
    axes.invert_yaxis()
    axes.set_title("Time for the same scan, random weights, speed only", fontsize=10)
    axes.tick_params(labelsize=8)
