"""Crops as they come from scoring."""

from __future__ import annotations

from VertebraLabelingTraining.evaluation.crop_scores import Scored


def scored(name="ct/a", patient="p", correct=True, warned=False, lowest=0.9, landmarks=(), count=5) -> Scored:
    return Scored(name, patient, landmarks, count, () if correct else ("T5",), (), warned, lowest)
