"""Names of output files: recognisable, unique in a batch, and harmless whatever the input is called."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import defaultdict
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
        root: the input folder, list's folder or fixed part of a pattern below which the scan was found; ``None`` where
            the scan itself was named.
    """

    path: Path
    series: str = ""
    root: Path | None = None


def output_names(sources: Sequence[Source]) -> list[str]:
    """One output name for each scan, that its place alone decides.

    The input's name without its volume suffix, for DICOM the folder's name and the series number; in a tree after the
    names of the folders that lead to it, joined by ``__``, without those that the name holds already (as in BIDS). Only
    scans that were named one by one under equal names take the folders by which they differ.
    """
    names, parents = [_name(source) for source in sources], [_parents(source) for source in sources]
    for depth in range(1, max(map(len, parents), default=0) + 1):
        folders: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        for name, above in zip(names, parents):
            folders[name.casefold()].add(above)
        for i, source in enumerate(sources):
            if source.root is None and len(folders[names[i].casefold()]) > 1:
                names[i] = safe_name("__".join((*parents[i][-depth:], _base(source))))
    return names


def unique(names: Sequence[str]) -> list[str]:
    """The names, equal ones (also by case alone, as on Windows and macOS) told apart by ``-2``, ``-3``, ..."""
    reserved, used, result = {name.casefold() for name in names}, set(), []
    for name in names:
        single, number = name, 1
        while single.casefold() in used or (number > 1 and single.casefold() in reserved):
            number += 1
            single = f"{name}-{number}"
        used.add(single.casefold())
        result.append(single)
    return result


def name_key(name: str) -> str:
    """What is equal for names that some file system takes for one.

    Windows and macOS do not tell ``CT`` from ``ct``, and macOS may write an accent as a character of its own.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def former_names(source: Source) -> tuple[str, ...]:
    """The names that versions whose files do not say their source may have given to this scan."""
    inside = (*_inside(source), _base(source))
    rooted = (source.root.name, *inside) if source.root else inside
    return tuple(dict.fromkeys(safe_name(name) for name in (_base(source), "__".join(inside), "__".join(rooted))))


def own_name(wanted: str, digest: str) -> str:
    """The name of a scan whose wanted name belongs to another one: the same at every time and place."""
    kept = wanted.encode("utf-8")[: MAX_NAME_BYTES - len(digest) - 1].decode("utf-8", "ignore")
    return f"{kept.rstrip('. ')}~{digest}"


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
    with a dot or space, nor with ``.discs``, which would make them those of other files; Windows device names get an
    underscore; long names are cut and end with a hash of the whole.
    """
    name = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))
    name = "".join(char if char.isprintable() else "_" for char in name)
    name = re.sub(r'[/\\:*?"<>|]', "_", name).rstrip(". ").lstrip(" ")
    name = re.sub(r"^[.\-=+@~]+", "_", name) or "unnamed"
    name = re.sub(r"\.(discs)$", r"_\1", name, flags=re.IGNORECASE)
    if name.split(".")[0].rstrip().casefold() in _WINDOWS_DEVICES:
        name = f"_{name}"
    if len(name.encode("utf-8")) > MAX_NAME_BYTES:
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:10]
        kept = name.encode("utf-8")[: MAX_NAME_BYTES - len(digest) - 1].decode("utf-8", "ignore")
        name = f"{kept.rstrip('. ')}~{digest}"
    return name


def _name(source: Source) -> str:
    base = _base(source)
    told = f"_{base.casefold()}_"
    folders = (name for name in _inside(source) if f"_{name.casefold()}_" not in told)
    return safe_name("__".join((*folders, base)))


def _base(source: Source) -> str:
    return stem(source.path) + (f"_{source.series}" if source.series else "")


def _parents(source: Source) -> tuple[str, ...]:
    """The names of the folders above, from the disk's root down."""
    return Path(os.path.abspath(source.path)).parent.parts[1:]


def _inside(source: Source) -> tuple[str, ...]:
    """The names of the folders from the root of the tree down to the scan."""
    path = Path(os.path.abspath(source.path))
    root = Path(os.path.abspath(source.root)) if source.root else path.parent
    return path.parent.relative_to(root).parts if root in path.parents else ()
