"""Takes files from the browser into a folder of the session: limited in size, checked in type, never trusted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aiohttp import BodyPartReader, web
from VertebraLabelingLib.batch.naming import safe_name
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.scans.dicom_headers import looks_like_dicom

SINGLE_FILES = (".nii.gz", ".nii", ".nrrd", ".mha")
"""Volumes in one file. The headers .nhdr and .mhd name other files by path, which a browser must not choose."""

MAX_FILES = 10_000
DICOM_FOLDER = "DICOM series"

_HEADER_BYTES = 64 * 2**10
_ADVICE = f"choose a CT as {', '.join(SINGLE_FILES)} or all files of one DICOM series."


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
    return _checked(saved, folder)


def _name(sent: str, number: int) -> str:
    """A harmless file name; DICOM files, whose names mean nothing and may repeat, are numbered."""
    plain = sent.replace("\\", "/").rsplit("/", 1)[-1]
    if plain.lower().endswith(SINGLE_FILES):
        return safe_name(plain)
    return safe_name(f"{number:05d}{Path(plain).suffix[:8]}")


def _checked(saved: Sequence[Path], folder: Path) -> Path:
    volumes = [path for path in saved if path.name.lower().endswith(SINGLE_FILES)]
    if not saved:
        raise InputError(f"No file was sent: {_ADVICE}")
    if len(volumes) == len(saved) == 1:
        refuse_other_files(volumes[0])
        return volumes[0]
    if volumes:
        raise InputError(f"Several scans were sent at once: {_ADVICE}")
    for path in saved:
        if not looks_like_dicom(path):
            path.unlink()
    left = [path for path in saved if path.exists()]
    if not left:
        raise InputError(f"This is no CT that can be read here: {_ADVICE}")
    if len(left) == 1:
        return left[0]
    series = folder / DICOM_FOLDER
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
