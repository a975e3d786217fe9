"""Unsaved corrections on the disk: they outlive the session, a crash and a restart of the server, for a stated time.

One small file for each scan that was corrected, in a folder that only this user can read: the name of the scan, where
it came from, and the points with what they were found in; no voxels. A file is found again by the session's cookie,
of which its name holds a digest.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

from VertebraLabelingLib.background.labeling_process import labels_from_json, labels_to_json
from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.system.atomic import write_text

KEPT_S = 24 * 3600.0
MOST_FILES = 200  # some kilobytes each; the oldest go first

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """The corrections of one scan.

    Attributes:
        key: names them among those of the session.
        scan: name of the scan.
        origin: what opens the scan again; see :class:`scans.OpenScan`.
        labels: the points, world RAS mm.
        time: when they were last changed, seconds since the epoch.
    """

    key: str
    scan: str
    origin: str
    labels: SpineLabels
    time: float = 0.0


def default_folder() -> Path:
    """Where the system keeps the state of the programs of a user."""
    state = os.environ.get("XDG_STATE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".local" / "state"
    return Path(state) / "vertebra-labeling" / "unsaved"


class KeptPoints:
    """The kept corrections of all sessions.

    Args:
        folder: made on first use.
        seconds: after which corrections that nobody has asked for are deleted.
    """

    def __init__(self, folder: Path, seconds: float = KEPT_S) -> None:
        self._folder, self.seconds = folder, seconds
        self._writable = True

    def keep(self, session: str, kept: Kept) -> None:
        """Write corrections, over those of the same key; a folder that cannot be written is told in the log once."""
        data = {"scan": kept.scan, "origin": kept.origin, "labels": labels_to_json(kept.labels)}
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._path(session, kept.key)
            write_text(path, json.dumps(data))
            path.chmod(0o600)
        except OSError as error:
            if self._writable:
                log.warning("unsaved corrections cannot be kept on the disk: %s", error.strerror)
            self._writable = False

    def forget(self, session: str, key: str) -> None:
        """Delete corrections that were saved, or are not wanted."""
        self._path(session, key).unlink(missing_ok=True)

    def of(self, session: str | None) -> list[Kept]:
        """What is kept of a session, the newest first; damaged files are left out."""
        self.prune()
        found = (_read(path) for path in self._folder.glob(f"{_digest(session)}.*.json")) if session else ()
        return sorted((kept for kept in found if kept is not None), key=lambda kept: -kept.time)

    def hand_over(self, former: str | None, session: str) -> None:
        """What was kept of a former session belongs to a new one of the same browser."""
        for path in self._folder.glob(f"{_digest(former)}.*.json") if former else ():
            path.rename(self._path(session, path.name.split(".")[1]))

    def prune(self) -> None:
        """Delete what is too old, and the oldest of too many."""
        files = sorted(((_time(path), path) for path in self._folder.glob("*.*.json")), reverse=True)
        for number, (changed, path) in enumerate(files):
            if number >= MOST_FILES or time.time() - changed > self.seconds:
                path.unlink(missing_ok=True)

    def _path(self, session: str, key: str) -> Path:
        return self._folder / f"{_digest(session)}.{key}.json"


def _digest(session: str | None) -> str:
    return hashlib.sha256((session or "").encode()).hexdigest()[:32]


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # deleted meanwhile
        return 0.0


def _read(path: Path) -> Kept | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        labels = labels_from_json(data["labels"])
        return Kept(path.name.split(".")[1], str(data["scan"]), str(data["origin"]), labels, _time(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, InputError):
        log.warning("a file of kept corrections is damaged: %s", path.name)
        return None
