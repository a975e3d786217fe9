"""NIfTI: read where nibabel says, refused where the header contradicts itself, told where Slicer takes one of two.

Each table holds variants of one kind; docs/robustness.md has a row for each test.
"""

from __future__ import annotations

import gzip
import re

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from nifti_files import UNSET, corners_apart, flipped, moved, overwritten, tilted, write_nifti
from phantoms import affine, body
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.preprocessing.sitk_image import from_sitk
from VertebraLabelingLib.scans.read_scan import read_scan

NAN, INF = float("nan"), float("inf")
OWN = affine(spacing=(1.9, 2.1, 3.2))
CT = body(ijk_to_ras=OWN, balls=[(5.0, -12.0, 130.0)])
OBLIQUE = moved(moved(OWN, turn_deg=20), turn_deg=-12, about="x")
SAGITTAL = np.array([[0.0, 0, 2.0, -40], [0, -2.0, 0, 50], [-3.0, 0, 0, 170], [0, 0, 0, 1]])
MIRRORED = OWN @ np.diag([-1.0, 1, 1, 1])


def at(place: np.ndarray) -> Volume:
    return Volume(CT.array, place)


def refused(path, words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        read_scan(path)
    assert str(error.value).endswith(".") and ": " in str(error.value) and "\n" not in str(error.value)


def assert_as_nibabel(path, scale: float = 1.0) -> None:
    """Same place and values as nibabel reads, and the place where ITK, and so Slicer, shows it."""
    scan, oracle = read_scan(path), nibabel.load(path)
    expected = np.diag([scale, scale, scale, 1.0]) @ oracle.affine
    assert corners_apart(scan.volume.ijk_to_ras, expected, scan.volume) < 0.05
    assert corners_apart(scan.volume.ijk_to_ras, from_sitk(sitk.ReadImage(str(path))).ijk_to_ras, scan.volume) < 0.05
    values = np.asarray(oracle.dataobj).reshape(oracle.shape[:3])
    np.testing.assert_allclose(scan.volume.array, values.transpose(2, 1, 0), atol=1e-3)


SOUND = {
    "qform and sform": {},
    "sform only": {"qform": UNSET, "sform": (OWN, 2)},
    "qform only": {"sform": UNSET},
    "code 4 for both": {"qform": (OWN, 4), "sform": (OWN, 4)},
    "oblique": {"volume": at(OBLIQUE)},
    "oblique, qform only": {"volume": at(OBLIQUE), "sform": UNSET},
    "sagittal": {"volume": at(SAGITTAL)},
    "left to right": {"volume": at(MIRRORED)},
    "left to right, qform only": {"volume": at(MIRRORED), "sform": UNSET},
    "head to foot, qform only": {"volume": at(OWN @ np.diag([1.0, 1, -1, 1])), "sform": UNSET},
    "qfac 0 stands for 1": {"qfac": 0.0},
    "unknown unit": {"unit": "unknown"},
    "float": {"volume": Volume(CT.array + np.float32(0.25), OWN)},
    "pixdim rounded to a thousandth": {"pixdim1": 1.901},
    "slope 2, intercept -24": {"scl_slope": 2.0, "scl_inter": -24.0},
    "slope 0 means none": {"scl_slope": 0.0},
    "slope NaN means none": {"scl_slope": NAN, "scl_inter": NAN},
    "one volume in four dimensions": {"dim": 4},
    "one volume in five dimensions": {"dim": 5},
}


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("case", SOUND)
def test_sound_headers_are_read_as_by_nibabel(tmp_path, case, suffix):
    options = {"volume": CT, **SOUND[case]}
    path = write_nifti(tmp_path / f"a{suffix}", **options)
    assert_as_nibabel(path)
    assert read_scan(path).notes == ()


CONTRADICTING_AXES = {
    "left and right": {"qform": (flipped(OWN, 0), 1)},
    "left and right, sform for another space": {"qform": (flipped(OWN, 0), 1), "sform": (OWN, 2)},
    "front and back": {"sform": (flipped(OWN, 1), 1)},
    "head and foot": {"sform": (flipped(OWN, 2), 4)},
    "qfac": {"qfac": -1.0},
    "RAS and LPS": {"qform": (flipped(flipped(OWN, 0), 1), 1)},
    "turned by 90 degrees": {"sform": (moved(OWN, turn_deg=90), 1)},
    "turned by 60 degrees": {"sform": (moved(OWN, turn_deg=60, about="x"), 2)},
    "axes exchanged": {"sform": (SAGITTAL @ np.diag([3.2 / 3, 2.1 / 2, 1.6, 1]), 1), "pixdim1": 3.2, "pixdim3": 3.2},
}


@pytest.mark.parametrize("case", CONTRADICTING_AXES)
def test_qform_and_sform_with_other_axes_are_refused(tmp_path, case):
    refused(write_nifti(tmp_path / "a.nii.gz", CT, **CONTRADICTING_AXES[case]), "two different things of where left")


PLACED_TWICE = {
    "shifted by 30 mm, sform of the scanner": ((moved(OWN, (0, 0, 30)), 1), (OWN, 1), "sform", 30),
    "shifted by 30 mm, aligned sform": ((OWN, 1), (moved(OWN, (0, 0, 30)), 2), "qform", 30),
    "shifted by 3 mm": ((OWN, 1), (moved(OWN, (0, 3, 0)), 2), "qform", 3),
    "shifted by 345 mm, MNI": ((OWN, 2), (moved(OWN, (72, 67, -330)), 4), "qform", 344),
    "turned by 10 degrees": ((OWN, 1), (moved(OWN, turn_deg=10), 3), "qform", 13),
    "turned by 30 degrees": ((moved(OWN, turn_deg=30, about="x"), 1), (OWN, 1), "sform", 94),
}


@pytest.mark.parametrize("case", PLACED_TWICE)
def test_a_scan_placed_twice_lies_where_slicer_shows_it_and_that_is_told(tmp_path, case):
    qform, sform, taken, distance = PLACED_TWICE[case]
    path = write_nifti(tmp_path / "a.nii", CT, qform, sform)
    scan = read_scan(path)
    expected = {"qform": qform, "sform": sform}[taken][0]
    assert corners_apart(scan.volume.ijk_to_ras, expected, CT) < 0.05
    assert corners_apart(scan.volume.ijk_to_ras, from_sitk(sitk.ReadImage(str(path))).ijk_to_ras, CT) < 0.05
    (note,) = scan.notes
    told = int(re.search(r"up to (\d+) mm apart; points fit the " + taken, note).group(1))
    assert abs(told - distance) <= 2


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.9])
def test_rounding_between_qform_and_sform_is_no_contradiction(tmp_path, shift):
    path = write_nifti(tmp_path / "a.nii", CT, sform=(moved(OWN, (shift, 0, 0)), 2))
    assert read_scan(path).notes == ()


NO_ORIENTATION = {
    "both codes 0": {"qform_code": 0, "sform_code": 0},
    "negative codes": {"qform_code": -1, "sform_code": -5},
    "no numbers either": {"qform": UNSET, "sform": UNSET},
    "Analyze, no signature": {"magic": b"\0\0\0\0"},
}


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("case", NO_ORIENTATION)
def test_a_file_without_orientation_is_refused(tmp_path, case, suffix):
    refused(write_nifti(tmp_path / f"a{suffix}", CT, **NO_ORIENTATION[case]), "does not say how its axes|is unknown")


def srow(*numbers: float) -> bytes:
    return np.array(numbers, "<f4").tobytes()


DAMAGED = {
    "sform NaN": {"srow": srow(NAN, 0, 0, 0, 0, 2.1, 0, 0, 0, 0, 3.2, 0)},
    "sform zero": {"srow": srow(*(0.0,) * 12)},
    "two columns the same": {"srow": srow(1.9, 1.9, 0, 0, 0, 0, 0, 0, 0, 0, 3.2, 0)},
    "origin NaN": {"srow": srow(1.9, 0, 0, 0, 0, 2.1, 0, 0, 0, 0, 3.2, NAN)},
    "quaternion of length 5": {"sform": UNSET, "quatern_b": 5.0},
    "quaternion NaN": {"sform": UNSET, "quatern_b": NAN},
    "qoffset infinite": {"sform": UNSET, "qoffset_x": INF},
    "qfac 5": {"sform": UNSET, "qfac": 5.0},
    "qfac NaN": {"sform": UNSET, "qfac": NAN},
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_orientation_is_refused(tmp_path, case):
    refused(write_nifti(tmp_path / "a.nii", CT, **DAMAGED[case]), "damaged orientation")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("unit, scale", [("meter", 1000.0), ("micron", 0.001)])
def test_meters_and_microns_are_read_as_such_and_told(tmp_path, unit, scale, suffix):
    there = np.diag([1 / scale, 1 / scale, 1 / scale, 1]) @ OWN
    path = write_nifti(tmp_path / f"a{suffix}", _Placed(there), unit=unit)
    assert_as_nibabel(path, scale)
    assert unit in read_scan(path).notes[0]


class _Placed:
    """The CT with an affine that no patient has in mm."""

    def __init__(self, place: np.ndarray) -> None:
        self.array, self.ijk_to_ras = CT.array, place


UNITS_THAT_CANNOT_BE = {
    "mm called meters": (OWN, "meter"),
    "mm called microns": (OWN, "micron"),
    "meters called mm": (np.diag([0.001, 0.001, 0.001, 1]) @ OWN, "mm"),
    "microns of an unknown unit": (np.diag([1000.0, 1000, 1000, 1]) @ OWN, "unknown"),
}


@pytest.mark.parametrize("case", UNITS_THAT_CANNOT_BE)
def test_sizes_that_no_patient_has_in_their_unit_are_refused(tmp_path, case):
    place, unit = UNITS_THAT_CANNOT_BE[case]
    refused(write_nifti(tmp_path / "a.nii", _Placed(place), unit=unit), "cannot be|orientation")


SIZES = {
    "zero": {"pixdim1": 0.0},
    "negative": {"pixdim2": -2.1},
    "negative, all, qform only": {"pixdim1": -1.9, "pixdim2": -2.1, "pixdim3": -3.2, "sform": UNSET},
    "NaN": {"pixdim3": NAN},
    "infinite": {"pixdim1": INF, "sform": UNSET},
    "one for all": {"pixdim1": 1.0, "pixdim2": 1.0, "pixdim3": 1.0},
    "slices of 3 mm, sform 3.2 mm": {"pixdim3": 3.0, "qform": UNSET},
    "x wrong by 2 percent": {"pixdim1": 1.938, "qform": UNSET},
}


@pytest.mark.parametrize("case", SIZES)
def test_voxel_sizes_that_are_none_or_contradict_the_sform_are_refused(tmp_path, case):
    refused(write_nifti(tmp_path / "a.nii", CT, **SIZES[case]), "how large its voxels are|two different sizes")


@pytest.mark.parametrize("form", ["sform only", "qform straightened"])
@pytest.mark.parametrize("degrees", [5, 17, 30])
def test_a_tilted_gantry_is_kept_and_told(tmp_path, degrees, form):
    there = tilted(OWN, degrees)
    qform = UNSET if form == "sform only" else ()
    scan = read_scan(write_nifti(tmp_path / "a.nii", at(there), qform))
    assert corners_apart(scan.volume.ijk_to_ras, there, CT) < 0.05
    assert "not at right angles" in scan.notes[0]
    assert ("Slicer does not open" in scan.notes[0]) == (form == "sform only")


@pytest.mark.parametrize("form", ["sform only", "qform straightened"])
@pytest.mark.parametrize("degrees", [0.003, 0.01, 0.03])
def test_axes_sheared_by_rounding_are_kept_without_a_word(tmp_path, degrees, form):
    there = tilted(affine(spacing=(2.0, 2.0, 70.0)), degrees)  # from head to foot, 1.7 m
    scan = read_scan(write_nifti(tmp_path / "a.nii", at(there), UNSET if form == "sform only" else ()))
    assert corners_apart(scan.volume.ijk_to_ras, there, CT) < 0.2 and scan.notes == ()


@pytest.mark.parametrize("degrees", [-60, 45, 80])
def test_axes_far_from_right_angles_are_refused(tmp_path, degrees):
    refused(write_nifti(tmp_path / "a.nii", at(tilted(OWN, degrees)), UNSET), "far from right angles")


VALUES = {
    "intercept without a slope": {"scl_slope": 0.0, "scl_inter": -1024.0},
    "slope NaN, intercept -1024": {"scl_slope": NAN, "scl_inter": -1024.0},
    "slope infinite": {"scl_slope": INF},
    "slope -1": {"scl_slope": -1.0},
    "intercept NaN": {"scl_slope": 1.0, "scl_inter": NAN},
    "intercept infinite": {"scl_slope": 2.0, "scl_inter": -INF},
}


@pytest.mark.parametrize("case", VALUES)
def test_a_scale_that_programs_read_differently_is_refused(tmp_path, case):
    refused(write_nifti(tmp_path / "a.nii", CT, **VALUES[case]), "scale")


LENGTHS = {
    "x too small": ({"dim1": 39}, "more voxels"),
    "y too small": ({"dim2": 40}, "more voxels"),
    "one slice left out": ({"dim3": 23}, "more voxels"),
    "two volumes under three dimensions": ({"dim3": 12}, "more voxels"),
    "too many slices": ({"dim3": 25}, "truncated"),
    "16-bit values called 8-bit": ({"datatype": 2, "bitpix": 8}, "more voxels"),
    "16-bit values called 32-bit": ({"datatype": 16, "bitpix": 32}, "truncated"),
    "four volumes": ({"dim": 4, "dim4": 4}, "three-dimensional"),
    "a vector of three": ({"dim": 5, "dim5": 3}, "three-dimensional"),
}


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("case", LENGTHS)
def test_sizes_that_the_file_does_not_hold_are_refused(tmp_path, case, suffix):
    fields, words = LENGTHS[case]
    refused(write_nifti(tmp_path / f"a{suffix}", CT, **fields), words)


@pytest.mark.parametrize(
    "kind", ["NIfTI-2", "NIfTI-2.gz", "pair", "header of a pair", "gz named nii", "cut gz", "zeros in gz"]
)
def test_other_kinds_of_file_are_named(tmp_path, kind):
    path = tmp_path / ("a.nii.gz" if "gz" in kind else "a.nii")
    two = kind.startswith("NIfTI-2")
    write_nifti(path, CT, kind=nibabel.Nifti2Image if two else nibabel.Nifti1Image)
    data, words = path.read_bytes(), "is a NIfTI-2 file"
    if kind == "pair":
        path, words = overwritten(path, magic=b"ni1\0"), "in another file"
    elif kind == "header of a pair":
        write_nifti(tmp_path / "b.hdr", CT, kind=nibabel.Nifti1Pair)
        path, words = tmp_path / "b.hdr", "is none of"
    elif kind == "gz named nii":
        path, words = path.rename(tmp_path / "a.nii"), "is compressed but its name does not say so"
    elif kind == "cut gz":
        path.write_bytes(data[: len(data) // 2])
        words = "truncated or damaged"
    elif kind == "zeros in gz":
        path.write_bytes(data[:5000] + bytes(64) + data[5064:])
        words = "damaged"
    refused(path, words)


@pytest.mark.parametrize("level", [0, 1, 9])
def test_a_gz_name_around_any_compression_or_none_is_read(tmp_path, level):
    path = tmp_path / "a.nii.gz"
    data = write_nifti(tmp_path / "b.nii", CT).read_bytes()
    path.write_bytes(gzip.compress(data, level) if level else data)
    np.testing.assert_array_equal(read_scan(path).volume.array, CT.array)
