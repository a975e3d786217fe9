"""The result of labeling a scan: named points, their confidence, and the evidence they were decided from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from ..errors import InputError
from .anatomy import LEVEL_INDEX, SNOMED_CODES
from .evidence import Evidence
from .label_warning import LabelWarning

PREDICTED, MOVED, CONFIRMED, GIVEN = "predicted", "moved", "confirmed", "given"
STATUSES = (PREDICTED, MOVED, CONFIRMED, GIVEN)
LOW_CONFIDENCE = 0.7
"""A level that is told with less confidence is uncertain: :meth:`LabeledPoint.is_uncertain`."""

HIGHEST_PREDICTED = 0.99  # shown of a level that nobody has named, however sure


@dataclass(frozen=True)
class LabeledPoint:
    """One vertebra.

    Attributes:
        level: one of :data:`anatomy.LEVELS`.
        ras: center of the vertebral body, world RAS, mm.
        confidence: probability 0..1 that the level is correct.
        status: ``predicted``, ``moved`` (dragged by the user), ``confirmed`` (named or accepted by the user), or
            ``given``: by a list that does not tell who named it, as points by hand or of another program are.
    """

    level: str
    ras: tuple[float, float, float]
    confidence: float = 1.0
    status: str = PREDICTED

    @property
    def is_named(self) -> bool:
        """Whether its level was said, not found: runs and corrections keep it."""
        return self.status in (CONFIRMED, GIVEN)

    @property
    def told_confidence(self) -> float:
        """The confidence as users are told it; 1 only where the level was said."""
        return self.confidence if self.is_named else min(self.confidence, HIGHEST_PREDICTED)

    @property
    def shown_confidence(self) -> float:
        """:attr:`told_confidence` in hundredths."""
        return round(self.told_confidence, 2)

    def is_uncertain(self, below: float = LOW_CONFIDENCE) -> bool:
        """Whether the level is to be checked: shown in amber, or with a question mark.

        A drag settles where a vertebra is, not which one it is: a moved point stays uncertain until it is confirmed.
        """
        return not self.is_named and self.told_confidence < below

    @property
    def description(self) -> str:
        """The control-point description, e.g. ``confidence=0.97;status=predicted;SCT=66794005``.

        Of a given level no confidence is known.
        """
        known = "" if self.status == GIVEN else f"confidence={self.shown_confidence:.2f};"
        text = f"{known}status={self.status}"
        code = SNOMED_CODES.get(self.level)
        return f"{text};SCT={code}" if code else text

    @classmethod
    def described(cls, level: str, ras: tuple[float, float, float], description: str) -> LabeledPoint:
        """The point that a :attr:`description` tells of.

        One without a status, placed by hand or by another program, is given. A level of which no confidence can be read
        is sure where somebody has said it, and there only.
        """
        pairs = cls.parse_description(description)
        status = pairs.get("status")
        if status not in STATUSES or status == GIVEN:
            return cls(level, ras, 1.0, GIVEN)
        try:
            confidence = float(pairs.get("confidence", "nan"))
        except ValueError:
            confidence = math.nan
        if math.isnan(confidence):
            confidence = 1.0 if status == CONFIRMED else 0.0
        return cls(level, ras, min(max(confidence, 0.0), 1.0), status)

    @staticmethod
    def parse_description(description: str) -> dict[str, str]:
        """Split a control-point description into its ``key=value`` pairs; text of another form gives ``{}``."""
        pairs = (part.split("=", 1) for part in description.split(";") if "=" in part)
        return {key.strip(): value.strip() for key, value in pairs}


@dataclass(frozen=True)
class SpineLabels:
    """Named vertebrae of one scan, ordered from head to foot.

    Attributes:
        points: one :class:`LabeledPoint` per vertebra; no level twice.
        warnings: what the user must know of this result; ``str`` of each is a sentence.
        provenance: model version, weights SHA-256, device, seconds; how it was counted, :class:`.counting.Count` as
            JSON.
        evidence: kept for :func:`chain.relabel`; ``None`` when the points were read from a file.
    """

    points: tuple[LabeledPoint, ...]
    warnings: tuple[LabelWarning, ...] = ()
    provenance: dict[str, object] = field(default_factory=dict)
    evidence: Evidence | None = None

    def __post_init__(self) -> None:
        levels = [point.level for point in self.points]
        unknown = [level for level in levels if level not in LEVEL_INDEX]
        if unknown:
            raise InputError(f"{unknown[0]!r} is not a vertebral level: use C1-C7, T1-T13 or L1-L6.")
        if len(set(levels)) != len(levels):
            twice = next(level for level in levels if levels.count(level) > 1)
            raise InputError(f"The level {twice} is used twice: rename or delete one of the two points.")
        ordered = sorted(self.points, key=lambda point: LEVEL_INDEX[point.level])
        object.__setattr__(self, "points", tuple(ordered))

    @property
    def by_level(self) -> dict[str, LabeledPoint]:
        """The points keyed by level name."""
        return {point.level: point for point in self.points}

    def with_points(self, points: tuple[LabeledPoint, ...]) -> SpineLabels:
        """The same result with other points."""
        return replace(self, points=tuple(points))
