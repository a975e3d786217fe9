"""Headers as scanners, archives and converters write them: sound scans are found and placed, whatever stands beside."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from dicom_files import write_report, write_series
from multi_frame_ct import assert_as_pydicom_reads
from phantoms import affine, body
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless
from test_read_scan import assert_same_place
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.scans import dicom_elements
from VertebraLabelingLib.scans.dicom_headers import looks_like_dicom
from VertebraLabelingLib.scans.read_scan import read_scan, read_volume


@pytest.fixture
def ct() -> Volume:
    return body(ijk_to_ras=affine(spacing=(1.9, 2.1, 3.2)), balls=[(5.0, -12.0, 130.0)])


def altered(folder, ct, change, only=None):
    """The phantom as a series, each of its data sets (or some) changed."""
    paths = write_series(folder, ct)
    for k, path in enumerate(paths):
        if only is None or k in only:
            dataset = pydicom.dcmread(path)
            change(dataset, k)
            dataset.save_as(path)
    return paths


def assert_sound(folder, ct, paths=None, notes=()):
    scan = read_scan(folder)
    assert_same_place(scan.volume, ct)
    assert_as_pydicom_reads(scan.volume, paths or sorted(folder.iterdir()))
    assert scan.notes == notes


def image_item(rows=4, pixels=True) -> Dataset:
    item = Dataset()
    item.Rows = item.Columns = rows
    item.SamplesPerPixel, item.BitsAllocated, item.BitsStored, item.HighBit = 1, 8, 8, 7
    item.PixelRepresentation, item.PhotometricInterpretation = 0, "MONOCHROME2"
    item.ImagePositionPatient, item.PixelSpacing = [9, 9, 9], [5, 5]
    if pixels:
        item.PixelData = bytes(rows * rows)
        item["PixelData"].VR = "OB"
    return item


def put_sequence(keyword, endless=False, depth=1, pixels=True):
    def change(dataset, k):
        item = image_item(pixels=pixels)
        for _ in range(depth - 1):
            outer = Dataset()
            outer.ReferencedImageSequence = [item]
            item = outer
        setattr(dataset, keyword, [item])
        dataset[keyword].is_undefined_length = item.is_undefined_length_sequence_item = endless

    return change


def put_private_blob(dataset, k):
    block = dataset.private_block(0x0009, "SCANNER", create=True)
    block.add_new(1, "OB", bytes(70_000))


def pad(count, byte=b"\0"):
    return lambda dataset, k: setattr(dataset, "PixelData", dataset.PixelData + byte * count)


def set_values(**values):
    return lambda dataset, k: [setattr(dataset, name, value) for name, value in values.items()]


def shown_with_air_white(only=1):
    def change(dataset, k):
        if k % only == 0:
            dataset.PhotometricInterpretation = "MONOCHROME1"

    return change


SOUND = {
    "shown with air white": shown_with_air_white(),
    "some shown with air white": shown_with_air_white(only=3),
    "icon": put_sequence("IconImageSequence"),
    "icon of undefined length": put_sequence("IconImageSequence", endless=True),
    "rows in an earlier sequence": put_sequence("ReferencedImageSequence", pixels=False),
    "rows and pixels deep in a sequence": put_sequence("ReferencedStudySequence", depth=5),
    "the same of undefined length": put_sequence("ReferencedStudySequence", depth=3, endless=True),
    "a header of 70 kB": put_private_blob,
    "padded by a byte": pad(1, b"\7"),
    "padded by 1 kB": pad(1024),
    "padded by 8 kB": pad(8192),
    "spacing between slices 0": set_values(SpacingBetweenSlices="0"),
    "spacing between slices 0.0": set_values(SpacingBetweenSlices="0.0"),
    "spacing between slices negative": set_values(SpacingBetweenSlices="-3.2"),
    "spacing between slices wrong": set_values(SpacingBetweenSlices="1"),
    "thickness 0": set_values(SliceThickness="0"),
    "trailing padding": set_values(DataSetTrailingPadding=bytes(512)),
}


@pytest.mark.parametrize("kind", SOUND)
def test_a_sound_scan_is_read_whatever_its_headers_hold(ct, tmp_path, kind):
    altered(tmp_path, ct, SOUND[kind])
    assert_sound(tmp_path, ct)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("kind", ["icon of undefined length", "rows and pixels deep in a sequence", "padded by 1 kB"])
def test_other_encodings_are_read_the_same(ct, tmp_path, kind, syntax):
    def change(dataset, k):
        SOUND[kind](dataset, k)
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset["PixelData"].VR = "OW"

    paths = write_series(tmp_path, ct)
    for k, path in enumerate(paths):
        dataset = pydicom.dcmread(path)
        change(dataset, k)
        dataset.save_as(path, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    assert_sound(tmp_path, ct)


@pytest.mark.parametrize("spacing", [None, "0", "-3.2"])
def test_compressed_slices_are_read_the_same(ct, tmp_path, spacing):
    altered(tmp_path, ct, lambda dataset, k: dataset.compress(RLELossless) if spacing or k % 2 else None)
    for path in tmp_path.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.SpacingBetweenSlices = spacing
        dataset.save_as(path)
    assert_sound(tmp_path, ct)


@pytest.mark.parametrize("byte", [b"\x20", b"\xff"])
def test_more_voxels_than_the_header_says_are_refused(ct, tmp_path, byte):
    altered(tmp_path, ct, pad(1024, byte))
    with pytest.raises(InputError, match="no CT series"):
        read_volume(tmp_path)


def test_a_deflated_file_that_holds_too_much_is_damaged(ct, tmp_path, monkeypatch):
    def change(dataset, k):
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian

    altered(tmp_path, ct, change)
    monkeypatch.setattr(dicom_elements, "MOST_INFLATED", 2000)
    with pytest.raises(InputError, match="holds no CT series"):
        read_volume(tmp_path)


NAMES = {
    "UID": lambda k: f"1.2.826.0.1.3680043.8.498.{k + 17}590234",
    "numbered": lambda k: f"image.{k:03d}",
    "of a scanner": lambda k: f"CT.{k}.img",
    "suffix": lambda k: f"{k}.v2",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("meta", [True, False], ids=["with meta header", "data set only"])
def test_files_without_a_preamble_are_found_by_what_they_hold(ct, tmp_path, name, meta):
    paths = []
    for k, path in enumerate(write_series(tmp_path / "sound", ct)):
        data = path.read_bytes()[132:]
        if not meta:
            data = data[12 + int.from_bytes(data[8:12], "little") :]
        bare = tmp_path / "bare" / NAMES[name](k)
        bare.parent.mkdir(exist_ok=True)
        bare.write_bytes(data)
        assert looks_like_dicom(bare)
        paths.append(path)
    assert_sound(tmp_path / "bare", ct, paths)


@pytest.mark.parametrize("data", [b"", b"hello " * 50, b"\x08\0" + b"\xff" * 200, bytes(300), b"\x02\0\0\0" * 60])
def test_other_files_are_no_dicom_or_hold_no_image(tmp_path, ct, data):
    paths = write_series(tmp_path, ct)
    (tmp_path / "1.2.3").write_bytes(data)
    (tmp_path / "readme").write_bytes(data)
    assert_sound(tmp_path, ct, paths)


TOLERATED = {
    "orientation by 1e-6": ("ImageOrientationPatient", 1e-6),
    "orientation by 1e-4": ("ImageOrientationPatient", 1e-4),
    "orientation by 8e-4": ("ImageOrientationPatient", 8e-4),
    "spacing by 1e-6": ("PixelSpacing", 1e-6),
    "spacing by 5e-5": ("PixelSpacing", 5e-5),
    "spacing by 8e-4": ("PixelSpacing", 8e-4),
    "position by 1e-3": ("ImagePositionPatient", 1e-3),
    "position by 1e-2": ("ImagePositionPatient", 1e-2),
}


@pytest.mark.parametrize("pattern", ["alternating", "at random", "in one half"])
@pytest.mark.parametrize("kind", TOLERATED)
def test_values_that_differ_from_slice_to_slice_by_rounding_are_one_series(tmp_path, kind, pattern):
    keyword, size = TOLERATED[kind]
    ct = body(shape=(20, 128, 128), ijk_to_ras=affine(spacing=(3.9, 3.9, 3.0)))  # a field of 500 mm
    random = np.random.default_rng(0)

    def change(dataset, k):
        values = np.array(dataset[keyword].value, float)
        signs = {"alternating": k % 2, "at random": random.uniform(-1, 1, len(values)), "in one half": k // 10}[pattern]
        setattr(dataset, keyword, [f"{value:.10g}"[:16] for value in values + size * signs])

    altered(tmp_path, ct, change)
    scan = read_scan(tmp_path)
    assert scan.volume.array.shape == ct.array.shape and scan.notes == ()
    np.testing.assert_array_equal(scan.volume.array[:, ::-1], ct.array[:, ::-1])
    assert np.abs(scan.volume.corners - ct.corners).max() < 1.0


def test_planes_of_different_directions_are_not_one_series(ct, tmp_path):
    def change(dataset, k):
        angle = np.radians(2.0 * (k % 2))
        dataset.ImageOrientationPatient = ["1", "0", "0", "0", f"{np.cos(angle):.8f}", f"{np.sin(angle):.8f}"]

    altered(tmp_path, ct, change)
    with pytest.raises(InputError, match="holds 2 CT series"):
        read_volume(tmp_path)


RESCALED = {
    "none of half": lambda dataset, k: k % 2 and drop(dataset, "RescaleSlope", "RescaleIntercept"),
    "none of the lower half": lambda dataset, k: k < 12 and drop(dataset, "RescaleSlope", "RescaleIntercept"),
    "none of one": lambda dataset, k: k == 5 and drop(dataset, "RescaleSlope", "RescaleIntercept"),
    "another intercept in half": lambda dataset, k: setattr(dataset, "RescaleIntercept", ("-1024", "0")[k % 2]),
    "another intercept below": lambda dataset, k: setattr(dataset, "RescaleIntercept", ("-1024", "0")[k // 12]),
    "no intercept above": lambda dataset, k: k > 15 and drop(dataset, "RescaleIntercept"),
}


def drop(dataset, *keywords):
    for keyword in keywords:
        delattr(dataset, keyword)


@pytest.mark.parametrize("kind", RESCALED)
def test_a_rescale_that_only_some_images_have_is_refused(ct, tmp_path, kind):
    altered(tmp_path, ct, RESCALED[kind])
    with pytest.raises(InputError, match=r"lack the rescale|leap where the rescale"):
        read_volume(tmp_path)


def test_a_rescale_by_slice_is_applied(ct, tmp_path):
    def change(dataset, k):
        slope = (1.0, 2.0, 0.5)[k % 3]
        values = np.frombuffer(dataset.PixelData, "<u2")
        dataset.RescaleSlope = str(slope)
        dataset.PixelData = np.round(values / slope).astype("<u2").tobytes()

    paths = altered(tmp_path, ct, change)
    assert_as_pydicom_reads(read_volume(tmp_path), paths)


def test_a_rescale_of_nothing_is_as_good_as_none(tmp_path, ct):
    def change(dataset, k):
        dataset.PixelRepresentation = 1
        dataset.BitsStored, dataset.HighBit = 16, 15
        dataset.PixelData = (np.frombuffer(dataset.PixelData, "<u2").astype(int) - 1024).astype("<i2").tobytes()
        dataset.RescaleIntercept = "0"
        if k % 2:
            drop(dataset, "RescaleIntercept", "RescaleSlope")

    altered(tmp_path, ct, change)
    assert_sound(tmp_path, ct)


def larger(dataset, k):
    values = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
    dataset.Rows, dataset.Columns = 2 * dataset.Rows, 2 * dataset.Columns
    dataset.PixelData = values.repeat(2, 0).repeat(2, 1).tobytes()


ODD_ONES = {
    "another matrix": larger,
    "a scout": set_values(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    "a dose report as picture": set_values(SOPClassUID="1.2.840.10008.5.1.4.1.1.7", ImageType=["DERIVED"]),
    "another direction": set_values(ImageOrientationPatient=["1", "0", "0", "0", "0", "-1"]),
    "no position": lambda dataset, k: drop(dataset, "ImagePositionPatient"),
    "spacing of zero": set_values(PixelSpacing=["0", "0"]),
}


LEFT_OUT = ("no position", "spacing of zero")
"""Those that may be a slice of the scan: where an end of it is missing, nothing else would say so."""


@pytest.mark.parametrize("kind", ODD_ONES)
@pytest.mark.parametrize("place", [23, 11])
def test_an_image_of_another_kind_costs_only_itself(ct, tmp_path, kind, place):
    paths = altered(tmp_path, ct, ODD_ONES[kind], only={place})
    scan = read_scan(tmp_path)
    assert_as_pydicom_reads(scan.volume, [path for k, path in enumerate(paths) if k != place])
    assert len(scan.volume.array) == (23 if place == 23 else 24)
    hole = ["not evenly spaced" in note for note in scan.notes if "left out" not in note]
    assert hole == ([] if place == 23 else [True])
    assert any("1 image(s) have" in note for note in scan.notes) == (kind in LEFT_OUT)


@pytest.mark.parametrize("uid", ["481.2", "481.3", "481.5", "88.22"], ids=["dose", "structures", "plan", "report"])
def test_objects_that_are_no_images_are_no_lost_slices(ct, tmp_path, uid):
    paths = write_series(tmp_path, ct)
    write_report(tmp_path / "other.dcm")
    other = pydicom.dcmread(tmp_path / "other.dcm")
    other.SOPClassUID = other.file_meta.MediaStorageSOPClassUID = f"1.2.840.10008.5.1.4.1.1.{uid}"
    other.SeriesInstanceUID = pydicom.dcmread(paths[0]).SeriesInstanceUID
    other.save_as(tmp_path / "other.dcm")
    assert_sound(tmp_path, ct, paths)


def test_without_pydicom_one_sentence_says_what_to_install(ct, tmp_path, monkeypatch):
    write_series(tmp_path, ct)
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(InputError, match="pip install pydicom"):
        read_volume(tmp_path)
