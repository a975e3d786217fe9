"""Names of output files: recognisable, unique in a batch, and harmless whatever the input is called."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError

MAX_NAME_BYTES = 180
"""Leaves room for the longest suffix within the 255 bytes that file systems allow."""

_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm")
_WINDOWS_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


@dataclass(frozen=True)
class Source:
    """Where a scan comes from, as far as its name is concerned.

    Attributes:
        path: the file, or the folder of a DICOM series.
        series: key of the DICOM series in its folder; empty for files.
        root: the input folder below which the scan was found; ``None`` where the scan itself was named.
    """

    path: Path
    series: str = ""
    root: Path | None = None


def output_names(sources: Sequence[Source]) -> list[str]:
    """One output name for each scan.

    The input's name without its volume suffix; for DICOM the folder's name and the series number. Names that collide
    (also by case alone, as on Windows and macOS) take the path relative to their root, joined by ``__``; where there
    are several roots, the root's name too; and at last a number.
    """
    shared = _common_folder([source.path for source in sources])
    roots = [Path(os.path.abspath(source.root or shared)) for source in sources]
    choices = [_choices(source, root, len(set(roots)) > 1) for source, root in zip(sources, roots)]
    depth = [0] * len(sources)
    while True:
        names = [names[level] for names, level in zip(choices, depth)]
        taken = Counter(name.casefold() for name in names)
        stuck = [i for i, name in enumerate(names) if taken[name.casefold()] > 1 and depth[i] + 1 < len(choices[i])]
        if not stuck:
            return _numbered(names)
        for i in stuck:
            depth[i] += 1


def output_path(folder: Path, name: str, suffix: str) -> Path:
    """The file ``name + suffix`` directly in ``folder``.

    Raises:
        InputError: the name would leave the folder (never for what :func:`output_names` returns).
    """
    path = Path(folder) / f"{name}{suffix}"
    if path.name != f"{name}{suffix}" or Path(os.path.abspath(path)).parent != Path(os.path.abspath(folder)):
        raise InputError(f"The output name {name[:40]!r} is not a plain file name: rename the input.")
    return path


def stem(path: Path) -> str:
    """File or folder name without a volume suffix, upper or lower case."""
    name = Path(os.path.abspath(path)).name
    suffix = next((suffix for suffix in _SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)] if suffix else name


def safe_name(text: str) -> str:
    """``text`` as a file name that every file system takes and no shell, spreadsheet or browser misreads.

    Separators and control characters become ``_``; names do not start with a dot, a dash or a formula sign, nor end
    with a dot or space; Windows device names get an underscore; long names are cut and end with a hash of the whole.
    """
    name = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))
    name = "".join(char if char.isprintable() else "_" for char in name)
    name = re.sub(r'[/\\:*?"<>|]', "_", name).rstrip(". ").lstrip(" ")
    name = re.sub(r"^[.\-=+@~]+", "_", name) or "unnamed"
    if name.split(".")[0].rstrip().casefold() in _WINDOWS_DEVICES:
        name = f"_{name}"
    if len(name.encode("utf-8")) > MAX_NAME_BYTES:
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:10]
        kept = name.encode("utf-8")[: MAX_NAME_BYTES - len(digest) - 1].decode("utf-8", "ignore")
        name = f"{kept.rstrip('. ')}~{digest}"
    return name


def _choices(source: Source, root: Path, name_root: bool) -> list[str]:
    """Names to try, the short one first."""
    path = Path(os.path.abspath(source.path))
    base = stem(path) + (f"_{source.series}" if source.series else "")
    inside = [*path.parent.relative_to(root).parts, base] if root in path.parents else [base]
    choices = [base, "__".join(inside)]
    if name_root:
        choices.append("__".join((root.name, *inside)))
    return [safe_name(choice) for choice in choices]


def _common_folder(paths: Sequence[Path]) -> Path:
    try:
        return Path(os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths]))
    except ValueError:  # no paths, or on different Windows drives
        return Path(os.path.abspath(os.sep))


def _numbered(names: list[str]) -> list[str]:
    """Make equal names unique by ``-2``, ``-3``...; the order of the inputs decides."""
    reserved, used, result = {name.casefold() for name in names}, set(), []
    for name in names:
        unique, number = name, 1
        while unique.casefold() in used or (number > 1 and unique.casefold() in reserved):
            number += 1
            unique = f"{name}-{number}"
        used.add(unique.casefold())
        result.append(unique)
    return result
