"""How the patient lies and how large he is, where that is not as the networks know it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..core.evidence import Evidence
from ..core.label_warning import SMALL, TURNED, LabelWarning
from ..core.volume import Volume


@dataclass(frozen=True)
class PatientPose:
    """The patient against the scan's axes: turned by ``degrees`` about the long axis, or head down; and to be enlarged.

    Attributes:
        degrees: about the long axis.
        head_down: the head where the feet should be.
        enlarged: by which factor the patient must grow to have the size of those that the networks know.
    """

    degrees: int = 0
    head_down: bool = False
    enlarged: float = 1.0

    @property
    def matrix(self) -> np.ndarray:
        """(3, 3) map of world RAS that makes the patient lie as the networks know it, at the size that they know."""
        cosine, sine = np.cos(np.radians(self.degrees)), np.sin(np.radians(self.degrees))
        back = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
        return self.enlarged * (np.diag([-1.0, 1.0, -1.0]) @ back if self.head_down else back)

    def to_usual(self, volume: Volume, center: np.ndarray) -> Volume:
        """The same voxels in a world in which the patient is as the networks know it.

        Args:
            center: (3,) world RAS mm that stays where it is; the same for all that is looked at together.
        """
        affine = volume.ijk_to_ras.copy()
        affine[:3, :3] = self.matrix @ affine[:3, :3]
        affine[:3, 3] = self.matrix @ (affine[:3, 3] - center) + center
        return Volume(volume.array, affine)

    def from_usual(self, evidence: Evidence, center: np.ndarray) -> Evidence:
        """Evidence of :meth:`to_usual` back in the scan's world."""
        inverse = np.linalg.inv(self.matrix).T
        points, corners = ((places - center) @ inverse + center for places in (evidence.points, evidence.corners))
        return replace(evidence, points=points, corners=corners)

    @property
    def warnings(self) -> tuple[LabelWarning, ...]:
        """What the user is told."""
        said = []
        turn = min(self.degrees % 360, -self.degrees % 360)
        if turn or self.head_down:
            said.append(LabelWarning(TURNED, numbers={"degrees": turn, "head_down": int(self.head_down)}))
        if self.enlarged > 1:
            said.append(LabelWarning(SMALL, numbers={"percent": round(100 / self.enlarged)}))
        return tuple(said)
