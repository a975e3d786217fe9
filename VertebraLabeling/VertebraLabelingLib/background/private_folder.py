"""The folder in which a volume is handed to the labeling process: private, and never left behind.

It lies in memory where the system has a file system for that, so that the voxels are on no disk. They are one copy
beside those of the application: the process maps the file and makes no other of it. Its name tells who made it, and
nothing of the patient: what a killed program left is removed by the next one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..system.free_memory import free_memory
from ..system.processes import host_name, is_running

PREFIX = "VertebraLabeling-"
IN_MEMORY = Path("/dev/shm")  # of Linux; elsewhere a file in the temporary folder, which the system keeps in memory
ROOM = 2  # times the volume: the run itself needs memory too


def make_private_folder(temporary: Path | str, size: int) -> Path:
    """Make a folder that only this user can open.

    Args:
        temporary: where it is made when memory has no room for it.
        size: bytes that it is to hold.

    Raises:
        OSError: it cannot be made.
    """
    for parent in _parents(Path(temporary)):
        remove_leftovers(parent)
    parent = IN_MEMORY if _has_room(IN_MEMORY, ROOM * size) else temporary
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{host_name()}-{os.getpid()}-", dir=parent))


def remove_leftovers(parent: Path) -> None:
    """Remove the folders of programs of this computer that have ended."""
    for folder in parent.glob(f"{PREFIX}{host_name()}-*"):
        owner = folder.name[len(PREFIX) + len(host_name()) + 1 :].split("-")[0]
        if owner.isdigit() and not is_running(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def remove_private_folder(folder: Path) -> None:
    """Remove a folder of :func:`make_private_folder` as far as the system lets; never any other folder."""
    if folder.name.startswith(PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


def private_folders(temporary: Path | str) -> list[Path]:
    """All that are there."""
    return [folder for parent in _parents(Path(temporary)) for folder in parent.glob(f"{PREFIX}*")]


def _parents(temporary: Path) -> Iterator[Path]:
    yield temporary
    if IN_MEMORY.is_dir():
        yield IN_MEMORY


def _has_room(parent: Path, size: int) -> bool:
    try:
        room = shutil.disk_usage(parent).free
    except OSError:
        return False
    memory = free_memory()
    return os.access(parent, os.W_OK) and memory is not None and size < min(room, memory)
