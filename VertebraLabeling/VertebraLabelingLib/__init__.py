"""Vertebra labeling in CT by integral regression: the engine. It knows nothing of Slicer, Qt or the web.

>>> from VertebraLabelingLib import VertebraLabeler, read_volume      # doctest: +SKIP
>>> labels = VertebraLabeler().label(read_volume("ct.nii.gz"))        # doctest: +SKIP
>>> [(p.level, p.ras, p.confidence) for p in labels.points]           # doctest: +SKIP
"""

from __future__ import annotations

__version__ = "0.1.0"

_LAZY = {
    "VertebraLabeler": "pipeline.labeler",
    "SpineLabels": "core.labels",
    "LabeledPoint": "core.labels",
    "Evidence": "core.evidence",
    "Volume": "core.volume",
    "read_volume": "scans.read_scan",
}

__all__ = list(_LAZY)


def __getattr__(name: str) -> object:
    """Import on first use: Slicer loads this package at start-up, where torch and SimpleITK must not be imported."""
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
