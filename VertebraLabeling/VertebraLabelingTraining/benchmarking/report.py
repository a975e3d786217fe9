"""The benchmark's results as tables, with the goals that they are held against."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

GOAL_SECONDS, GOAL_GB, GOAL_RATIO = 5.0, 1.5, 20.0
GOAL_EXPONENT = 1.1  # linear in voxels, with room for what does not depend on them
_SHORT = {
    "checking the volume": "check",
    "loading the network": "load",
    "resampling": "resample",
    "finding vertebrae": "network",
    "reading levels": "levels",
    "placing points": "centroids",
    "naming levels": "solver",
}


def is_busy(machine: dict) -> bool:
    """Whether other programs kept more than a quarter of the cores busy when the benchmark began."""
    return machine["load"] is not None and machine["load"] > 0.25 * machine["cores"]


def default_rows(results: dict) -> list[dict]:
    """Rows of the shipped precision (fp32) on the CPU that were measured, the crop left out, by size."""
    rows = [r for r in results["labeling"] if (r["precision"], r["device"]) == ("fp32", "cpu") and "seconds" in r]
    return sorted((r for r in rows if r["scan"].startswith("512")), key=lambda r: r["voxels"])


def scaling_exponent(rows: Sequence[dict]) -> float | None:
    """Slope of log(seconds) over log(voxels) by least squares: 1 is linear, 2 quadratic; None for a single size."""
    if len({row["voxels"] for row in rows}) < 2:
        return None
    x, y = ([math.log(row[key]) for row in rows] for key in ("voxels", "seconds"))
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y)) / sum((a - mean_x) ** 2 for a in x)


def goals(results: dict) -> list[tuple[str, str, bool]]:
    """(goal, what was measured, reached) for each goal that this run says something about."""
    rows, found = default_rows(results), []
    if rows:
        seconds, memory = rows[-1]["seconds"], rows[-1]["memory_gb"]
        found.append(
            (f"at most {GOAL_SECONDS:.0f} s for {rows[-1]['scan']}", f"{seconds:.1f} s", seconds <= GOAL_SECONDS)
        )
        if memory is not None:
            found.append((f"at most {GOAL_GB} GB above the input", f"{memory:.2f} GB", memory <= GOAL_GB))
    exponent = scaling_exponent(rows)
    if exponent is not None:
        found.append(("time linear in voxels", f"exponent {exponent:.2f}", exponent <= GOAL_EXPONENT))
    for peer in results["peers"]:
        if peer["ratio"] is not None:
            goal = f"at least {GOAL_RATIO:.0f} x faster than {_plain_name(peer)}, {peer['scan']}"
            found.append((goal, _ratio(peer), peer["ratio"] >= GOAL_RATIO))
    return found


def markdown(results: dict) -> str:
    """All tables; also what the terminal shows."""
    machine = results["machine"]
    bf16 = "with" if machine["bf16"] else "without"
    lines = [
        *_wrapped(
            f"{machine['threads']} threads of {machine['cores']} cores, {bf16} bfloat16 instructions, "
            f"PyTorch {machine['torch']}. "
            f"Load before the run: {machine['load']}{', measured on a busy computer' if is_busy(machine) else ''}."
        ),
        "",
        *_labeling_table(results["labeling"]),
    ]
    exponent = scaling_exponent(default_rows(results))
    if exponent is not None:
        lines += ["", f"Time grows with voxels to the power of {exponent:.2f} (fp32, CPU)."]
    if results["bf16"] is not None:
        others, moved = results["bf16"]["other_levels"], results["bf16"]["largest_mm"]
        lines += ["", f"bf16 against fp32, all scans: {others} other levels, common points within {moved:.2f} mm."]
    if results["peers"]:
        lines += ["", *_peer_table(results["peers"])]
    lines += [
        "",
        *_table(("goal", "measured", "reached"), [(g, m, "yes" if ok else "no") for g, m, ok in goals(results)]),
    ]
    return "\n".join(lines) + "\n"


def _labeling_table(rows: Sequence[dict]) -> list[str]:
    stages = list(dict.fromkeys(name for row in rows for name in row.get("stages", ())))
    body, failures = [], []
    for row in rows:
        about = (row["scan"], row["precision"], row["device"])
        if "seconds" in row:
            times = [f"{row['stages'].get(name, 0):.2f}" for name in stages]
            body.append((*about, f"{row['seconds']:.2f}", *times, _memory(row)))
        else:
            body.append((*about, "failed", *[""] * (len(stages) + 1)))
            failures += ["", *_wrapped(f"{', '.join(about)}: {row['failed']}")]
    head = ("scan", "type", "device", "seconds", *[_SHORT.get(s, s) for s in stages], "GB")
    return [
        *_table(head, body),
        "",
        "After the total, the seconds of each stage; GB of memory above the input.",
        *failures,
    ]


def _peer_table(peers: Sequence[dict]) -> list[str]:
    body, notes = [], []
    for peer in peers:
        seconds = f"{peer['seconds']:.0f}" if "seconds" in peer else ""
        body.append((_plain_name(peer), peer["scan"], seconds, _ratio(peer), _memory(peer)))
        notes += _wrapped(f"{peer['name']}, {peer['scan']}: {peer.get('how', peer.get('failed', ''))}", bullet="- ")
    return [*_table(("peer, speed only", "scan", "seconds", "times ours", "GB"), body), "", *notes]


def _plain_name(peer: dict) -> str:
    """Without the version and what else stands in brackets."""
    return peer["name"].split(" (")[0]


def _ratio(peer: dict) -> str:
    if peer["ratio"] is None:
        return ""
    return f"{'over ' if 'over_seconds' in peer else ''}{peer['ratio']:.0f} x"


def _memory(row: dict) -> str:
    return "" if row.get("memory_gb") is None else f"{row['memory_gb']:.2f}"


def _wrapped(text: str, bullet: str = "") -> list[str]:
    """Lines of at most 120 characters."""
    indent = " " * len(bullet)
    return textwrap.wrap(text, 120, initial_indent=bullet, subsequent_indent=indent, break_on_hyphens=False)


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table with aligned columns."""
    widths = [max(len(row[column]) for row in (head, *body)) for column in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths)) + " |" for row in (head, *body)]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]
