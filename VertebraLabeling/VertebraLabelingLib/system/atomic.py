"""Write a file whole or not at all: to a temporary name beside it, then renamed over it."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .processes import host_name, is_running

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
    temporary = _beside(path)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_path(path: str | os.PathLike) -> Iterator[Path]:
    """As :func:`atomic_path`, for a file that must not be there: of several processes that make it, one succeeds.

    The block itself writes the temporary path, whole or not at all.

    Raises:
        FileExistsError: there is such a file by now; it is untouched.
        OSError: the folder cannot be written.
    """
    path = Path(path)
    temporary = _beside(path)
    try:
        yield temporary
        if os.name == "nt":
            os.rename(temporary, path)  # which refuses there what is taken
            return
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            if path.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """A name in the folder of ``path`` that no other process takes, with its suffix."""
    owner = f"{host_name()}-{os.getpid()}-{secrets.token_hex(4)}"
    suffix = ".nii.gz" if path.name.endswith(".nii.gz") else path.suffix[:12]
    return path.parent / f"{_PREFIX}{owner}{_SUFFIX}{suffix}"


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
    for path in Path(folder).glob(f"{_PREFIX}{host_name()}-*{_SUFFIX}*"):
        pid = path.name[len(_PREFIX) + len(host_name()) + 1 :].split("-")[0]
        if pid.isdigit() and not is_running(int(pid)):
            path.unlink(missing_ok=True)
            removed += 1
    return removed
