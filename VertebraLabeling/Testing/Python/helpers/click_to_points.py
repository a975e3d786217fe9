"""How long it takes from a click on *Label vertebrae* to the points, stage by stage. Needs the open panel."""

import os
import time
from pathlib import Path

import slicer
from VertebraLabelingPanel.labeling_process import ready

STAGES = ("hand-over", "start", "PyTorch", "labeling", "finish", "all", "CPU")


def timedRuns(widget, volumeNode, count, device="cpu"):
    """Press the button so many times, the first time without a process that is ready.

    Returns:
        list[dict]: for each run the seconds of :data:`STAGES`. The process starts and loads PyTorch and the networks
        during the hand-over; labeling begins when both are done. CPU is that of both processes, bytes the
        memory of the labeling process after the run (Linux, else None).
    """
    ui = widget.ui
    ui.inputSelector.setCurrentNode(volumeNode)
    ui.deviceComboBox.currentText = device
    ready.end()
    cpuOf, runs = {}, []
    for _ in range(count):
        before = time.process_time()
        ui.labelButton.click()
        run = widget.panel.run._run
        while widget.panel.run.running:
            slicer.app.processEvents()
            time.sleep(0.002)
        if run.error:
            raise run.error
        own, cpu = time.process_time() - before, cpuSeconds(run.workerPid)
        both = cpu and own + cpu - cpuOf.get(run.workerPid, 0.0)
        runs.append({**stagesOf(run.times), "CPU": both, "bytes": residentBytes(run.workerPid)})
        cpuOf[run.workerPid] = cpu
    return runs


def stagesOf(times):
    """Seconds of each stage from the moments that a run remembers."""
    start, loaded = times["started"], times.get("ready", times["started"])
    return {
        "hand-over": times["handed over"],
        "start": start,
        "PyTorch": loaded - start,
        "labeling": times["result"] - max(loaded, times["handed over"]),
        "finish": times["finished"] - times["result"],
        "all": times["finished"],
    }


def cpuSeconds(pid):
    """CPU time of a process that runs, seconds; None where the system does not tell it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def residentBytes(pid):
    """Memory of a process that runs; None where the system does not tell it."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
