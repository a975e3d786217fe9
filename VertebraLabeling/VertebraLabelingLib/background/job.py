"""What the labeling process is asked to do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

NETWORK = "VertebraLabelingLib.pipeline.labeler:VertebraLabeler"


@dataclass(frozen=True)
class Job:
    """What one run needs.

    Attributes:
        array: path of the voxels, ``.npy``, axes (K, J, I); opened without reading it whole into memory.
        ijk_to_ras: (4, 4) affine from (i, j, k) to world RAS mm, as nested lists.
        fixed: level -> world RAS mm of points that are known.
        arguments: keyword arguments of the labeler (``weights``, ``device``).
        labeler: ``module:class`` that labels.
        written: false while the voxels are still being written, to a private folder that holds nothing else.
    """

    array: str
    ijk_to_ras: Sequence[Sequence[float]]
    fixed: dict[str, Sequence[float]] = field(default_factory=dict)
    arguments: dict[str, object] = field(default_factory=dict)
    labeler: str = NETWORK
    written: bool = True

    def to_line(self) -> bytes:
        """The job as one line of ASCII JSON, for standard input."""
        return json.dumps(asdict(self)).encode("ascii") + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Job:
        """Read what :meth:`to_line` made."""
        return cls(**json.loads(line))
