"""How a command that makes something ends: with what it made, or with one sentence that says why there is none."""

from __future__ import annotations

import sys
from collections.abc import Callable

from VertebraLabelingLib.errors import VertebraLabelingError


def print_result(make: Callable[[], object]) -> int:
    """Make something and print it (a page's path, a list of files), or why there is none; returns the exit code."""
    try:
        print(make())
    except VertebraLabelingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
