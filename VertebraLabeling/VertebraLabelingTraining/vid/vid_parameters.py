"""The chain solver's weights for VID's detections, tuned by ``python -m VertebraLabelingTraining.vid.evaluate_vid tune``.

Tuned on the 1794 training scans whose patients are not in validation (:data:`VID_LEARNED` on out-of-fold evidence).
VID has its own distances at C1-C3 and in the lumbar spine, so the spacing comes from the same scans.
"""

from __future__ import annotations

from dataclasses import replace

from VertebraLabelingLib.solver.chain_parameters import ChainParameters

_NECK = (16.73, 23.59, 17.31, 16.76, 16.44, 17.25, 19.39)  # C1-C2 .. C7-T1
_CHEST = (20.47, 20.71, 20.75, 21.37, 21.82, 22.28, 22.93, 23.47, 24.93, 26.86, 29.29)  # T1-T2 .. T11-T12
_LUMBAR = (34.19, 35.47, 36.26, 36.01)  # L1-L2 .. L4-L5
_OTHER = (31.97, 30.33, 32.3, 35.0, 35.98)  # T12-L1, T11-L1, T12-T13, T13-L1 (both as in VerSe), L5-L6

_COMMON = ChainParameters(spacing=(*_NECK, *_CHEST, *_LUMBAR, *_OTHER), unseen=0.0, bend=1.0)

VID_SCORES = replace(
    _COMMON,
    appearance=3.3,
    detection=0.0,
    false_positive=15.4,
    missed=15.2,
    spacing_sd=0.132,
    spacing_cap=40.0,
    scale_sd=0.081,
    t13=4.0,
    no_t12=4.0,
    l6=0.3,
)
"""For the three region scores as they are."""

VID_LEARNED = replace(
    _COMMON,
    appearance=1.0,
    detection=1.0,
    false_positive=16.0,
    missed=4.0,
    spacing_sd=0.066,
    spacing_cap=30.0,
    scale_sd=0.07,
    t13=16.0,
    no_t12=3.0,
    l6=4.0,
)
"""For the level costs that :class:`vid_levels.LevelModel` learns."""
