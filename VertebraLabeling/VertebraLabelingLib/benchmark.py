"""How long labelling takes and how much memory it needs, on a CT as large as a whole body.

    python -m VertebraLabelingLib.benchmark CT [--slices 1000] [--repeats 3] [--json FILE]

The given CT is laid at its natural size into 512 x 512 x N voxels of 0.98 x 0.98 x 1 mm (500 x 500 x N mm), its outer
slices repeated up and down: a scan of that size that contains a real spine, with no air to save work on. The time runs
from the volume in memory to the labels, weights loading apart; memory is the peak of the process above what
it held with volume and weights loaded (Linux only).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from .volume import AIR_HU, Volume, from_sitk, to_canonical

SIDE = 512
PIXEL_MM = 500 / SIDE


def whole_body(path: Path, slices: int) -> Volume:
    """Lay the CT into a (slices, 512, 512) int16 volume of 1 mm slices; see the module's docstring."""
    import SimpleITK as sitk

    canonical = to_canonical(from_sitk(sitk.ReadImage(str(path))))
    image = sitk.GetImageFromArray(np.ascontiguousarray(canonical.array).astype(np.int16))
    image.SetSpacing(canonical.spacing.tolist())
    extent = np.array(image.GetSize()) * canonical.spacing
    own = int(min(slices, extent[2]))
    grid = sitk.Image(SIDE, SIDE, own, sitk.sitkInt16)
    grid.SetSpacing([PIXEL_MM, PIXEL_MM, 1.0])
    grid.SetOrigin([*(extent[:2] / 2 - 250), 0.0])
    array = sitk.GetArrayFromImage(sitk.Resample(image, grid, sitk.Transform(), sitk.sitkLinear, AIR_HU))
    above = (slices - own) // 2
    array = np.pad(array, ((slices - own - above, above), (0, 0), (0, 0)), mode="edge")
    return Volume(array, np.diag([PIXEL_MM, PIXEL_MM, 1.0, 1.0]))


def memory_kb(field: str) -> int:
    """A memory figure of this process from Linux' ``/proc/self/status``: ``VmRSS`` (now) or ``VmHWM`` (peak), kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def reset_peak_memory() -> int:
    """Let the peak start again from what is used now, and return that (kB)."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory_kb("VmRSS")


def measure(volume: Volume, repeats: int) -> dict[str, object]:
    """Label the volume ``repeats`` times; seconds by stage and in all (median), peak memory above the input (GB)."""
    from .labeler import VertebraLabeler

    labeler = VertebraLabeler(device="cpu")
    assert labeler.model is not None  # load the weights before the clock starts
    before = reset_peak_memory()
    runs, stages, labels = [], [], None
    for _ in range(repeats):
        marks: list[tuple[float, str]] = []
        started = time.perf_counter()
        labels = labeler.label(volume, progress=lambda _, name, marks=marks: marks.append((time.perf_counter(), name)))
        runs.append(time.perf_counter() - started)
        times: dict[str, float] = {}
        for (start, name), (end, _) in zip(marks, marks[1:]):
            times[name] = times.get(name, 0.0) + end - start
        stages.append(times)
    peak = memory_kb("VmHWM")
    return {
        "shape": list(volume.array.shape),
        "seconds": round(float(np.median(runs)), 2),
        "seconds_first": round(runs[0], 2),
        "stages": {name: round(float(np.median([s[name] for s in stages])), 2) for name in stages[0]},
        "memory_above_input_gb": round((peak - before) / 2**20, 2),
        "levels": [point.level for point in labels.points],
    }


def main() -> int:
    """See the module's docstring."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", type=Path)
    parser.add_argument("--slices", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = {
        "threads": torch.get_num_threads(),
        **measure(whole_body(arguments.ct, arguments.slices), arguments.repeats),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
