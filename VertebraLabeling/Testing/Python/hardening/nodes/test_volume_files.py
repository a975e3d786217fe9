"""Volume files opened by Slicer's own reader lie where the engine reads them, so that its points fit the picture."""

from __future__ import annotations

import re

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from nifti_files import UNSET, corners_apart, flipped, moved, tilted, write_nifti
from phantoms import affine, body
from VertebraLabelingLib.core.volume import Volume, to_canonical
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk
from VertebraLabelingLib.scans.read_scan import read_scan
from VertebraLabelingLib.system.decimal_point import decimal_point
from VertebraLabelingMRML.volumes import volumeFromNode

OWN = affine(spacing=(1.9, 2.1, 3.2))
CT = body(ijk_to_ras=OWN)
OBLIQUE = moved(moved(OWN, turn_deg=20), turn_deg=-12, about="x")


@pytest.fixture(autouse=True)
def clean_scene():
    slicer.mrmlScene.Clear()
    yield
    slicer.mrmlScene.Clear()


def opened(path) -> Volume | None:
    """The volume that Slicer makes of a file; ``None`` where it does not open it."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(path))
    return volumeFromNode(node) if storage.ReadData(node) else None


def assert_same_place(read: Volume, shown: Volume) -> None:
    """The same voxels at the same places; Slicer turns the slices of a left-handed file around."""
    read, shown = to_canonical(read), to_canonical(shown)
    assert corners_apart(read.ijk_to_ras, shown.ijk_to_ras, read) < 0.05
    np.testing.assert_array_equal(read.array, shown.array)


class Placed:
    """The CT with an affine that no patient has in mm."""

    def __init__(self, place: np.ndarray) -> None:
        self.array, self.ijk_to_ras = CT.array, place


NIFTI = {
    "both": {},
    "oblique, qform only": {"volume": Volume(CT.array, OBLIQUE), "sform": UNSET},
    "left to right, sform only": {"volume": Volume(CT.array, OWN @ np.diag([-1.0, 1, 1, 1])), "qform": UNSET},
    "unknown unit": {"unit": "unknown"},
    "placed twice, aligned sform": {"sform": (moved(OWN, (0, 0, 30)), 2)},
    "placed twice, sform of the scanner": {"qform": (moved(OWN, (0, 20, 0)), 2)},
    "turned by 10 degrees": {"sform": (moved(OWN, turn_deg=10), 3)},
    "meters": {"volume": Placed(np.diag([0.001, 0.001, 0.001, 1]) @ OWN), "unit": "meter"},
    "microns": {"volume": Placed(np.diag([1000.0, 1000, 1000, 1]) @ OWN), "unit": "micron"},
}


@pytest.mark.parametrize("case", NIFTI)
def test_nifti_lies_where_slicer_opens_it(tmp_path, case):
    path = write_nifti(tmp_path / "a.nii.gz", **{"volume": CT, **NIFTI[case]})
    read, shown = read_scan(path).volume, opened(path)
    assert_same_place(read, shown)


@pytest.mark.parametrize("place", ["own", "oblique", "mirrored"])
@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
def test_nrrd_and_metaimage_lie_where_slicer_opens_them(tmp_path, suffix, place):
    path = tmp_path / f"a{suffix}"
    with decimal_point():
        sitk.WriteImage(to_sitk(Volume(CT.array, {"own": OWN, "oblique": OBLIQUE}.get(place, flipped(OWN, 0)))), path)
        shown = opened(path)
    read = read_scan(path).volume
    assert_same_place(read, shown)


@pytest.mark.parametrize("degrees", [5, 17, 30])
def test_a_tilted_nifti_is_off_in_slicer_by_as_much_as_is_told(tmp_path, degrees):
    scan = read_scan(write_nifti(tmp_path / "a.nii", Volume(CT.array, tilted(OWN, degrees))))
    told = int(re.search(r"off by up to (\d+) mm", scan.notes[0]).group(1))
    shown = opened(tmp_path / "a.nii")
    assert abs(corners_apart(scan.volume.ijk_to_ras, shown.ijk_to_ras, CT) - told) < 2


@pytest.mark.parametrize("degrees", [5, 17, 30])
def test_a_nifti_that_slicer_does_not_open_is_said_to_be_such(tmp_path, degrees):
    path = write_nifti(tmp_path / "a.nii", Volume(CT.array, tilted(OWN, degrees)), UNSET)
    assert "Slicer does not open such a file" in read_scan(path).notes[0]
    assert opened(path) is None
