"""The files of a session: uploads and voxels on their way, in one folder that is removed when the session ends."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from VertebraLabelingLib.system.processes import is_running

PREFIX = "VertebraLabeling-web-"


class SessionFolder:
    """Made on first use, removed by :meth:`remove`; a later use makes a new one."""

    def __init__(self) -> None:
        self._path: Path | None = None

    def path(self) -> Path:
        """The folder; readable by this user only."""
        if self._path is None:
            self._path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        return self._path

    def fresh(self, name: str) -> Path:
        """A new, empty folder in it."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.path()))

    def remove(self) -> None:
        """Delete the folder with all that is in it."""
        path, self._path = self._path, None
        if path is not None:
            shutil.rmtree(path, ignore_errors=True)


def remove_leftovers() -> None:
    """Delete the folders of servers that were killed before they could."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        found = re.fullmatch(rf"{PREFIX}(\d+)-\w+", path.name)
        if found and path.is_dir() and not path.is_symlink() and not is_running(int(found.group(1))):
            shutil.rmtree(path, ignore_errors=True)
