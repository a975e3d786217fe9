"""Which state of the code made a run, which data it read, and which weights it started from."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from VertebraLabelingLib.networks.weights import sha256_of

from .cases import Case


@lru_cache(maxsize=1)
def code_commit() -> str:
    """The git commit of this package, ``+`` behind it where its files differ from the commit; empty outside git.

    Taken once per process: the code that runs is the code that was loaded.
    """
    package = Path(__file__).resolve().parents[1]
    if _git(package, "ls-files", "--error-unmatch", __file__) is None:
        return ""  # installed, perhaps below the repository of somebody else's project
    commit = _git(package, "rev-parse", "HEAD")
    changed = _git(package, "status", "--porcelain", "--untracked-files=no", "--", ".")
    return f"{commit}+" if commit and changed else commit or ""


def start_of(path: Path) -> dict[str, str]:
    """What a checkpoint says of the weights it started from: file name, its folder's name, SHA-256."""
    path = Path(path).resolve()
    return {"file": f"{path.parent.name}/{path.name}", "sha256": sha256_of(path)}


def digest_of(cases: Iterable[Case]) -> str:
    """SHA-256 of all that a run learns from: names, voxels, spacings, points, levels, cuts; in their order."""
    digest = hashlib.sha256()
    for case in cases:
        digest.update(case.name.encode())
        for tensor in (case.image, case.spacing, case.levels, case.points, case.cut):
            array = tensor.cpu().contiguous().numpy()
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(array)
    return digest.hexdigest()


def _git(folder: Path, *arguments: str) -> str | None:
    """The output of a git command; ``None`` where it fails or there is no git."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
