"""Let threads that have nothing to do give their core away.

Threads of OpenMP wait for each other in a loop that keeps their core busy. Beside any other busy process, Slicer
drawing a volume or a neighbor on a cluster, they take the core from the very thread that they wait for. Threads that
sleep at once are woken some thousand times a second; most waits end within microseconds, for which they still turn.
Seconds with and without: docs/robustness.md, "Beside other work".
"""

from __future__ import annotations

import os

TURNS = "1000"  # of GNU's OpenMP, which PyTorch brings on Linux, before a thread sleeps


def sleep_while_waiting() -> None:
    """Ask OpenMP for it, unless the environment says otherwise; call before torch is imported, in a process of ours."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", TURNS)
