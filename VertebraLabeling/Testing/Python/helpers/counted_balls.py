"""Balls for spines of unusual numbers, and labelers that see in them what bears ribs and where the sacrum is."""

from __future__ import annotations

from dataclasses import replace

from balls import BallLabeler
from spine_factory import NO_T12, WITH_L6, WITH_T13, positions, spine
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS

FROM_C7 = 6
"""All spines here begin with C7, so that they can be counted from the first rib and from the sacrum."""


def balls_of(levels):
    """level -> world RAS mm of the balls of a spine."""
    return dict(zip(levels, map(tuple, positions(levels))))


class CountedBallLabeler(BallLabeler):
    """Takes the balls, head to foot, for the vertebrae of ``LEVELS``, unless fixed points say otherwise."""

    LEVELS = USUAL_LEVELS[FROM_C7:]

    def evidence(self, points, corners):
        return replace(spine(self.LEVELS), points=points, corners=corners)


class ThirteenRibs(CountedBallLabeler):
    """T13, then five lumbar vertebrae."""

    LEVELS = WITH_T13[FROM_C7:]


class ElevenRibs(CountedBallLabeler):
    """L1 follows T11."""

    LEVELS = NO_T12[FROM_C7:]


class SixLumbar(CountedBallLabeler):
    """L6 lies on the sacrum."""

    LEVELS = WITH_L6[FROM_C7:]
