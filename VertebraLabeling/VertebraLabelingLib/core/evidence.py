"""What the networks say of a scan, as the solver takes it: candidates and what each of them could be."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError
from .anatomy import LEVELS
from .volume import FARTHEST_MM

MAX_COST = 12.0
_MOST_LOG_ODDS = 100.0
PER_CANDIDATE = ("points", "unary", "detection", "landmarks")
LANDMARK_SIGNS = ("C2", "first rib", "rib", "last above the sacrum")
"""Columns of :attr:`Evidence.landmarks`."""


@dataclass(frozen=True)
class Evidence:
    """What the solver needs to name the vertebrae, and to name them again after a correction.

    Attributes:
        points: (N, 3) candidate body centers, world RAS mm, each placed by integral regression.
        unary: (N, 26) cost (negative log-likelihood, >= 0) of candidate n being level k, columns as :data:`LEVELS`.
        detection: (N,) probability 0..1 that the candidate is a vertebral body at all.
        presence: (26,) probability 0..1 that level k lies in the field of view (the Bi-LSTM's multi-label output).
        corners: (8, 3) corners of the field of view, world RAS mm; tells where a vertebra can be cut by the image edge.
        landmarks: (N, 4) log-odds that candidate n is C2, bears the first rib, bears ribs, is the last one above the
            sacrum, as each looks by itself (:data:`LANDMARK_SIGNS`); 0 where nothing is known, as by default.
    """

    points: np.ndarray
    unary: np.ndarray
    detection: np.ndarray
    presence: np.ndarray
    corners: np.ndarray
    landmarks: np.ndarray | None = None

    def __post_init__(self) -> None:
        n, k = len(self.detection), len(LEVELS)
        shapes = {"points": (n, 3), "unary": (n, k), "detection": (n,), "presence": (k,), "corners": (8, 3)}
        shapes["landmarks"] = (n, len(LANDMARK_SIGNS))
        if self.landmarks is None:
            object.__setattr__(self, "landmarks", np.zeros(shapes["landmarks"]))
        for name, shape in shapes.items():
            value = np.asarray(getattr(self, name), dtype=np.float64)
            if value.size == 0:
                value = value.reshape(shape)
            if value.shape != shape or not np.isfinite(value).all():
                raise InputError(f"The labeling evidence is damaged ({name} must be finite, {shape}): label again.")
            object.__setattr__(self, name, value)

    def kept(self, keep: np.ndarray) -> Evidence:
        """The candidates where ``keep`` (N,) is true."""
        arrays = {name: getattr(self, name)[keep] for name in PER_CANDIDATE}
        return replace(self, **arrays)

    def with_candidates(self, points: np.ndarray, unary: np.ndarray, detection: np.ndarray) -> Evidence:
        """The evidence with further candidates behind its own, whose landmarks are unknown; shapes as above."""
        added = (points.reshape(-1, 3), unary.reshape(-1, len(LEVELS)), detection)
        added += (np.zeros((len(detection), len(LANDMARK_SIGNS))),)
        arrays = {name: np.concatenate([getattr(self, name), more]) for name, more in zip(PER_CANDIDATE, added)}
        return replace(self, **arrays)

    def to_json(self) -> str:
        """Serialize compactly (a whole spine takes about 10 kB); see :meth:`from_json`."""
        decimals = {"points": 2, "unary": 2, "detection": 3, "presence": 4, "corners": 1, "landmarks": 1}
        fields = {name: np.round(getattr(self, name), places).tolist() for name, places in decimals.items()}
        return json.dumps({"version": 1, **fields}, separators=(",", ":"))

    def check_ranges(self) -> None:
        """Refuse what no network can have said: the solver takes logarithms and distances of these.

        Raises:
            ValueError: a negative cost, a probability outside of 0..1, a place 100 m away, or odds beyond all doubt.
        """
        probabilities = np.concatenate([self.detection, self.presence])
        places = np.concatenate([self.points, self.corners])
        odds = np.abs(self.landmarks).max(initial=0.0)
        if (
            (self.unary < 0).any()
            or ((probabilities < 0) | (probabilities > 1)).any()
            or np.abs(places).max() > FARTHEST_MM
            or odds > _MOST_LOG_ODDS
        ):
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
            evidence = cls(
                *(data[name] for name in ("points", "unary", "detection", "presence", "corners")), data.get("landmarks")
            )
            evidence.check_ranges()
            return evidence
        except InputError:
            raise
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
            message = "The labeling evidence kept with these points is damaged: label the scan again."
            raise InputError(message) from error


def level_probabilities(unary: np.ndarray) -> np.ndarray:
    """(N, 26) probability of each level, of each candidate alone, from its costs."""
    likely = np.exp(-(unary - unary.min(axis=1, keepdims=True)))
    return likely / likely.sum(axis=1, keepdims=True)
