"""What a hostile or unusual input is, and what must come of it.

A case is a file (or folder) made on the spot. It is put through the path that the command line takes: found, read,
checked, labeled by the network-free labeler of the unit tests, written. It must end *refused*, with one sentence, or
*right*, with the balls of the phantom at their places.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from phantoms import affine, body
from VertebraLabelingLib.core.volume import Volume

REFUSED, RIGHT, EITHER = "refused", "right", "either"
BALLS = ((-5.0, 2.0, 16.0), (3.0, -4.0, 44.0))
RADIUS_MM, TOLERANCE_MM = 8.0, 1.5
SHAPE = (16, 32, 28)
SECONDS, MEGABYTES = 20.0, 400.0
"""Most processor time and memory that any one case may take; they take milliseconds."""


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes:
        name: told when it fails; unique.
        make: writes it into an empty folder and returns the path to label.
        expect: :data:`REFUSED`, :data:`RIGHT`, or :data:`EITHER` where both are honest answers.
        long: left to ``make test-long``.
    """

    name: str
    make: Callable[[Path], Path]
    expect: str = EITHER
    long: bool = False


@lru_cache(maxsize=1)
def ct() -> Volume:
    """The phantom: a trunk with two dense balls, int16 HU."""
    return body(SHAPE, affine((3.0, 3.0, 4.0), (-40.0, -46.0, 0.0)), balls=BALLS, radius_mm=RADIUS_MM)


def problem_with(case: Case, outcome: dict) -> str:
    """What is wrong with what came of a case; empty where it is refused in one sentence or right.

    Args:
        outcome: ``status``, ``message``, ``points`` (RAS mm), ``seconds``, ``megabytes``; see :mod:`case_process`.
    """
    if outcome["status"] == "died":
        return f"the process ended: {outcome['message']}"
    if outcome["seconds"] > SECONDS or outcome["megabytes"] > MEGABYTES:
        return f"took {outcome['seconds']:.1f} s and {outcome['megabytes']:.0f} MB"
    if outcome["status"] == "done":
        if case.expect == REFUSED:
            return f"should be refused, gave {outcome['points']}"
        return wrong_points(outcome["points"]) if case.expect == RIGHT else ""
    if case.expect == RIGHT:
        return f"should be labeled, was refused: {outcome['message']}"
    return wrong_sentence(outcome["message"])


def wrong_points(points) -> str:
    """Empty where the points are the balls of the phantom, head to foot."""
    expected = np.array(sorted(BALLS, key=lambda ball: -ball[2]))
    found = np.array(points, dtype=float).reshape(-1, 3)
    if found.shape != expected.shape or np.linalg.norm(found - expected, axis=1).max() > TOLERANCE_MM:
        return f"wrong points {found.round(1).tolist()}"
    return ""


def wrong_sentence(message: str) -> str:
    """Empty where a message is one printable sentence for a user that says what to do."""
    faults = {
        "empty": not message,
        "several lines": "\n" in message,
        "not printable": not message.isprintable(),
        "no full stop": not message.endswith("."),
        "does not say what to do": ": " not in message,
        "too long": len(message) > 600,
        "a bug": message.startswith("Unexpected") or "Traceback" in message or "Error:" in message,
    }
    told = [fault for fault, holds in faults.items() if holds]
    return f"{', '.join(told)}: {message!r}" if told else ""
