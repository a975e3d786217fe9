"""``vertebra-labeling benchmark CT``: time, memory and peers, in one run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

FILES = ("benchmark.json", "benchmark.md", "benchmark.png")


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser(
        "benchmark",
        help="measure time and memory of labeling, beside peers",
        description="Measure labeling of scans of 512 x 512 x N voxels made from a CT that shows a spine: seconds by "
        "stage, peak memory above the input, fp32, bf16 where the processor has it, CUDA where there is one. Peers "
        "(pip install '.[bench]') do the same spine crop with random weights: speed only. Every "
        "measurement runs in a process of its own. Close other programs; on a busy computer the times mean nothing.",
    )
    parser.add_argument("ct", metavar="CT", help="NIfTI, NRRD or MetaImage file, or DICOM folder, that shows a spine")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, help=f"folder for {', '.join(FILES)}")
    parser.add_argument("--slices", type=_positive, nargs="+", default=[300, 600, 1000], metavar="N")
    parser.add_argument("--repeats", type=_positive, default=7, metavar="N", help="labelings of each scan (default: 7)")
    parser.add_argument("--threads", type=_positive, metavar="N", help="threads (default: all cores)")
    parser.add_argument(
        "--limit", type=_positive, default=900, metavar="S", help="seconds for one measurement (default: 900)"
    )
    parser.add_argument("--no-peers", action="store_true", help="measure only our own labeling")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the sub-command; returns 1 when a measurement of our own labeling failed."""
    from VertebraLabelingLib.batch.workers import available_cores
    from VertebraLabelingLib.scans.read_scan import read_volume

    from ..benchmarking.plan import run_benchmark
    from ..benchmarking.report import markdown

    results = run_benchmark(
        read_volume(arguments.ct),
        sorted(set(arguments.slices)),
        repeats=arguments.repeats,
        threads=arguments.threads or available_cores(),
        limit=arguments.limit,
        peers=not arguments.no_peers,
    )
    print("\n" + markdown(results))
    if arguments.output:
        _write(results, arguments.output)
    return int(any("failed" in row for row in results["labeling"]))


def _write(results: dict, folder: Path) -> None:
    """The files of ``--output``; the picture only where matplotlib is installed."""
    from VertebraLabelingLib.system.atomic import write_text

    from ..benchmarking.plot import plot
    from ..benchmarking.report import markdown

    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / FILES[0], json.dumps(results, indent=1) + "\n")
    write_text(folder / FILES[1], markdown(results))
    try:
        plot(results, folder / FILES[2])
    except ImportError:
        print("The picture needs matplotlib: pip install '.[bench]'")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number
