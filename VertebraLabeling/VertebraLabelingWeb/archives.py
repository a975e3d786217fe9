"""Unpacks a zip that the browser sent: counted while it is unpacked, and refused whole where it is odd.

Nothing that its directory says is believed: sizes are counted, names are not used as paths, and what is no CT file by
its first bytes is not kept.
"""

from __future__ import annotations

import io
import lzma
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from VertebraLabelingLib.errors import InputError

ZIP = ".zip"
MOST_ENTRIES = 10_000
DIRECTORY_BYTES = 4 * 2**20  # 10,000 entries with paths of 300 characters
CHUNK = 2**18

_ENCRYPTED = 0x1
_AGAIN = "zip the files of one CT series again and send that."
_DAMAGED = f"The zip is damaged, or packed in a way that is not known here: {_AGAIN}"
_OF_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(EOFError, NotImplementedError, RuntimeError, ValueError),
)


def is_zip(path: Path) -> bool:
    """Whether a file begins as zips do."""
    with path.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")


def unpack(path: Path, folder: Path, limit: int, wanted: Callable[[Path], bool], rename: Callable[[str, int], str]):
    """Unpack the wanted files of a zip into one flat folder; returns their paths.

    Args:
        path: the zip.
        folder: an empty folder.
        limit: bytes that all files together may have.
        wanted: whether an unpacked file is kept.
        rename: name of a file from its name in the zip and its number.

    Raises:
        InputError: it is damaged, encrypted, too large, holds too many files, links, zips, or names outside itself.
    """
    try:
        with path.open("rb", buffering=0) as raw, zipfile.ZipFile(_Careful(raw)) as archive:
            entries = [entry for entry in archive.infolist() if not _is_beside_the_point(entry)]
            _check(entries, limit)
            return list(_unpacked(archive, entries, folder, limit, wanted, rename))
    except OSError as error:
        if error.errno is not None:  # of this computer; bz2 tells damage without a number
            raise
        raise InputError(_DAMAGED) from error
    except _OF_DAMAGE as error:
        raise InputError(_DAMAGED) from error


class _Careful(io.BufferedReader):
    """A file that is never read in large pieces: the directory of a zip could fill the memory."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > DIRECTORY_BYTES:
            raise InputError(f"The zip lists too many files, more than {MOST_ENTRIES}: {_AGAIN}")
        return super().read(size)


def _is_beside_the_point(entry: zipfile.ZipInfo) -> bool:
    """Folders, and what macOS adds to a file under the file's own name."""
    return entry.is_dir() or PurePosixPath(entry.filename).name.startswith("._")


def _check(entries: list[zipfile.ZipInfo], limit: int) -> None:
    """Refuse by what the directory says; what it does not say is found out while unpacking."""
    if len(entries) > MOST_ENTRIES:
        raise InputError(f"The zip holds more than {MOST_ENTRIES} files: {_AGAIN}")
    if sum(entry.file_size for entry in entries) > limit:
        raise _too_large(limit)
    for entry in entries:
        name = entry.filename.replace("\\", "/")
        if name.startswith("/") or ".." in PurePosixPath(name).parts or name[1:2] == ":":
            raise InputError(f"The zip names a file outside itself: {_AGAIN}")
        if name.lower().endswith(ZIP):
            raise InputError("The zip holds another zip: unpack that one and send the files of the CT.")
        if entry.flag_bits & _ENCRYPTED:
            raise InputError("The zip is encrypted: unpack it with its password and send the files of the CT.")
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            raise InputError(f"The zip holds links instead of files: {_AGAIN}")


def _unpacked(archive, entries, folder: Path, limit: int, wanted, rename) -> Iterator[Path]:
    room = limit
    for number, entry in enumerate(entries):
        path = folder / rename(entry.filename, number)
        with archive.open(entry) as source, path.open("wb") as target:
            while chunk := source.read(CHUNK):
                room -= len(chunk)
                if room < 0:
                    raise _too_large(limit)
                target.write(chunk)
        if wanted(path):
            yield path
        else:
            path.unlink()


def _too_large(limit: int) -> InputError:
    return InputError(
        f"The zip unpacks to more than {limit / 1e6:.0f} MB: send the files of one CT only, or raise --upload-limit."
    )
