"""How much memory the computer has left, without a library for it."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

MEMINFO = Path("/proc/meminfo")


def free_memory() -> int | None:
    """Bytes that programs can still have without swapping; ``None`` where the system does not tell (macOS)."""
    try:
        return _windows() if os.name == "nt" else _linux()
    except (OSError, ValueError, AttributeError):
        return None


def _linux() -> int | None:
    for line in MEMINFO.read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return 1024 * int(value.split()[0])
    return None


class _MemoryStatus(ctypes.Structure):
    """``MEMORYSTATUSEX`` of Windows."""

    _fields_ = [
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        ("totalPhysical", ctypes.c_uint64),
        ("availablePhysical", ctypes.c_uint64),
        ("totalPageFile", ctypes.c_uint64),
        ("availablePageFile", ctypes.c_uint64),
        ("totalVirtual", ctypes.c_uint64),
        ("availableVirtual", ctypes.c_uint64),
        ("availableExtendedVirtual", ctypes.c_uint64),
    ]


def _windows() -> int | None:
    status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
    return status.availablePhysical if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)) else None
