"""Whether another process of this computer is still at work, to know what a killed one has left behind."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def host_name() -> str:
    """Name of this computer (or container) as a part of file names: letters and digits."""
    return "".join(char for char in socket.gethostname() if char.isalnum())[:40] or "host"


def is_running(pid: int) -> bool:
    """Whether the process may still use its files; on Windows, where asking would end it, always true."""
    if os.name == "nt":  # signal 0 would end the process there
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return not _has_ended(pid)


def _has_ended(pid: int) -> bool:
    """Whether a process is dead but not yet collected by its parent; only Linux tells."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state in "ZX"
