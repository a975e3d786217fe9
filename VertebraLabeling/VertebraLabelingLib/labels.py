"""The former place of :mod:`.core.labels`; it goes with the release after this one."""

import warnings

from .core.evidence import *  # noqa: F403
from .core.labels import *  # noqa: F403

warnings.warn(
    "VertebraLabelingLib.labels has moved to VertebraLabelingLib.core.labels: change the import, this one will go.",
    DeprecationWarning,
    stacklevel=2,
)
