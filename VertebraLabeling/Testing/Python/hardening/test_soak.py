"""Two hundred labelings in one process: memory stays where it is. Time grows with the voxels and no faster."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.long

LABELINGS = 200
SETTLED = 40  # labelings after which libraries have made their caches
MOST_KILOBYTES_PER_LABELING = 60.0  # 12 MB in 200 labelings

SOAK = """
import gc, json, resource, sys
from pathlib import Path
sys.path[:0] = sys.argv[4:]
import SimpleITK as sitk
import torch
torch.set_num_threads(1)
from VertebraLabelingLib.batch.inputs import ScanJob
from VertebraLabelingLib.scans.read_scan import read_volume
from VertebraLabelingLib.pipeline.labeler import VertebraLabeler
from VertebraLabelingLib.batch.outputs import OutputPlan
from VertebraLabelingLib.batch.scan_job import label_one
from VertebraLabelingLib.core.volume import Volume, to_canonical
from VertebraLabelingLib.preprocessing.resampling import metal_free_block_mean
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk

count, folder, jobs = int(sys.argv[1]), Path(sys.argv[2]), []
small = to_canonical(metal_free_block_mean(read_volume(sys.argv[3]), (6, 6, 2)))  # 4.2 x 4.2 x 5 mm
for number, last in enumerate((40, 52, 60)):  # three fields of view, in turn
    path = folder / f"ct{number}.nii.gz"
    sitk.WriteImage(to_sitk(Volume(small.array[:last], small.ijk_to_ras)), str(path))
    jobs.append(ScanJob(str(path), path.name[:3]))
labeler, memory, told = VertebraLabeler(device="cpu"), [], set()
plan = OutputPlan(str(folder / "out"), ("mrk.json", "csv", "verse.json"), overwrite=True)
for number in range(count):
    result = label_one(jobs[number % len(jobs)], labeler, plan)
    told.add(result.status + ": " + result.message)
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    memory.append(pages * resource.getpagesize() / 1024)
print(json.dumps({"kilobytes": memory, "told": sorted(told)}))
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads the memory of the process as Linux tells it")
def test_memory_is_flat_over_two_hundred_labelings(tmp_path, sample_ct):
    import numpy as np

    paths = [path for path in sys.path if path]
    command = [sys.executable, "-c", SOAK, str(LABELINGS), str(tmp_path), str(sample_ct), *paths]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    memory = np.array(found["kilobytes"][SETTLED:])
    slope = np.polyfit(np.arange(len(memory)), memory, 1)[0]
    print(f"{slope:.1f} kB a labeling, {memory[-1] / 1024:.0f} MB at the end, outcomes {found['told']}")
    assert found["told"] == ["done: "]
    assert slope < MOST_KILOBYTES_PER_LABELING
    assert memory[-20:].mean() - memory[:20].mean() < 20 * 1024


SCALING = """
import json, sys, time
sys.path[:0] = sys.argv[1:]
import torch
torch.set_num_threads(1)
import numpy as np
from phantoms import affine, body
from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingLib.pipeline.labeler import VertebraLabeler
from VertebraLabelingLib.core.volume import Volume
labeler, rows = VertebraLabeler(device="cpu"), []
one = body((32, 128, 128), affine((2.5, 2.5, 2.0)))
labeler.model
for repeat in (1, 2, 4, 8, 16):
    volume = Volume(np.tile(one.array, (repeat, 1, 1)), one.ijk_to_ras)
    times = []
    for _ in range(3):
        before = time.process_time()
        try:
            labeler.label(volume)
        except VertebraLabelingError:
            pass  # no vertebra in the phantom: all of the work is done before that is known
        times.append(time.process_time() - before)
    rows.append((volume.array.size, min(times)))
print(json.dumps(rows))
"""


@pytest.mark.timing
def test_time_is_linear_in_voxels():
    """Processor time, so that other work on the computer does not count."""
    import numpy as np

    paths = [path for path in sys.path if path]
    done = subprocess.run([sys.executable, "-c", SCALING, *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    voxels, seconds = np.array(json.loads(done.stdout)).T
    exponent = np.polyfit(np.log(voxels[1:]), np.log(seconds[1:]), 1)[0]
    print(f"{voxels.astype(int).tolist()} voxels in {seconds.round(3).tolist()} s: exponent {exponent:.2f}")
    assert exponent < 1.15, "no faster than the voxels; 2 would be quadratic"
    assert seconds[-1] / seconds[1] < 8 * 1.4, "eight times the voxels"
