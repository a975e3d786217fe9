"""All bad and unusual inputs."""

from __future__ import annotations

import bad_dicom
import bad_nifti
import bad_text_headers
import cut_and_mutated
import hostile_names
import odd_voxels
from cases import Case

GENERATORS = (bad_nifti, bad_text_headers, cut_and_mutated, odd_voxels, bad_dicom, hostile_names)


def all_cases() -> list[Case]:
    """The cases of all generators; their names are unique."""
    found = [case for generator in GENERATORS for case in generator.cases()]
    names = [case.name for case in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"cases of one name: {twice}")
    return found
