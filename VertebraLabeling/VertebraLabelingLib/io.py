"""The former place of :mod:`.scans.read_scan`; it goes with the release after this one."""

import warnings

from .scans.read_scan import *  # noqa: F403

warnings.warn(
    "VertebraLabelingLib.io has moved to VertebraLabelingLib.scans.read_scan: change the import, this one will go.",
    DeprecationWarning,
    stacklevel=2,
)
