"""Puts cases through the engine in a process of its own, so that a crash or a hang of a library is seen as such.

    python case_process.py FOLDER < names        one JSON object a line: {"begin": name}, then its outcome

The process may use 6 GB of address space (there is no torch in it) and each case a bounded time; where one oversteps,
the process ends and :func:`outcomes` goes on with the next case in a new one.
"""

from __future__ import annotations

import faulthandler
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from ball_labeler import sitk_components
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.core.volume import ijk_to_ras
from VertebraLabelingLib.errors import NoSpineError

ADDRESS_SPACE = 6 * 2**30
SECONDS = 60.0  # after which a case counts as hanging


def outcomes(names: Sequence[str], folder: Path) -> dict[str, dict]:
    """What came of each case: ``status`` (``done``, ``refused``, ``died``), ``message``, ``points``, time, memory."""
    found: dict[str, dict] = {}
    left = list(names)
    while left:
        begun = None
        for line in _lines(left, folder):
            begun = line.get("begin", begun)
            if "name" in line:
                found[line["name"]] = line
                begun = None
        words = (folder / "stderr.txt").read_text()[-2000:]
        if begun is not None:
            found[begun] = {
                "name": begun,
                "status": "died",
                "message": words,
                "points": [],
                "seconds": 0,
                "megabytes": 0,
            }
        if len(left) == len(left := [name for name in left if name not in found]):
            raise RuntimeError(f"the cases cannot be run: {words}")
    return found


def _lines(names: Sequence[str], folder: Path) -> Iterable[dict]:
    paths = [path for path in sys.path if path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1"}
    with (folder / "stderr.txt").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, __file__, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        )
        process.stdin.write("\n".join(names))
        process.stdin.close()
        with process.stdout:
            for line in process.stdout:
                if line.startswith("{"):
                    yield json.loads(line)
        process.wait()


def main() -> None:
    """Run the cases named on standard input."""
    import collection

    _limit_memory()
    os.fsync = lambda descriptor: None  # thousands of small files, which need not survive a power cut
    cases = {case.name: case for case in collection.all_cases()}
    folder = Path(sys.argv[1])
    for name in sys.stdin.read().split("\n"):
        place = Path(tempfile.mkdtemp(dir=folder))
        path = cases[name].make(place)
        print(json.dumps({"begin": name}), flush=True)
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        outcome = _label(path, place / "labels")
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps({"name": name, **outcome}), flush=True)
        shutil.rmtree(place, ignore_errors=True)


def _label(path: Path, output: Path) -> dict:
    """The way of the command line, one input to its end."""
    from VertebraLabelingLib.batch.inputs import find_scans
    from VertebraLabelingLib.batch.label_batch import in_this_process, label_batch
    from VertebraLabelingLib.batch.outputs import OutputPlan

    before, started = _peak_megabytes(), time.process_time()
    plan = OutputPlan(str(output), ("mrk.json", "csv", "verse.json"))
    results = label_batch(find_scans([path]), plan, in_this_process(LargeBallLabeler()), Silent())
    told = {"seconds": time.process_time() - started, "megabytes": _peak_megabytes() - before}
    if len(results) != 1:
        return {"status": "done", "message": "", "points": [r.path for r in results], **told}
    (result,) = results
    inside = all(entry.parent == output for entry in output.rglob("*")) if output.is_dir() else True
    if not inside:
        return {"status": "died", "message": "wrote outside of its folder", "points": [], **told}
    points = [point[1:4] for point in result.points]
    status = "done" if result.status == "done" else "refused"
    return {"status": status, "message": result.message, "points": points, **told}


class LargeBallLabeler:
    """Finds the dense balls of the phantom, as the network finds vertebrae: single wild voxels mean nothing to it."""

    def label(self, volume, fixed=None, progress=None, cancelled=None):
        """Centers of mass of the parts between 1000 and 5000 HU of more than 30 voxels, head to foot."""
        array = np.nan_to_num(np.asarray(volume.array, dtype=np.float32), nan=-1000, posinf=-1000, neginf=-1000)
        parts, number = sitk_components((array > 1000) & (array < 5000))
        places = [np.argwhere(parts == n) for n in range(1, min(number, 50) + 1)]
        centers = [ijk_to_ras(volume, [p[:, ::-1].mean(axis=0)])[0] for p in places if len(p) > 30]
        if not centers or len(centers) > 10:
            raise NoSpineError("No vertebra was found: choose a CT that shows the spine.")
        centers.sort(key=lambda center: -center[2])
        points = [LabeledPoint(f"T{n}", tuple(map(float, center))) for n, center in enumerate(centers, start=1)]
        return SpineLabels(tuple(points), (), {"model": "balls"})


class Silent:
    """A reporter that says nothing."""

    def __getattr__(self, name):
        return lambda *arguments, **named: None


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = ADDRESS_SPACE if hard == resource.RLIM_INFINITY else min(ADDRESS_SPACE, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _peak_megabytes() -> float:
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


if __name__ == "__main__":
    main()
