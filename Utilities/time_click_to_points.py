"""Measures the time from a click on "Label vertebrae" to the points, stage by stage, in the panel of the harness.

    python Utilities/time_click_to_points.py CT.nii.gz [--series 5] [--runs 4]

Each series begins without a labeling process; its later runs find the process ready. Prints the fastest of each, since
other work on the computer only adds. Without the Slicer application; the process is the same there.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
TESTING = Path(__file__).resolve().parents[1] / "VertebraLabeling" / "Testing" / "Python"
sys.path[:0] = [str(TESTING.parents[1]), str(TESTING), str(TESTING / "helpers")]

import harness  # noqa: E402

harness.start()

import slicer  # noqa: E402
from click_to_points import STAGES, timedRuns  # noqa: E402


def main():
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", help="NIfTI, NRRD or MetaImage")
    parser.add_argument("--series", type=int, default=3)
    parser.add_argument("--runs", type=int, default=4, help="in a series, the first included")
    options = parser.parse_args()
    harness.loadModule(TESTING.parents[1] / "VertebraLabeling.py")
    widget = slicer.util.getModuleWidget("VertebraLabeling")
    widget.enter()
    volumeNode = slicer.util.loadVolume(options.ct, properties={})
    first, later = [], []
    for _ in range(options.series):
        runs = timedRuns(widget, volumeNode, options.runs)
        first.append(runs[0])
        later.extend(runs[1:])
    print("seconds    " + "".join(f"{name:>11}" for name in STAGES))
    for name, those in (("first run", first), ("later runs", later)):
        if those:
            best = min(those, key=lambda run: run["all"])
            print(f"{name:11}" + "".join(f"{best[stage]:11.2f}" if best[stage] else f"{'-':>11}" for stage in STAGES))
    if first[-1]["bytes"]:
        print(f"The process that waits holds {runs[-1]['bytes'] / 1e9:.2f} GB.")
    widget.panel.stop()


if __name__ == "__main__":
    main()
