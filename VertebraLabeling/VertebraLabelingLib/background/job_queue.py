"""Jobs as they come in on standard input; when it closes the process ends, whatever it is doing."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from ..system.free_memory import free_memory
from .job import Job
from .private_folder import remove_private_folder

IDLE_SECONDS = 600.0  # a process without a job stays that long
LOOK_SECONDS = 5.0  # between its looks at the computer's memory
LEAST_FREE_BYTES = 2**30  # with less the memory is left to others


class JobQueue:
    """Reads standard input in a thread of its own; iterate to take the jobs."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._folder: Path | None = None
        threading.Thread(target=self._read, daemon=True).start()

    def __iter__(self) -> Iterator[Job]:
        """Until the process has waited long enough for another job, or the computer is short of memory meanwhile."""
        last, idle = time.monotonic(), True
        while True:
            try:
                job = self._jobs.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                free = free_memory()
                short = free is not None and free < LEAST_FREE_BYTES
                if idle and (short or time.monotonic() - last > IDLE_SECONDS):
                    return
            else:
                yield job
                last, idle = time.monotonic(), job.written  # else its volume is still on its way

    def _read(self) -> None:
        rest = b""
        try:
            while part := os.read(0, 2**16):  # not sys.stdin: a lock held there breaks the ordinary end of the process
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    job = Job.from_line(line)
                    self._folder = Path(job.array).parent
                    self._jobs.put(job)
            if self._folder is not None:
                remove_private_folder(self._folder)
        finally:
            os._exit(3)
