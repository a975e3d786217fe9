"""The former place of :mod:`.core.volume`; it goes with the release after this one."""

import warnings

from .core.volume import *  # noqa: F403
from .preprocessing.resampling import *  # noqa: F403
from .preprocessing.sitk_image import *  # noqa: F403

warnings.warn(
    "VertebraLabelingLib.volume has moved to VertebraLabelingLib.core.volume: change the import, this one will go.",
    DeprecationWarning,
    stacklevel=2,
)
