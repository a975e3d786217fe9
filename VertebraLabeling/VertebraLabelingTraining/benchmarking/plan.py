"""The whole benchmark: which measurements run on which scans, one after the other."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from VertebraLabelingLib import __version__
from VertebraLabelingLib.core.volume import Volume

from .child import run_measurement
from .report import is_busy
from .scans import spine_crop, whole_body, write_scan

CROP = "spine crop"

Measure = Callable[..., dict]
Say = Callable[[str], None]


def run_benchmark(
    ct: Volume,
    slices: Sequence[int],
    *,
    repeats: int,
    threads: int,
    limit: float,
    peers: bool = True,
    measure: Measure = run_measurement,
    say: Say = print,
) -> dict:
    """Measure our labeling of scans of several sizes and of the spine crop, then the peers.

    Args:
        ct: a CT that contains a spine; see :func:`scans.whole_body`.
        slices: numbers of slices, ascending.
        repeats: labelings of each scan; the median counts.
        threads: threads of every measurement.
        limit: seconds that one measurement may take.

    Returns:
        JSON fields: ``machine``, ``labeling`` (a row for each scan, precision and device), ``peers`` (a row for each
        peer and scan, ``ratio`` to our fp32 time for the same scan), ``bf16`` (:func:`_bf16_difference`).
    """
    machine = describe_machine(threads)
    if is_busy(machine):
        say(f"The computer is busy (load {machine['load']} on {machine['cores']} cores): the times will be wrong.")
    variants = [("fp32", "cpu")] + [("bf16", "cpu")] * machine["bf16"] + [("fp32", "cuda")] * machine["cuda"]
    rows: list[dict] = []

    def label(scan: Path, name: str) -> None:
        for precision, device in variants:
            say(f"labeling {name}, {precision}, {device}")
            row = measure(
                "labeling", threads, limit, scan=str(scan), precision=precision, device=device, repeats=repeats
            )
            rows.append({"scan": name, "precision": precision, "device": device, **row})

    with tempfile.TemporaryDirectory() as folder:
        for number in slices:
            say(f"building a scan of {number} slices")
            body, file = whole_body(ct, number), Path(folder) / "body.npy"
            write_scan(file, body)
            label(file, scan_name(number))
        points = rows[-len(variants)].get("points") or {"middle": body.corners.mean(axis=0).tolist()}
        crop = Path(folder) / "crop.npy"
        write_scan(crop, spine_crop(body, points.values()))
        label(crop, CROP)
        extent = body.array.shape * body.spacing[::-1]
        found = _measure_peers(crop, scan_name(slices[-1]), extent, threads, limit, measure, say) if peers else []
    return {
        "machine": machine,
        "labeling": rows,
        "peers": [_with_ratio(peer, rows) for peer in found],
        "bf16": _bf16_difference(rows),
    }


def scan_name(slices: int) -> str:
    """What a scan of so many slices is called in the results."""
    return f"512 x 512 x {slices}"


def describe_machine(threads: int) -> dict:
    """Versions, cores, and what the processor can do; nothing that identifies the computer."""
    import torch

    from .precision import cpu_has_bfloat16

    return {
        "vertebra_labeling": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "bf16": cpu_has_bfloat16(),
        "cuda": torch.cuda.is_available(),
    }


def _measure_peers(
    crop: Path, larger: str, larger_mm: np.ndarray, threads: int, limit: float, measure: Measure, say: Say
) -> list[dict]:
    """A row for each peer and scan."""
    from .nnunet_peer import NAME as NNUNET
    from .spine_segment_peer import NAME as SPINE_SEGMENT

    say(f"{SPINE_SEGMENT}: takes minutes")
    localizer = measure("spine-segment", threads, limit, scan=str(crop))
    say(f"{NNUNET}: takes minutes")
    unet = measure("nnunet", threads, limit, scan=str(crop), larger_mm=larger_mm.tolist())
    rows = [{"name": SPINE_SEGMENT, "scan": CROP, **localizer}]
    rows.append({"name": NNUNET, "scan": CROP, **{key: value for key, value in unet.items() if key != "larger"}})
    if "larger" in unet:
        rows.append({"name": unet["name"], "scan": larger, "memory_gb": None, **unet["larger"]})
    return rows


def _with_ratio(peer: dict, rows: Sequence[dict]) -> dict:
    """Add ``ratio``: the peer's time over ours for the same scan in fp32 on the CPU (None where either is missing)."""
    ours = next((r for r in rows if (r["scan"], r["precision"], r["device"]) == (peer["scan"], "fp32", "cpu")), {})
    seconds = peer.get("seconds", peer.get("over_seconds"))
    known = seconds is not None and "seconds" in ours
    return {**peer, "ratio": seconds / ours["seconds"] if known else None}


def _bf16_difference(rows: Sequence[dict]) -> dict | None:
    """How bf16 differs from fp32: ``other_levels`` that only one of them names, ``largest_mm`` of common points."""
    others, distances = 0, [0.0]
    pairs = [(twin["points"], row["points"]) for row in rows for twin in rows if _is_twin(twin, row)]
    for exact, rough in pairs:
        others += len(set(exact) ^ set(rough))
        distances += [float(np.linalg.norm(np.subtract(exact[n], rough[n]))) for n in set(exact) & set(rough)]
    return {"other_levels": others, "largest_mm": max(distances)} if pairs else None


def _is_twin(exact: dict, rough: dict) -> bool:
    """Whether these are the fp32 and the bf16 row of one scan on the CPU, both measured."""
    same = exact["scan"] == rough["scan"] and exact["device"] == rough["device"]
    return (
        same
        and (exact["precision"], rough["precision"]) == ("fp32", "bf16")
        and "points" in exact
        and "points" in rough
    )
