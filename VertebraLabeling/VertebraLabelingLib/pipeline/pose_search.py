"""Find out how the patient lies and how large he is; see :mod:`.pose`.

The networks know adults whose front points to world anterior, give or take 20 degrees. Some lie turned for a puncture,
some scans say supine of a prone patient, some arrays were saved upside down; children are smaller. There the first
network finds little, so it looks again: enlarged, where the vertebrae that it names are too close together; and where
it is not sure, at the patient turned about the long axis, with the head up and the head down. The pose in which it
finds clearly more is kept. A mirrored scan needs nothing of its own: people are nearly symmetric.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..core.anatomy import LEVELS
from ..core.evidence import Evidence, level_probabilities
from ..core.parameters import SHIPPED, PipelineParameters, PoseParameters
from ..core.spacing import VERSE_SPACING
from ..preprocessing.pose import PatientPose
from ..solver.chain import cheapest_chain

LARGEST = 2.0  # enlargement: a newborn's vertebrae are half as high as an adult's
LIKELY_DEG = 30  # turned for a puncture
STEP_DEG, FINE_DEG = (
    45,
    15,
)  # the networks know turns of up to 20 degrees: none is farther from a fine step


@dataclass(frozen=True)
class Findings:
    """How much of a spine the detection network sees.

    Attributes:
        certainty: 0..1, mean over the candidates, weighted by their detection, of detection times the likeliest level's
            probability.
        named: sum over the chain of squared detection times its level's probability; squared, so that a few sure
            vertebrae outweigh many doubtful ones.
        named_share: 0..1, that part of the same sum over all candidates, each at its likeliest level: a spine that
            stands on its head is found, but makes no chain.
        size: of the patient, 1 for an adult's: the median ratio of the distances between neighbors in the chain to
            those of :data:`spacing.VERSE_SPACING`; 1 where fewer than two are known.
    """

    certainty: float
    named: float
    named_share: float
    size: float = 1.0

    @classmethod
    def of(cls, evidence: Evidence, parameters: PipelineParameters = SHIPPED) -> Findings:
        """Weigh the evidence of the detection network."""
        likely = level_probabilities(evidence.unary)
        amount = evidence.detection**2
        every = float((amount * likely.max(axis=1)).sum()) if len(amount) else 0.0
        chain = cheapest_chain(evidence, parameters.chain)
        named = float((amount[chain.rows] * likely[chain.rows, chain.levels]).sum())
        certainty = every / max(float(evidence.detection.sum()), 1e-9)
        return cls(certainty, named, named / max(every, 1e-9), _size(chain.points, chain.levels))

    @property
    def plausibility(self) -> float:
        """0..2, certainty and the named share together."""
        return self.certainty + self.named_share

    def sure(self, p: PoseParameters) -> bool:
        """Whether the patient lies as the networks know it, as far as can be told."""
        return self.certainty >= p.unsure and self.plausibility >= p.dubious


def _size(chain: np.ndarray, levels: np.ndarray) -> float:
    pairs = [(LEVELS[upper], LEVELS[lower]) for upper, lower in zip(levels, levels[1:])]
    apart = np.linalg.norm(np.diff(chain, axis=0), axis=1)
    ratios = [distance / VERSE_SPACING[pair] for distance, pair in zip(apart, pairs) if pair in VERSE_SPACING]
    return float(np.median(ratios)) if len(ratios) >= 2 else 1.0


def find_pose(
    evidence: Evidence,
    look: Callable[[PatientPose], Evidence],
    parameters: PipelineParameters = SHIPPED,
) -> PatientPose:
    """How the patient lies and by how much he should be enlarged; the usual pose where no other is clearly better.

    Args:
        evidence: of the detection network, the patient as the scan says.
        look: the detection network's evidence for another pose.
        parameters: the chosen numbers.
    """
    search = _Search(look, parameters)
    search.found[PatientPose()] = Findings.of(evidence, parameters)
    best = search.enlarged(PatientPose())
    if search.at(best).sure(parameters.pose):
        return best
    return search.enlarged(search.turned(best))


class _Search:
    """What has been found in which pose."""

    def __init__(self, look: Callable[[PatientPose], Evidence], parameters: PipelineParameters) -> None:
        self.look, self.parameters, self.p = look, parameters, parameters.pose
        self.found: dict[PatientPose, Findings] = {}

    def at(self, pose: PatientPose) -> Findings:
        """What is found in a pose; each is looked at once."""
        if pose not in self.found:
            self.found[pose] = Findings.of(self.look(pose), self.parameters)
        return self.found[pose]

    def enlarged(self, pose: PatientPose) -> PatientPose:
        """Enlarged to an adult's size, as long as more is found there."""
        while self.at(pose).size < self.p.small and pose.enlarged < LARGEST:
            now = self.at(pose)
            larger = replace(pose, enlarged=round(min(pose.enlarged / now.size, LARGEST), 2))
            then = self.at(larger)
            if then.named <= self.p.enlarged_gain * now.named or then.certainty < now.certainty:
                break
            pose = larger
        return pose

    def turned(self, start: PatientPose) -> PatientPose:
        """The best of the poses around; ``start`` where none is clearly better."""
        first = self.at(start)
        tried = [start]

        def best_with(poses: Iterable[PatientPose]) -> PatientPose:
            tried.extend(pose for pose in poses if pose not in tried)
            return max(tried, key=lambda pose: (self.at(pose).certainty >= first.certainty, self.at(pose).named))

        larger = round(min(start.enlarged * self.p.child, LARGEST), 2)
        turns = ({"degrees": LIKELY_DEG}, {"degrees": 360 - LIKELY_DEG}, {"head_down": True}, {"enlarged": larger})
        best = best_with(replace(start, **turn) for turn in turns)
        for head_down in (False, True):
            if self.at(best).certainty < self.p.doubtful or self.at(best).named_share < self.p.hardly_named:
                best = best_with(
                    replace(start, degrees=degrees, head_down=head_down) for degrees in range(0, 360, STEP_DEG)
                )
        if best == start:
            return start
        last = None
        while best != last:  # up to the highest point
            last = best
            best = best_with([replace(best, degrees=(best.degrees + step) % 360) for step in (-FINE_DEG, FINE_DEG)])
        then = self.at(best)
        # of two or three vertebrae a pose may name more by chance, but not all of what it sees
        plausible = then.certainty >= self.p.convincing and then.plausibility > first.plausibility
        return best if then.named > self.p.turned_gain * first.named and plausible else start
