"""What pip installs: every package of the repository's folders, and none that is not there."""

from __future__ import annotations

import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[4]


def test_every_package_is_installed():
    setuptools = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    roots, wanted = setuptools["package-dir"], set()
    for root in {name.split(".")[0] for name in setuptools["packages"]}:
        folder = REPOSITORY / roots[root]
        wanted |= {".".join((root, *file.parent.relative_to(folder).parts)) for file in folder.rglob("__init__.py")}
    elsewhere = {name for name in roots if "." in name}  # data that has a folder of its own
    assert set(setuptools["packages"]) - elsewhere == wanted
