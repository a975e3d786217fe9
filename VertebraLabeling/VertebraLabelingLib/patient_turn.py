"""How the patient lies, where that is not as the scan's axes say.

The networks know patients whose front points to world anterior, give or take 20 degrees. Some lie turned for a
puncture, some scans say supine of a prone patient, and some arrays were saved upside down. There the first network
finds little, so it looks again at the patient turned about the long axis, with the head up and the head down, and the
turn at which it finds clearly more is kept. A mirrored scan needs nothing of its own: people are nearly symmetric.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from .chain import cheapest_chain
from .labels import Evidence
from .volume import Volume

UNSURE, FEW_NAMED = 0.34, 0.65  # certainty and named share below which the likeliest other turns are tried
DOUBTFUL, HARDLY_NAMED = 0.27, 0.4  # below which all others are
CONVINCING = 0.25  # certainty that another turn must reach
CLEARLY = 1.3  # times as much must be named there, and as surely
STEP_DEG, FINE_DEG = 45, 15
RECORDED_WRONGLY_DEG = 60  # from here on the header is the likelier reason


@dataclass(frozen=True)
class PatientTurn:
    """How the patient lies against the scan's axes: turned by ``degrees`` about the long axis, or head down."""

    degrees: int = 0
    head_down: bool = False

    @property
    def rotation(self) -> np.ndarray:
        """(3, 3) rotation of world RAS that makes the patient lie as the networks know it."""
        cosine, sine = np.cos(np.radians(self.degrees)), np.sin(np.radians(self.degrees))
        back = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
        return np.diag([-1.0, 1.0, -1.0]) @ back if self.head_down else back

    def undone(self, volume: Volume) -> Volume:
        """The same voxels in a world in which the patient lies as the networks know it."""
        affine = volume.ijk_to_ras.copy()
        affine[:3] = self.rotation @ affine[:3]
        return Volume(volume.array, affine)

    def redone(self, evidence: Evidence) -> Evidence:
        """Evidence of :meth:`undone` back in the scan's world."""
        return replace(evidence, points=evidence.points @ self.rotation, corners=evidence.corners @ self.rotation)

    @property
    def sentence(self) -> str:
        """What the user is told."""
        turn = min(self.degrees % 360, -self.degrees % 360)
        how = ["upside down"] if self.head_down else []
        how += [f"turned by about {turn} degrees"] if turn else []
        text = f"The patient seems to lie {' and '.join(how)} in this scan, and was labeled so"
        wrongly = self.head_down or turn >= RECORDED_WRONGLY_DEG
        return f"{text}: check the scan's orientation, left and right too." if wrongly else f"{text}."


LIKELIEST = (PatientTurn(30), PatientTurn(330), PatientTurn(head_down=True))


@dataclass(frozen=True)
class Findings:
    """How much of a spine the first network sees.

    Attributes:
        certainty: 0..1, mean over the candidates, weighted by their detection, of detection times the likeliest level's
            probability.
        named: sum over the chain of squared detection times its level's probability; squared, so that a few sure
            vertebrae outweigh many doubtful ones.
        named_share: 0..1, that part of the same sum over all candidates, each at its likeliest level: a spine that
            stands on its head is found, but makes no chain.
    """

    certainty: float
    named: float
    named_share: float

    @classmethod
    def of(cls, evidence: Evidence) -> Findings:
        """Weigh the evidence of the first network."""
        likely = np.exp(-(evidence.unary - evidence.unary.min(axis=1, keepdims=True)))
        likely /= likely.sum(axis=1, keepdims=True)
        amount = evidence.detection**2
        every = float((amount * likely.max(axis=1)).sum()) if len(amount) else 0.0
        chain, levels = cheapest_chain(evidence)
        rows = [int(np.linalg.norm(evidence.points - point, axis=1).argmin()) for point in chain]
        named = float((amount[rows] * likely[rows, levels]).sum())
        return cls(every / max(float(evidence.detection.sum()), 1e-9), named, named / max(every, 1e-9))


def find_turn(evidence: Evidence, look: Callable[[PatientTurn], Evidence]) -> PatientTurn | None:
    """How the patient lies; None where it is as the scan says, or where the spine is found no better in another way.

    Args:
        evidence: of the first network, the patient as the scan says.
        look: the first network's evidence for another turn.
    """
    first = Findings.of(evidence)
    if first.certainty >= UNSURE and first.named_share >= FEW_NAMED:
        return None
    found = {PatientTurn(): first}

    def best_with(turns: Iterable[PatientTurn]) -> PatientTurn:
        found.update((turn, Findings.of(look(turn))) for turn in turns if turn not in found)
        return max(found, key=lambda turn: (found[turn].certainty >= first.certainty, found[turn].named))

    best = best_with(LIKELIEST)
    for head_down in (False, True):
        if found[best].certainty < DOUBTFUL or found[best].named_share < HARDLY_NAMED:
            best = best_with(PatientTurn(degrees, head_down) for degrees in range(0, 360, STEP_DEG))
    if best == PatientTurn():
        return None
    last = None
    while best != last:  # up to the highest point
        last = best
        best = best_with([replace(best, degrees=(best.degrees + step) % 360) for step in (-FINE_DEG, FINE_DEG)])
    clearly = found[best].named > CLEARLY * first.named and found[best].certainty >= CONVINCING
    return best if clearly else None
