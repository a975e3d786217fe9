"""Downloads the installer of 3D Slicer that its download server names, and checks its SHA-512.

    python fetch_slicer.py Linux release FOLDER

prints the path of the installer. Systems are named as in GitHub's ``RUNNER_OS``; ``release`` is the stable version,
``nightly`` the preview. Python's standard library only: it runs before anything is installed.
"""

import argparse
import hashlib
import json
import sys
import urllib.parse
import urllib.request
from pathlib import Path

SERVER = "https://download.slicer.org"
SYSTEMS = {"Linux": ("linux", ".tar.gz"), "macOS": ("macosx", ".dmg"), "Windows": ("win", ".exe")}
PATIENCE_S = 60.0


def fetch(system: str, stability: str, folder: Path, server: str = SERVER) -> Path:
    """Download an installer into a folder; returns its path.

    Raises:
        OSError: the server cannot be reached.
        ValueError: the server names no SHA-512, or the file is another one; nothing is kept.
    """
    name, ending = SYSTEMS[system]
    query = urllib.parse.urlencode({"os": name, "stability": stability})
    with urllib.request.urlopen(f"{server}/find?{query}", timeout=PATIENCE_S) as answer:
        found = json.load(answer)
    expected = str(found.get("sha512") or "").lower()
    if len(expected) != 128:
        raise ValueError(f"{server} names no SHA-512 for Slicer {found.get('version')}.")
    print(f"Slicer {found.get('version')}, revision {found.get('revision')}", file=sys.stderr)
    path = Path(folder) / f"slicer-installer{ending}"
    digest = hashlib.sha512()
    url = urllib.parse.urljoin(server, found["download_url"])
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer, path.open("wb") as file:
        while block := answer.read(2**20):
            digest.update(block)
            file.write(block)
    if digest.hexdigest() != expected:
        path.unlink()
        raise ValueError("The installer of Slicer differs from the published one (SHA-512).")
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("stability", choices=("release", "nightly"))
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    try:
        print(fetch(arguments.system, arguments.stability, arguments.folder))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
