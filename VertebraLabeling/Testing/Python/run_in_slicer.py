"""Runs the tests of ``mrml/`` and ``panel/`` inside the Slicer application.

    Slicer --testing --no-splash --additional-module-paths <repository>/VertebraLabeling \
        --python-script <repository>/VertebraLabeling/Testing/Python/run_in_slicer.py

runs all of them; names after it (``panel``, ``mrml/test_module_loading.py``) choose folders or files. It
prints ``N passed, N failed, N skipped`` and ends Slicer with status 0 only when none failed. Headless Linux: put
``xvfb-run -a`` in front. ``--no-main-window`` works too; tests that need views then skip.
"""

import sys
import unittest
from pathlib import Path

import slicer

FOLDER = Path(__file__).resolve().parent


def files(chosen):
    """The test files of the chosen folders and files, relative to this one.

    Raises:
        FileNotFoundError: there is no such test.
    """
    found = []
    for name in chosen or ("mrml", "panel"):
        path = FOLDER / name
        tests = [path] if path.is_file() else sorted(path.glob("test_*.py"))
        if not tests:
            raise FileNotFoundError(f"There is no test {name} in {FOLDER}.")
        found += tests
    return found


def collect(chosen=()):
    """The tests of the chosen folders and files; a file that cannot be imported counts as a failed test."""
    suite = unittest.TestSuite()
    for part in ("helpers", "mrml", "panel"):
        sys.path.insert(0, str(FOLDER / part))
    for path in files(chosen):
        suite.addTests(unittest.defaultTestLoader.loadTestsFromName(path.stem))
    return suite


def main():
    try:
        tests = collect(sys.argv[1:])
    except FileNotFoundError as error:
        print(error)
        slicer.util.exit(slicer.util.EXIT_FAILURE)
        return
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(tests)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    print(f"{result.testsRun - failed - skipped} passed, {failed} failed, {skipped} skipped")
    slicer.util.exit(slicer.util.EXIT_FAILURE if failed else slicer.util.EXIT_SUCCESS)


if __name__ == "__main__":
    main()
