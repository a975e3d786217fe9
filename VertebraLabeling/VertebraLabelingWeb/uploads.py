"""Takes files from the browser into a folder of the session: limited in size, checked in type, never trusted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from aiohttp import BodyPartReader, web
from VertebraLabelingLib.batch.naming import safe_name
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.scans.dicom_headers import looks_like_dicom

from . import archives

SINGLE_FILES = (".nii.gz", ".nii", ".nrrd", ".mha")
"""Volumes in one file. The headers .nhdr and .mhd name other files by path, which a browser must not choose."""

MAX_FILES = 10_000
DICOM_FOLDER = "DICOM series"

_HEADER_BYTES = 64 * 2**10
_ADVICE = f"choose a CT as {', '.join(SINGLE_FILES)}, or all files of one DICOM series, or a zip of them."


async def receive(request: web.Request, folder: Path, limit: int) -> Path:
    """Save the files of a multipart request; returns the volume file, or the folder of DICOM files.

    Args:
        request: its parts are files.
        folder: an empty folder.
        limit: bytes that all files together may have.

    Raises:
        InputError: too much, no CT by its name or its first bytes, or broken off.
    """
    too_much = InputError(f"The upload is larger than {limit / 1e6:.0f} MB: crop the scan, or raise --upload-limit.")
    if (request.content_length or 0) > limit + 2**20:
        raise too_much
    if not request.content_type.startswith("multipart/"):
        raise InputError(f"No file was sent: {_ADVICE}")
    saved: list[Path] = []
    room = limit
    reader = await request.multipart()
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader) or not part.filename:
            continue
        if len(saved) == MAX_FILES:
            raise InputError(f"More than {MAX_FILES} files were sent: choose the files of one DICOM series.")
        path = folder / _name(part.filename, len(saved))
        with path.open("wb") as file:
            while chunk := await part.read_chunk(2**18):
                room -= len(chunk)
                if room < 0:
                    raise too_much
                file.write(chunk)
        saved.append(path)
    if len(saved) == 1 and archives.is_zip(saved[0]):
        return await asyncio.to_thread(from_zip, saved[0], folder, limit)
    if any(path.name.lower().endswith(archives.ZIP) for path in saved):
        raise InputError("A zip was sent together with other files: send one zip, or the files of one CT.")
    return _checked(saved, folder, DICOM_FOLDER)


def from_zip(path: Path, folder: Path, limit: int) -> Path:
    """The volume file or the folder of DICOM files in a zip, which is deleted; its name becomes the folder's.

    Raises:
        InputError: as :func:`archives.unpack`; or no CT is in it, or several are.
    """
    unpacked = folder / "unpacked"
    unpacked.mkdir()
    files = archives.unpack(path, unpacked, limit, _may_be_ct, _name)
    if not files:
        raise InputError(f"The zip holds no CT that can be read here: {_ADVICE}")
    name = path.name[: -len(archives.ZIP)] if path.name.lower().endswith(archives.ZIP) else DICOM_FOLDER
    path.unlink()
    return _checked(files, unpacked, safe_name(name))


def _name(sent: str, number: int) -> str:
    """A harmless file name; DICOM files, whose names mean nothing and may repeat, are numbered."""
    plain = sent.replace("\\", "/").rsplit("/", 1)[-1]
    if plain.lower().endswith((*SINGLE_FILES, archives.ZIP)):
        return safe_name(plain)
    return safe_name(f"{number:05d}{Path(plain).suffix[:8]}")


def _is_volume(path: Path) -> bool:
    return path.name.lower().endswith(SINGLE_FILES)


def _may_be_ct(path: Path) -> bool:
    return _is_volume(path) or looks_like_dicom(path)


def _checked(saved: Sequence[Path], folder: Path, name: str) -> Path:
    """The volume file, or the DICOM files in a folder of this name; what else was sent along is deleted."""
    if not saved:
        raise InputError(f"No file was sent: {_ADVICE}")
    for path in saved:
        if not _may_be_ct(path):
            path.unlink()
    left = [path for path in saved if path.exists()]
    volumes = [path for path in left if _is_volume(path)]
    if not left:
        raise InputError(f"This is no CT that can be read here: {_ADVICE}")
    if volumes and len(left) > 1:
        raise InputError(f"Several scans were sent at once: {_ADVICE}")
    if len(left) == 1:
        if volumes:
            refuse_other_files(left[0])
        return left[0]
    series = folder / name
    series.mkdir()
    for path in left:
        path.rename(series / path.name)
    return series


def refuse_other_files(path: Path) -> None:
    """Refuse NRRD and MetaImage headers that take their voxels from another file: it would be one of this computer's.

    Raises:
        InputError: the file names another one.
    """
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    names_file = False
    if path.name.lower().endswith(".nrrd"):
        lines = head.split(b"\n\n", 1)[0].replace(b"\r", b"").lower().split(b"\n")
        names_file = any(line.replace(b" ", b"").startswith(b"datafile:") for line in lines)
    elif path.name.lower().endswith(".mha"):
        lines = head.split(b"\n")
        sources = [line.split(b"=", 1)[1].strip() for line in lines if line.strip().startswith(b"ElementDataFile")]
        names_file = sources[:1] != [b"LOCAL"]
    if names_file:
        raise InputError(f"{path.name} holds no voxels, only a header that names other files: save it as one file.")
