"""Write a file whole or not at all: to a temporary name beside it, then renamed over it."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .processes import is_running

_PREFIX, _SUFFIX = ".vertebra-labeling-", ".part"


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; it takes the place of ``path`` when the block succeeds.

    When the block fails the temporary file is removed and whatever was at ``path`` is untouched. The name keeps the
    suffix of ``path``, because writers choose the format by it.

    Raises:
        OSError: the folder cannot be made or written (full disk, no permission).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    owner = f"{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
    temporary = path.parent / f"{_PREFIX}{owner}{_SUFFIX}{path.suffix[:12]}"
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write UTF-8 text with Unix line ends, whole or not at all.

    Raises:
        OSError: the folder cannot be made or written.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))  # file names may hold halves of characters


def remove_leftovers(folder: str | os.PathLike) -> int:
    """Remove the temporary files of processes of this computer that died; returns how many."""
    removed = 0
    for path in Path(folder).glob(f"{_PREFIX}{_host()}-*{_SUFFIX}*"):
        pid = path.name[len(_PREFIX) + len(_host()) + 1 :].split("-")[0]
        if pid.isdigit() and not is_running(int(pid)):
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _host() -> str:
    return "".join(char for char in socket.gethostname() if char.isalnum())[:40] or "host"
