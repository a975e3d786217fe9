"""Find out how the patient lies and how large he is; see :mod:`.pose`.

The networks know adults whose front points to world anterior, give or take 20 degrees. Some lie turned for a puncture,
some scans say supine of a prone patient, some arrays were saved upside down; children are smaller. There the first
network finds little, so it looks again: enlarged, where the vertebrae that it names are too close together; and where
it is not sure, at the patient turned about the long axis, with the head up and the head down. These are glances: at a
column around the spine, the likeliest pose first, until one is clear or a dozen were tried. The pose that they find is
looked at in full and kept where clearly more is named in it. A mirrored scan needs nothing of its own: people are
nearly symmetric.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from ..core.anatomy import LEVELS
from ..core.evidence import Evidence, level_probabilities
from ..core.parameters import SHIPPED, PipelineParameters, PoseParameters
from ..core.spacing import VERSE_SPACING
from ..preprocessing.pose import PatientPose
from ..solver.chain import cheapest_chain

GLANCES = 12  # poses glanced at before the likeliest is taken: with that, about three times as long as a usual scan
LARGEST = 2.0  # enlargement: a newborn's vertebrae are half as high as an adult's
BELLY_DEG, SIDES_DEG = 180, (90, 270)  # he lies so, or the scan's header says that he does
HALF_WAY_DEG, BETWEEN_DEG = (45, 315), (135, 225)  # between lying as usual and on a side; on a side and on the belly
TURNS_DEG = tuple(degrees for degrees in range(0, 360, 15) if degrees % 90 not in (15, 75))
"""The networks know turns of up to 20 degrees: none is farther from these. 15 degrees beside a right angle a scan is
looked at along its own axes (:data:`.resampling.MAX_OBLIQUITY_DEG`), so it looks no other there."""
SURELY_NAMED = 1.0  # a vertebra, seen and named for certain; less is also named by chance in a wrong pose


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

    def clear(self, p: PoseParameters) -> bool:
        """Whether a pose in which so much is seen is worth a full look, and no other is tried before."""
        standing = self.certainty >= p.standing
        return self.named >= SURELY_NAMED and (
            standing or (self.certainty >= p.convincing and self.plausibility >= p.dubious)
        )


def _size(chain: np.ndarray, levels: np.ndarray) -> float:
    pairs = [(LEVELS[upper], LEVELS[lower]) for upper, lower in zip(levels, levels[1:])]
    apart = np.linalg.norm(np.diff(chain, axis=0), axis=1)
    ratios = [distance / VERSE_SPACING[pair] for distance, pair in zip(apart, pairs) if pair in VERSE_SPACING]
    return float(np.median(ratios)) if len(ratios) >= 2 else 1.0


def _beside(degrees: int) -> tuple[int, int]:
    """The turns next to one of :data:`TURNS_DEG`."""
    at = TURNS_DEG.index(degrees % 360)
    return TURNS_DEG[at - 1], TURNS_DEG[(at + 1) % len(TURNS_DEG)]


Look = Callable[[PatientPose], Evidence]


def find_pose(evidence: Evidence, look: Look, glance: Look, parameters: PipelineParameters = SHIPPED) -> PatientPose:
    """How the patient lies and by how much he should be enlarged; the usual pose where no other is clearly better.

    Args:
        evidence: of the detection network, the patient as the scan says.
        look: the detection network's evidence for another pose.
        glance: the same of the spine alone, which takes a fifth of the time, in a small scan a half.
        parameters: the chosen numbers.
    """
    search = _Search(_Seen(look, parameters), _Seen(glance, parameters), parameters.pose)
    search.looks.found[PatientPose()] = Findings.of(evidence, parameters)
    best = search.enlarged(PatientPose())
    if search.looks.at(best).sure(parameters.pose):
        return best
    return search.enlarged(search.turned(best))


@dataclass(frozen=True)
class _Seen:
    """What has been found in which pose; each is looked at once."""

    look: Look
    parameters: PipelineParameters
    found: dict[PatientPose, Findings] = field(default_factory=dict)

    def at(self, pose: PatientPose) -> Findings:
        if pose not in self.found:
            self.found[pose] = Findings.of(self.look(pose), self.parameters)
        return self.found[pose]


@dataclass(frozen=True)
class _Search:
    """The poses that are tried, and which is taken."""

    looks: _Seen
    glances: _Seen
    p: PoseParameters

    def enlarged(self, pose: PatientPose) -> PatientPose:
        """Enlarged to an adult's size, as long as more is found there."""
        while self.looks.at(pose).size < self.p.small and pose.enlarged < LARGEST:
            now = self.looks.at(pose)
            larger = replace(pose, enlarged=round(min(pose.enlarged / now.size, LARGEST), 2))
            then = self.looks.at(larger)
            if then.named <= self.p.enlarged_gain * now.named or then.certainty < now.certainty:
                break
            pose = larger
        return pose

    def turned(self, start: PatientPose) -> PatientPose:
        """The best of the poses around; ``start`` where none is clearly better."""
        first = self.looks.at(start)
        best = start if first.certainty >= self.p.standing else self.glanced_around(start, first)
        then = self.looks.at(best)
        other = replace(best, head_down=not best.head_down)
        if (not then.sure(self.p) or then.certainty < self.p.standing) and self._may_name_more(other, best):
            seen = self.looks.at(other)
            if seen.certainty >= first.certainty and seen.named > then.named:
                best, then = other, seen
        if best == start:
            return start
        # of two or three vertebrae a pose may name more by chance, but not all of what it sees
        plausible = then.certainty >= self.p.convincing and then.plausibility > first.plausibility
        return best if then.named > self.p.turned_gain * first.named and plausible else start

    def _may_name_more(self, other: PatientPose, best: PatientPose) -> bool:
        """Whether a pose must be looked at in full; glances mistake head and feet, unless one names clearly less."""
        if not self.glances.found:
            return True
        named = self.glances.found.get(best, self.looks.at(best)).named
        return self.p.turned_gain * self.glances.at(other).named > named

    def glanced_around(self, start: PatientPose, first: Findings) -> PatientPose:
        """The pose in which glances name most, the likeliest tried first, until one is clear or enough were tried."""
        others = self._other_poses(start, first)
        best = next((pose for pose in others if self._is_clear(pose, first)), None)
        if best is None:
            best = self._most_named(start, [start, *others])
            if best == start:
                return start
            best = self._most_named(best, [best, replace(best, head_down=not best.head_down)])
        last, found = None, self.glances.found
        # up to the highest point
        while best != last and found[best].certainty < self.p.standing and len(found) < GLANCES:
            last, steps = best, [replace(best, degrees=degrees) for degrees in _beside(best.degrees)]
            aside = max(steps, key=lambda pose: self.glances.at(pose).certainty)
            if found[aside].certainty > found[best].certainty + self.p.alike:
                best = aside
        return best

    def _is_clear(self, pose: PatientPose, first: Findings) -> bool:
        then = self.glances.at(pose)
        return then.clear(self.p) and then.certainty >= first.certainty and then.named > first.named

    def _most_named(self, start: PatientPose, poses: list[PatientPose]) -> PatientPose:
        """Of poses that are glanced at as surely as ``start`` at least."""
        least = self.glances.at(start).certainty
        sure = [pose for pose in poses if self.glances.at(pose).certainty >= least]
        return max(sure, key=lambda pose: self.glances.at(pose).named)

    def _other_poses(self, start: PatientPose, first: Findings) -> list[PatientPose]:
        """Upside down; a child, and turned, first half way where more is seen."""

        def turned(*all_degrees: int) -> list[PatientPose]:
            return [replace(start, degrees=degrees) for degrees in all_degrees]

        upside_down = replace(start, head_down=True)
        child = replace(start, enlarged=round(min(start.enlarged * self.p.child, LARGEST), 2))
        near, far = [*turned(*HALF_WAY_DEG), child], turned(BELLY_DEG, *SIDES_DEG)
        likely = near + far if first.certainty >= self.p.half_seen else far + near
        return [upside_down, *likely, *turned(*BETWEEN_DEG)]
