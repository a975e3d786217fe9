"""The result of labelling a scan: named points, their confidence, and the evidence they were decided from."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import numpy as np

from .anatomy import LEVEL_INDEX, LEVELS, SNOMED_CODES
from .errors import InputError

PREDICTED, MOVED, CONFIRMED = "predicted", "moved", "confirmed"
STATUSES = (PREDICTED, MOVED, CONFIRMED)
HIGHEST_PREDICTED = 0.99  # shown of a point that nobody has looked at, however sure


@dataclass(frozen=True)
class LabeledPoint:
    """One vertebra.

    Attributes:
        level: one of :data:`anatomy.LEVELS`.
        ras: centre of the vertebral body, world RAS, mm.
        confidence: probability 0..1 that the level is right.
        status: ``predicted``, ``moved`` (dragged by the user) or ``confirmed`` (accepted by the user).
    """

    level: str
    ras: tuple[float, float, float]
    confidence: float = 1.0
    status: str = PREDICTED

    @property
    def told_confidence(self) -> float:
        """The confidence as users are told it; 1 only where one of them has said where the point lies."""
        return min(self.confidence, HIGHEST_PREDICTED) if self.status == PREDICTED else self.confidence

    @property
    def shown_confidence(self) -> float:
        """:attr:`told_confidence` in hundredths."""
        return round(self.told_confidence, 2)

    @property
    def description(self) -> str:
        """The control-point description, e.g. ``confidence=0.97;status=predicted;SCT=66794005``."""
        text = f"confidence={self.shown_confidence:.2f};status={self.status}"
        code = SNOMED_CODES.get(self.level)
        return f"{text};SCT={code}" if code else text

    @staticmethod
    def parse_description(description: str) -> dict[str, str]:
        """Split a control-point description into its ``key=value`` pairs; text of another form gives ``{}``."""
        pairs = (part.split("=", 1) for part in description.split(";") if "=" in part)
        return {key.strip(): value.strip() for key, value in pairs}


@dataclass(frozen=True)
class Evidence:
    """What the solver needs to name the vertebrae, and to name them again after a correction.

    Attributes:
        points: (N, 3) candidate body centres, world RAS mm, each placed by integral regression.
        unary: (N, 26) cost (negative log-likelihood, >= 0) of candidate n being level k, columns as :data:`LEVELS`.
        detection: (N,) probability 0..1 that the candidate is a vertebral body at all.
        presence: (26,) probability 0..1 that level k lies in the field of view (the Bi-LSTM's multi-label output).
        corners: (8, 3) corners of the field of view, world RAS mm; tells where a vertebra can be cut by the image edge.
    """

    points: np.ndarray
    unary: np.ndarray
    detection: np.ndarray
    presence: np.ndarray
    corners: np.ndarray

    def __post_init__(self) -> None:
        n, k = len(self.detection), len(LEVELS)
        shapes = {"points": (n, 3), "unary": (n, k), "detection": (n,), "presence": (k,), "corners": (8, 3)}
        for name, shape in shapes.items():
            value = np.asarray(getattr(self, name), dtype=np.float64)
            if value.size == 0:
                value = value.reshape(shape)
            if value.shape != shape or not np.isfinite(value).all():
                raise InputError(f"The labelling evidence is damaged ({name} must be finite, {shape}): label again.")
            object.__setattr__(self, name, value)

    def kept(self, keep: np.ndarray) -> Evidence:
        """The candidates where ``keep`` (N,) is true."""
        arrays = {name: getattr(self, name)[keep] for name in ("points", "unary", "detection")}
        return replace(self, **arrays)

    def to_json(self) -> str:
        """Serialise compactly (a whole spine takes about 10 kB); see :meth:`from_json`."""
        decimals = {"points": 2, "unary": 2, "detection": 3, "presence": 4, "corners": 1}
        fields = {name: np.round(getattr(self, name), places).tolist() for name, places in decimals.items()}
        return json.dumps({"version": 1, **fields}, separators=(",", ":"))

    def check_ranges(self) -> None:
        """Refuse what no network can have said: the solver takes logarithms and distances of these.

        Raises:
            ValueError: a negative cost, a probability outside of 0..1, or a place 100 m away.
        """
        probabilities = np.concatenate([self.detection, self.presence])
        places = np.concatenate([self.points, self.corners])
        if (self.unary < 0).any() or ((probabilities < 0) | (probabilities > 1)).any() or np.abs(places).max() > 1e5:
            raise ValueError("out of range")

    @classmethod
    def from_json(cls, text: str) -> Evidence:
        """Read what :meth:`to_json` wrote.

        Raises:
            InputError: the text is not such evidence (scene files are data and may be damaged).
        """
        try:
            data = json.loads(text)
            if data["version"] != 1:
                raise ValueError("version")
            evidence = cls(*(data[name] for name in ("points", "unary", "detection", "presence", "corners")))
            evidence.check_ranges()
            return evidence
        except InputError:
            raise
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
            message = "The labelling evidence kept with these points is damaged: label the scan again."
            raise InputError(message) from error


def level_probabilities(unary: np.ndarray) -> np.ndarray:
    """(N, 26) probability of each level, of each candidate alone, from its costs."""
    likely = np.exp(-(unary - unary.min(axis=1, keepdims=True)))
    return likely / likely.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class SpineLabels:
    """Named vertebrae of one scan, ordered from head to foot.

    Attributes:
        points: one :class:`LabeledPoint` per vertebra; no level twice.
        warnings: sentences for the user, e.g. ``"Levels may be shifted by one: no anchor is in view."``.
        provenance: model version, weights SHA-256, device, seconds.
        evidence: kept for :func:`chain.relabel`; ``None`` when the points were read from a file.
    """

    points: tuple[LabeledPoint, ...]
    warnings: tuple[str, ...] = ()
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
