"""Crops as they come from scoring."""

from __future__ import annotations

from VertebraLabelingTraining.evaluation.crop_scores import Scored


def scored(name="ct/a", patient="p", right=True, warned=False, lowest=0.9, anchors=(), count=5) -> Scored:
    return Scored(name, patient, anchors, count, () if right else ("T5",), (), warned, lowest)
