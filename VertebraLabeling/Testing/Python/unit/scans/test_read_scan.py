"""Reading volumes: every format gives the same voxels at the same place; every bad file gives one sentence."""

from __future__ import annotations

import gzip
import locale
import struct

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import write_report, write_series
from phantoms import affine, body
from VertebraLabelingLib.core.volume import Volume, ijk_to_ras, to_canonical
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk
from VertebraLabelingLib.scans.read_scan import read_scan, read_volume
from VertebraLabelingLib.system.decimal_point import decimal_point

TURN = np.array([[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]])
BALL = (5.0, -12.0, 130.0)


@pytest.fixture
def ct() -> Volume:
    return body(ijk_to_ras=affine(spacing=(1.9, 2.1, 3.2), axes=TURN), balls=[BALL])


def assert_same_place(read: Volume, expected: Volume, atol=1e-3):
    """Same voxel values at the same world positions, whatever the order of the axes."""
    read, expected = to_canonical(read), to_canonical(expected)
    assert read.array.shape == expected.array.shape
    np.testing.assert_allclose(read.ijk_to_ras, expected.ijk_to_ras, atol=atol)
    np.testing.assert_array_equal(read.array, expected.array)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".NII.GZ"])
def test_every_file_format_gives_the_same_volume(ct, tmp_path, suffix):
    path = tmp_path / f"ct{suffix}"
    with decimal_point():  # or NRRD files have commas in their numbers
        sitk.WriteImage(to_sitk(ct), str(tmp_path / f"ct{suffix.lower()}"))
    (tmp_path / f"ct{suffix.lower()}").rename(path)
    assert_same_place(read_volume(path), ct)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"])
def test_a_decimal_comma_in_the_locale_moves_nothing(ct, tmp_path, decimal_comma, suffix):
    with decimal_point():
        sitk.WriteImage(to_sitk(ct), str(tmp_path / f"ct{suffix}"))
    assert_same_place(read_volume(tmp_path / f"ct{suffix}"), ct)
    assert locale.setlocale(locale.LC_NUMERIC) == decimal_comma, "the program's own locale is back"


def test_a_decimal_comma_is_back_when_a_file_cannot_be_read(tmp_path, decimal_comma):
    (tmp_path / "bad.nrrd").write_bytes(b"NRRD0005\ntype: short\n")
    with pytest.raises(InputError):
        read_volume(tmp_path / "bad.nrrd")
    assert locale.setlocale(locale.LC_NUMERIC) == decimal_comma


def test_a_dicom_folder_gives_the_same_volume(ct, tmp_path):
    write_series(tmp_path, ct)
    scan = read_scan(tmp_path)
    assert_same_place(scan.volume, ct)
    assert len(scan.dicom_files) == ct.array.shape[0]
    assert scan.notes == ()


def test_dicom_slices_are_ordered_by_position_not_by_name_or_instance_number(ct, tmp_path):
    write_series(tmp_path, ct, InstanceNumber=lambda k: (k * 7) % 24, AcquisitionNumber=lambda k: k % 3)
    for number, path in enumerate(sorted(tmp_path.iterdir(), reverse=True)):
        path.rename(tmp_path / f"scan{number:03d}.dcm")
    assert_same_place(read_volume(tmp_path), ct)


def test_sheared_axes_of_a_nifti_are_kept(tmp_path):
    sheared = np.array([[2.0, 0, 0, -30], [0, 2.0, 1.0, -40], [0, 0, 3.0, 100], [0, 0, 0, 1]])
    path = tmp_path / "tilted.nii"
    write_nifti_with_sform(path, body(), sheared)
    np.testing.assert_allclose(read_volume(path).ijk_to_ras, sheared, atol=1e-4)


def test_a_tilted_gantry_puts_points_where_they_are(tmp_path):
    tilted = affine(spacing=(2.0, 2.0, 3.0))
    tilted[1, 2] = 0.9  # each slice lies 0.9 mm further to the front: 17 degrees
    ct = body(ijk_to_ras=tilted, balls=[BALL])
    write_series(tmp_path, ct)
    scan = read_scan(tmp_path)
    np.testing.assert_allclose(scan.volume.ijk_to_ras, tilted, atol=1e-6)
    brightest = np.argwhere(scan.volume.array > 1000).mean(axis=0)[::-1]
    np.testing.assert_allclose(ijk_to_ras(scan.volume, brightest), [BALL], atol=1.0)
    assert any("tilted by 17 degrees" in note for note in scan.notes)


@pytest.mark.parametrize("degrees", [45, 80, -60])
def test_slices_shifted_as_no_gantry_does_are_refused(tmp_path, degrees):
    sheared = affine(spacing=(2.0, 2.0, 3.0))
    sheared[1, 2] = 3.0 * np.tan(np.radians(degrees))
    write_series(tmp_path, body(ijk_to_ras=sheared))
    with pytest.raises(InputError, match="shifted along themselves"):
        read_volume(tmp_path)


def test_missing_slices_are_interpolated_and_reported(tmp_path):
    ct = body(balls=[BALL])
    write_series(tmp_path, ct, leave_out=(11, 12))
    scan = read_scan(tmp_path)
    assert scan.volume.array.shape == ct.array.shape
    np.testing.assert_allclose(scan.volume.ijk_to_ras, ct.ijk_to_ras, atol=1e-4)
    np.testing.assert_array_equal(scan.volume.array[13:], ct.array[13:])
    assert any("not evenly spaced (3.0 to 9.0 mm" in note for note in scan.notes)


def test_a_hole_that_can_hide_a_vertebra_is_refused(tmp_path):
    write_series(tmp_path, body(), leave_out=range(8, 15))
    with pytest.raises(InputError, match="hole of 24 mm"):
        read_volume(tmp_path)


def test_a_truncated_slice_counts_as_missing(tmp_path):
    files = write_series(tmp_path, body())
    files[5].write_bytes(files[5].read_bytes()[:-2000])
    scan = read_scan(tmp_path)
    assert scan.volume.array.shape[0] == 24
    assert any("IM0005" in note for note in scan.notes)
    assert any("interpolated" in note for note in scan.notes)


def test_several_series_are_listed_and_one_can_be_chosen(tmp_path):
    first, second = body(seed=1), body(shape=(12, 48, 40), seed=2)
    write_series(tmp_path, first, SeriesNumber=2)
    write_series(tmp_path, second, SeriesNumber=5, SeriesDescription="Spine <b>2</b>", first_file=100)
    with pytest.raises(InputError) as error:
        read_volume(tmp_path)
    assert "--series" in str(error.value)
    assert '2 "Thorax 2.0" (24 images); 5 "Spine <b>2</b>" (12 images)' in str(error.value)
    assert_same_place(read_volume(tmp_path, series=5), second)
    assert_same_place(read_volume(tmp_path, series="2"), first)
    with pytest.raises(InputError, match="has no series 9"):
        read_volume(tmp_path, series=9)


def test_two_phases_under_one_series_number_are_two_series(tmp_path):
    early, late = body(seed=1), body(seed=2)
    uid = "1.2.3.4"
    write_series(tmp_path, early, SeriesInstanceUID=uid)
    write_series(tmp_path, late, SeriesInstanceUID=uid, first_file=100, InstanceNumber=lambda k: 101 + k)
    with pytest.raises(InputError, match="holds 2 CT series"):
        read_volume(tmp_path)
    assert_same_place(read_volume(tmp_path, series="3"), early)
    assert_same_place(read_volume(tmp_path, series="3.2"), late)


def test_two_images_taken_twice_do_not_make_a_second_series(tmp_path):
    write_series(tmp_path, body(), SeriesInstanceUID="1.2.3.4")
    write_series(tmp_path, body(seed=2), SeriesInstanceUID="1.2.3.4", first_file=100, leave_out=range(2, 24))
    assert read_volume(tmp_path).array.shape[0] == 24


def test_copies_of_the_same_images_are_read_once(tmp_path):
    for path in write_series(tmp_path, body()):
        path.with_name(path.name + "_copy").write_bytes(path.read_bytes())
    assert read_volume(tmp_path).array.shape[0] == 24


SKIPPED = {
    "modality MR": {"Modality": "MR"},
    "localizer": {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
    "secondary capture": {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
    "modality RTDOSE": {"Modality": "RTDOSE"},
    "no slice positions": {"ImagePositionPatient": None},
}


@pytest.mark.parametrize("reason", SKIPPED)
def test_what_is_no_ct_volume_is_skipped_with_a_reason(tmp_path, reason):
    write_series(tmp_path, body(shape=(3, 48, 40)), **SKIPPED[reason])
    with pytest.raises(InputError, match=f"holds no CT series.*{reason}"):
        read_volume(tmp_path)
    write_series(tmp_path, body(), first_file=100, SeriesNumber=7)
    assert read_volume(tmp_path).array.shape[0] == 24


def test_header_text_reaches_the_user_as_one_printable_line(tmp_path):
    write_series(tmp_path, body(), SeriesDescription="Überblick\x07\x1b[31m rot")
    write_series(tmp_path, body(), first_file=100, SeriesNumber=4)
    with pytest.raises(InputError) as error:
        read_volume(tmp_path)
    assert "Überblick" in str(error.value)
    assert str(error.value).isprintable()


def write_nifti_with_sform(path, volume, sform):
    sitk.WriteImage(to_sitk(volume), str(path))
    data = bytearray(path.read_bytes())
    struct.pack_into("<2h", data, 252, 0, 1)  # qform_code, sform_code
    struct.pack_into("<12f", data, 280, *np.asarray(sform)[:3].ravel())
    path.write_bytes(data)


def write(folder, name, image):
    path = folder / name
    sitk.WriteImage(image, str(path))
    return path


def holding(path, data):
    path.write_bytes(data)
    return path


def cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def patched(path, offset, layout, *values):
    data = bytearray(path.read_bytes())
    struct.pack_into(layout, data, offset, *values)
    path.write_bytes(data)
    return path


def zeros_instead_of_the_end(path):
    """A gzip file whose data are damaged but whose length is right."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)
    path.write_bytes(data)
    return path


def shorter_inside(path):
    """A sound gzip file around a truncated NIfTI."""
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-5000]))
    return path


def image():
    return to_sitk(body())


def folder_of(folder, *writers):
    folder = folder / "dicom"
    folder.mkdir()
    for writer in writers:
        writer(folder)
    return folder


BAD_FILES = {
    "missing": (lambda d: d / "nothing.nii.gz", "does not exist"),
    "empty file": (lambda d: holding(d / "a.nii.gz", b""), "cannot be read"),
    "text": (lambda d: holding(d / "a.nii", b"hello"), "cannot be read"),
    "other type": (lambda d: write(d, "a.png", sitk.Image([8, 8], sitk.sitkUInt8)), "is none of .nii.gz"),
    "truncated nii.gz": (lambda d: cut(write(d, "a.nii.gz", image()), 0.6), "truncated"),
    "truncated nii": (lambda d: cut(write(d, "a.nii", image()), 0.6), "truncated"),
    "truncated mha": (lambda d: cut(write(d, "a.mha", image()), 0.6), "truncated"),
    "truncated nrrd": (lambda d: cut(write(d, "a.nrrd", image()), 0.6), "truncated"),
    "damaged nii.gz": (lambda d: zeros_instead_of_the_end(write(d, "a.nii.gz", image())), "damaged"),
    "short nii in sound gz": (lambda d: shorter_inside(write(d, "a.nii.gz", image())), "truncated"),
    "mhd without its raw": (
        lambda d: (write(d, "a.mhd", image()), (d / "a.raw").unlink())[0],
        "in a.raw, which is missing",
    ),
    "nhdr without its raw": (
        lambda d: (write(d, "a.nhdr", image()), (d / "a.raw").unlink())[0],
        "in a.raw, which is missing",
    ),
    "2-D": (lambda d: write(d, "a.mha", image()[:, :, 3]), "not a three-dimensional volume"),
    "one slice": (lambda d: write(d, "a.nii.gz", image()[:, :, 3:4]), "not a three-dimensional volume"),
    "4-D": (lambda d: write(d, "a.nii.gz", sitk.JoinSeries([image()] * 3)), "not a three-dimensional volume"),
    "RGB": (lambda d: write(d, "a.nrrd", sitk.Compose([sitk.Cast(image(), sitk.sitkUInt8)] * 3)), "color"),
    "complex": (lambda d: write(d, "a.mha", sitk.Cast(image(), sitk.sitkComplexFloat32)), "not CT values|color|read"),
    "absurd size": (lambda d: patched(write(d, "a.nii", image()), 42, "<3h", *[32767] * 3), "header is damaged"),
    "larger than held": (lambda d: patched(write(d, "a.nii", image()), 42, "<3h", 900, 900, 900), "truncated"),
    "negative size": (lambda d: patched(write(d, "a.nii", image()), 42, "<3h", 40, -48, 24), "voxels|read"),
    "singular affine": (lambda d: with_sform(d, np.zeros((3, 4))), "orientation matrix|cannot be inverted"),
    "flat affine": (lambda d: with_sform(d, [[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]), "matrix"),
    "NaN affine": (lambda d: with_sform(d, np.full((3, 4), np.nan)), "matrix"),
    "empty DICOM folder": (lambda d: folder_of(d), "holds no CT series"),
    "folder of text": (lambda d: folder_of(d, lambda f: (f / "a.txt").write_text("x")), "holds no CT series"),
    "DICOM report": (lambda d: folder_of(d, lambda f: write_report(f / "sr.dcm")), "holds no CT series"),
    "one DICOM slice": (lambda d: write_series(d / "s", body())[3], "give its folder"),
    "two series": (
        lambda d: folder_of(d, lambda f: write_series(f, body()), lambda f: write_series(f, body(), first_file=50)),
        "choose one with --series",
    ),
}


def with_sform(folder, rows):
    path = folder / "a.nii"
    write_nifti_with_sform(path, body(), np.vstack((rows, (0, 0, 0, 1))))
    return path


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_gives_one_sentence(tmp_path, case, capfd):
    make, expected = BAD_FILES[case]
    path = make(tmp_path)
    with pytest.raises(InputError, match=expected) as error:
        read_volume(path)
    message = str(error.value)
    assert "\n" not in message and message.endswith(".") and len(message) < 400
    assert capfd.readouterr().err == "", "a library wrote to the user's terminal"


def test_a_folder_without_permission_gives_one_sentence(tmp_path, monkeypatch):
    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        read_volume(tmp_path)


def test_a_nifti_with_a_scale_factor_is_read_in_its_units(tmp_path):
    path = write(tmp_path, "scaled.nii", image())
    patched(path, 112, "<2f", 2.0, -24.0)  # scl_slope, scl_inter
    np.testing.assert_allclose(read_volume(path).array, body().array * 2.0 - 24.0)
