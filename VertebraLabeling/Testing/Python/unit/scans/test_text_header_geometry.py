"""NRRD and MetaImage: read where the header says, refused where it does not say it, or in another unit.

Each table holds variants of one kind; docs/robustness.md has a row for each test.
"""

from __future__ import annotations

import contextlib
import gzip
import zlib

import numpy as np
import pytest
import SimpleITK as sitk
from nifti_files import corners_apart, flipped, moved, tilted
from phantoms import affine, body
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.preprocessing.sitk_image import from_sitk, to_sitk
from VertebraLabelingLib.scans.read_scan import read_scan

OWN = affine(spacing=(1.9, 2.1, 3.2))
CT = body(ijk_to_ras=OWN, balls=[(5.0, -12.0, 130.0)])
OBLIQUE = moved(moved(OWN, turn_deg=20), turn_deg=-12, about="x")
SAGITTAL = np.array([[0.0, 0, 2.0, -40], [0, -2.0, 0, 50], [-3.0, 0, 0, 170], [0, 0, 0, 1]])
LETTERS = {"RAS": np.eye(4), "LAS": np.diag([-1.0, 1, 1, 1]), "LPS": np.diag([-1.0, -1, 1, 1])}
SPACES = {"right-anterior-superior": "RAS", "left-anterior-superior": "LAS", "left-posterior-superior": "LPS"}


def vector(numbers) -> str:
    return "(" + ",".join(f"{number:.9g}" for number in numbers) + ")"


def nrrd(path, place=OWN, space="left-posterior-superior", axes=None, packed=False, **fields):
    """The CT as an NRRD file; ``fields`` replace lines of the header, ``None`` leaves one out."""
    letters = SPACES.get(space, space.upper()[:3])
    there = LETTERS.get(letters, LETTERS["LPS"]) @ place
    lines = {
        "type": "short",
        "dimension": "3",
        "space": space,
        "sizes": " ".join(map(str, CT.array.shape[::-1])),
        "space directions": " ".join(map(vector, there[:3, :3].T)),
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "gzip" if packed else "raw",
        "space origin": vector(there[:3, 3]),
        **{name.replace("_", " "): value for name, value in fields.items()},
    }
    head = "".join(f"{name}: {value}\n" for name, value in lines.items() if value is not None)
    voxels = CT.array.astype("<i2").tobytes()
    voxels = gzip.compress(voxels) if packed else voxels
    path.write_bytes(f"NRRD0005\n{head}\n".encode() + (voxels if "data file" not in lines else b""))
    return path


def meta(path, place=OWN, packed=False, **fields):
    """The CT as a MetaImage file; ``fields`` replace lines of the header, ``None`` leaves one out."""
    there = LETTERS["LPS"] @ place
    spacing = np.linalg.norm(there[:3, :3], axis=0)
    voxels = CT.array.astype("<i2").tobytes()
    voxels = zlib.compress(voxels) if packed else voxels
    lines = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": str(packed),
        "CompressedDataSize": str(len(voxels)) if packed else None,
        "TransformMatrix": " ".join(f"{number:.9g}" for number in (there[:3, :3] / spacing).T.ravel()),
        "Offset": " ".join(f"{number:.9g}" for number in there[:3, 3]),
        "ElementSpacing": " ".join(f"{number:.9g}" for number in spacing),
        "DimSize": " ".join(map(str, CT.array.shape[::-1])),
        "ElementType": "MET_SHORT",
        **fields,
        "ElementDataFile": fields.get("ElementDataFile", "LOCAL"),
    }
    head = "".join(f"{name} = {value}\n" for name, value in lines.items() if value is not None)
    path.write_bytes(head.encode() + (voxels if "ElementDataFile" not in fields else b""))
    return path


def refused(path, words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        read_scan(path)
    assert str(error.value).endswith(".") and ": " in str(error.value) and "\n" not in str(error.value)


def assert_at(path, place) -> None:
    volume = read_scan(path).volume
    assert corners_apart(volume.ijk_to_ras, place, CT) < 0.01
    np.testing.assert_array_equal(volume.array, CT.array)


PLACES = {"axial": OWN, "oblique": OBLIQUE, "sagittal": SAGITTAL, "left to right": OWN @ np.diag([-1.0, 1, 1, 1])}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("space", [*SPACES, "RAS", "LAS", "LPS", "ras"])
def test_nrrd_is_read_in_each_space_of_a_patient(tmp_path, space, place, packed):
    assert_at(nrrd(tmp_path / "a.nrrd", PLACES[place], space, packed=packed), PLACES[place])


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_metaimage_is_read_where_its_matrix_says(tmp_path, place, packed):
    assert_at(meta(tmp_path / "a.mha", PLACES[place], packed=packed), PLACES[place])


@pytest.mark.parametrize("write", [nrrd, meta])
@pytest.mark.parametrize("degrees", [5, 17, 30])
def test_slices_of_a_tilted_gantry_are_kept(tmp_path, degrees, write):
    place = tilted(OWN, degrees)
    assert_at(write(tmp_path / ("a.nrrd" if write is nrrd else "a.mha"), place), place)


@pytest.mark.parametrize("write", [nrrd, meta])
@pytest.mark.parametrize("degrees", [-60, 45, 80])
def test_axes_far_from_right_angles_are_refused(tmp_path, degrees, write):
    path = write(tmp_path / ("a.nrrd" if write is nrrd else "a.mha"), tilted(OWN, degrees))
    refused(path, "far from right angles")


NO_SPACE = {
    "only a dimension": {"space": None, "space dimension": "3"},
    "neither": {"space": None},
    "of the scanner": {"space": "scanner-xyz"},
    "right-handed": {"space": "3D-right-handed"},
    "left-handed": {"space": "3D-left-handed"},
    "unknown": {"space": "patient"},
}


@pytest.mark.parametrize("case", NO_SPACE)
def test_nrrd_without_a_space_of_a_patient_is_refused(tmp_path, case):
    fields = dict(NO_SPACE[case])
    path = nrrd(tmp_path / "a.nrrd", **{"space_dimension": fields.pop("space dimension", None)})
    text = path.read_bytes()
    line = b"" if fields["space"] is None else f"space: {fields['space']}\n".encode()
    path.write_bytes(text.replace(b"space: left-posterior-superior\n", line))
    refused(path, "does not say how its axes lie|cannot be read")


UNITS = {
    "cm": {"space_units": '"cm" "cm" "cm"'},
    "m": {"space_units": '"m" "m" "m"'},
    "micrometers": {"space_units": '"um" "um" "um"'},
    "without quotes": {"space_units": "cm cm cm"},
    "of one axis": {"space_units": '"mm" "mm" "cm"'},
    "pixels": {"space_units": '"px" "px" "px"'},
}


@pytest.mark.parametrize("case", UNITS)
def test_nrrd_in_another_unit_is_refused(tmp_path, case):
    refused(nrrd(tmp_path / "a.nrrd", **UNITS[case]), "another unit than millimeters")


@pytest.mark.parametrize(
    "units", ['"mm" "mm" "mm"', '"" "" ""', '"millimeter" "millimeter" "millimeter"', '"MM" "mm" "mm"']
)
def test_nrrd_in_millimeters_is_read(tmp_path, units):
    assert_at(nrrd(tmp_path / "a.nrrd", space_units=units), OWN)


@pytest.mark.parametrize("unit", ["cm", "um", "m", "inch"])
def test_metaimage_in_another_unit_is_refused(tmp_path, unit):
    refused(meta(tmp_path / "a.mha", DistanceUnits=unit), "another unit than millimeters")


@pytest.mark.parametrize("unit", ["mm", "?", "MM"])
def test_metaimage_in_millimeters_is_read(tmp_path, unit):
    assert_at(meta(tmp_path / "a.mha", DistanceUnits=unit), OWN)


DIRECTIONS = {
    "none for one axis": "none (0,2,0) (0,0,3)",
    "zero": "(0,0,0) (0,2,0) (0,0,3)",
    "NaN": "(nan,0,0) (0,2,0) (0,0,3)",
    "two axes the same": "(2,0,0) (2,0,0) (0,0,3)",
    "two numbers each": "(2,0) (0,2) (0,0)",
    "none at all": None,
    "decimal commas": "(2,5;0;0) (0;2,5;0) (0;0;2,5)",
}


@pytest.mark.parametrize("case", DIRECTIONS)
def test_nrrd_with_damaged_directions_is_refused(tmp_path, case):
    path = nrrd(tmp_path / "a.nrrd", space_directions=DIRECTIONS[case])
    refused(path, "does not say how its axes|cannot be read|cannot be inverted|orientation")


@pytest.mark.parametrize("spacing", [(1.9, 2.1, 3.2), (2.0, 2.0, 2.5), (0.7, 0.7, 2.5)])
def test_nrrd_written_by_a_program_with_decimal_commas_is_refused(tmp_path, decimal_comma, spacing):
    ct = Volume(CT.array, affine(spacing, (-40.5, -50.0, 100.25)))
    sitk.WriteImage(to_sitk(ct), str(tmp_path / "a.nrrd"))
    refused(tmp_path / "a.nrrd", "decimal commas")


@pytest.mark.parametrize("field", ["spacings", "axis_mins"])
@pytest.mark.parametrize("numbers", ["2 2 3", "-2 2 3", "0 0 0"])
def test_nrrd_with_sizes_instead_of_directions_is_refused(tmp_path, field, numbers):
    path = nrrd(tmp_path / "a.nrrd", space_directions=None, space_origin=None, **{field: numbers})
    refused(path, "does not say how its axes|cannot be read")


LINES = {
    "no spacing": ({"ElementSpacing": None}, "how large its voxels are"),
    "spacing 0": ({"ElementSpacing": "0 2 3"}, "without a size"),
    "spacing negative": ({"ElementSpacing": "1.9 -2.1 3.2"}, "without a size"),
    "spacing with commas": ({"ElementSpacing": "1,9 2,1 3,2"}, "damaged header"),
    "spacing of two axes": ({"ElementSpacing": "1.9 2.1"}, "damaged header"),
    "matrix of zeros": ({"TransformMatrix": "0 0 0 0 0 0 0 0 0"}, "damaged|cannot"),
    "matrix scaled": ({"TransformMatrix": "5 0 0 0 5 0 0 0 5"}, "damaged"),
    "no matrix and no letters": ({"TransformMatrix": None}, "does not say how its axes"),
    "no matrix, letters unknown": ({"TransformMatrix": None, "AnatomicalOrientation": "???"}, "does not say how its"),
    "no matrix, other letters": ({"TransformMatrix": None, "AnatomicalOrientation": "LAI"}, "two different things"),
    "letters mirrored": ({"AnatomicalOrientation": "LPI"}, "two different things"),
    "letters of other axes": ({"AnatomicalOrientation": "ASL"}, "two different things"),
    "two positions": ({"Position": "0 0 100"}, "two different things"),
    "two matrices": ({"Orientation": "0 1 0 1 0 0 0 0 1"}, "two different things"),
    "letters upside down": ({"AnatomicalOrientation": "RPS"}, "two different things"),
}


@pytest.mark.parametrize("case", LINES)
def test_metaimage_whose_geometry_is_missing_or_contradictory_is_refused(tmp_path, case):
    fields, words = LINES[case]
    refused(meta(tmp_path / "a.mha", flipped(flipped(OWN, 0), 1), **fields), words)


@pytest.mark.parametrize("letters", ["RAI", "LPS", "???", "", "rai"])
def test_metaimage_letters_that_agree_or_say_nothing_are_read(tmp_path, letters):
    place = flipped(flipped(OWN, 0), 1)  # the axes run to left, back and head
    assert_at(meta(tmp_path / "a.mha", place, AnatomicalOrientation=letters), place)


def test_the_letters_that_itk_gives_to_axes_aslant_to_all_sides_contradict_nothing(tmp_path):
    """Each axis here is nearest to a side that a nearer one has taken, or nearly so."""
    third, axes = 1 / 3, np.eye(3)
    axes[:] = [[-third, -2 * third, -2 * third], [-2 * third, -third, 2 * third], [-2 * third, 2 * third, -third]]
    for turn in np.random.default_rng(0).normal(scale=0.02, size=(40, 3)):
        nearly, _ = np.linalg.qr(axes @ (np.eye(3) + np.cross(np.eye(3), turn)))
        image = sitk.Image(3, 4, 5, sitk.sitkInt16)
        image.SetDirection((nearly * np.sign(np.sum(nearly * axes, axis=0))).ravel().tolist())
        sitk.WriteImage(image, str(tmp_path / "a.mha"))
        np.testing.assert_allclose(
            read_scan(tmp_path / "a.mha").volume.ijk_to_ras, from_sitk(image).ijk_to_ras, atol=1e-6
        )


@pytest.mark.parametrize("letters", ["RAI", "LPS"])
def test_metaimage_with_letters_only_is_read_where_they_are_those_of_no_matrix(tmp_path, letters):
    place = flipped(flipped(OWN, 0), 1)
    assert_at(meta(tmp_path / "a.mha", place, TransformMatrix=None, AnatomicalOrientation=letters), place)


LENGTHS = {
    "x too small": ("39 48 24", "more voxels"),
    "y too small": ("40 40 24", "more voxels"),
    "one slice left out": ("40 48 23", "more voxels"),
    "one slice too many": ("40 48 25", "truncated"),
    "half as long": ("40 48 12", "more voxels"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("write, field", [(nrrd, "sizes"), (meta, "DimSize")])
@pytest.mark.parametrize("case", LENGTHS)
def test_sizes_that_the_file_does_not_hold_are_refused(tmp_path, case, write, field, packed):
    size, words = LENGTHS[case]
    refused(write(tmp_path / ("a.nrrd" if write is nrrd else "a.mha"), packed=packed, **{field: size}), words)


DAMAGE = {
    "end cut off": lambda data: data[:-3000],
    "last bytes cut off": lambda data: data[:-2],
    "zeros in the middle": lambda data: data[:30000] + bytes(64) + data[30064:],
    "one bit": lambda data: data[:30000] + bytes([data[30000] ^ 1]) + data[30001:],
    "no length": lambda data: data.replace(b"CompressedDataSize", b"Comment"),
    "length too small": lambda data: data.replace(b"CompressedDataSize = ", b"CompressedDataSize = 1\nComment ="),
}


@pytest.mark.parametrize("write, case", [(nrrd, name) for name in [*DAMAGE][:4]] + [(meta, name) for name in DAMAGE])
def test_damaged_compressed_voxels_are_refused(tmp_path, write, case):
    path = write(tmp_path / ("a.nrrd" if write is nrrd else "a.mha"), packed=True)
    path.write_bytes(DAMAGE[case](path.read_bytes()))
    refused(path, "truncated|damaged|CompressedDataSize")


@pytest.mark.parametrize("name", ["a.raw", "Größe.raw", "a b.raw"])
@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_voxels_beside_the_header_are_read(tmp_path, suffix, name):
    (tmp_path / name).write_bytes(CT.array.astype("<i2").tobytes())
    path = tmp_path / f"a{suffix}"
    assert_at(meta(path, ElementDataFile=name) if suffix == ".mhd" else nrrd(path, data_file=name), OWN)


@pytest.mark.parametrize("name", ["a.raw", "sub/b.raw", "Größe.raw", "a b.raw.gz"])
@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_missing_voxels_of_a_header_file_are_named(tmp_path, suffix, name):
    if suffix == ".mhd":
        path = meta(tmp_path / "a.mhd", ElementDataFile=name)
    else:
        path = nrrd(tmp_path / "a.nhdr", data_file=name)
    refused(path, "which is missing: copy it beside the header")


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
def test_a_header_that_the_library_reads_with_commas_is_refused_or_right(tmp_path, monkeypatch, decimal_comma, suffix):
    """Another thread may set the locale while a file is read: then what was read is compared with the header."""
    monkeypatch.setattr("VertebraLabelingLib.scans.read_scan.decimal_point", contextlib.nullcontext)
    (tmp_path / "a.raw").write_bytes(CT.array.astype("<i2").tobytes())
    write, field = (meta, "ElementDataFile") if suffix.startswith(".m") else (nrrd, "data_file")
    path = write(tmp_path / f"a{suffix}", **({field: "a.raw"} if suffix[2] == "h" else {}))
    if write is nrrd:
        refused(path, "read elsewhere than its header says")
    else:
        assert_at(path, OWN)  # MetaIO reads with a point
