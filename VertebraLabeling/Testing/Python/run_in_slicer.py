"""Runs the tests of ``mrml/`` and ``panel/`` inside the Slicer application.

    Slicer --testing --no-splash --additional-module-paths <repository>/VertebraLabeling \
        --python-script <repository>/VertebraLabeling/Testing/Python/run_in_slicer.py

prints ``N passed, N failed, N skipped`` and ends Slicer with status 0 only when none failed. Headless Linux: put
``xvfb-run -a`` in front. ``--no-main-window`` works too; tests that need views then skip.
"""

import sys
import unittest
from pathlib import Path

import slicer

FOLDER = Path(__file__).resolve().parent


def collect():
    """All tests of the two folders; a file that cannot be imported counts as a failed test."""
    suite = unittest.TestSuite()
    for part in ("helpers", "mrml", "panel"):
        sys.path.insert(0, str(FOLDER / part))
    for part in ("mrml", "panel"):
        for path in sorted((FOLDER / part).glob("test_*.py")):
            suite.addTests(unittest.defaultTestLoader.loadTestsFromName(path.stem))
    return suite


def main():
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(collect())
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    print(f"{result.testsRun - failed - skipped} passed, {failed} failed, {skipped} skipped")
    slicer.util.exit(slicer.util.EXIT_FAILURE if failed else slicer.util.EXIT_SUCCESS)


if __name__ == "__main__":
    main()
