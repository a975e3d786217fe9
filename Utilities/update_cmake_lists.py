"""Writes the file lists of the two CMakeLists.txt from the tree.

    python Utilities/update_cmake_lists.py

Slicer packages only what is listed, and stops where a listed file is missing. Look at the difference before you commit:
a stray file in the tree would be packaged too.
"""

import re
from pathlib import Path

MODULE = Path(__file__).resolve().parents[1] / "VertebraLabeling"
TESTS = MODULE / "Testing" / "Python"
PACKAGES = ("VertebraLabelingLib", "VertebraLabelingMRML", "VertebraLabelingPanel")


def files(folder, pattern, base):
    """Files below a folder, relative to ``base``, sorted; no compiled Python."""
    found = (path for path in folder.rglob(pattern) if path.is_file() and path.suffix != ".pyc")
    return sorted(path.relative_to(base).as_posix() for path in found)


def write_list(cmake, variable, entries):
    """Replace the entries of a ``set(variable ...)``, one a line."""
    lines = "\n".join(f"  {entry}" for entry in entries)
    text = cmake.read_text()
    changed = re.sub(rf"set\({variable}\n.*?\n  \)", lambda _: f"set({variable}\n{lines}\n  )", text, flags=re.S)
    cmake.write_text(changed)


def main():
    scripts = [path for package in PACKAGES for path in files(MODULE / package, "*.py", MODULE)]
    write_list(MODULE / "CMakeLists.txt", "MODULE_PYTHON_SCRIPTS", ["${MODULE_NAME}.py", *scripts])
    write_list(MODULE / "CMakeLists.txt", "MODULE_PYTHON_RESOURCES", files(MODULE / "Resources", "*", MODULE))
    tests = [path for part in ("mrml", "panel") for path in files(TESTS / part, "test_*.py", TESTS)]
    write_list(TESTS / "CMakeLists.txt", "_slicer_tests", tests)


if __name__ == "__main__":
    main()
