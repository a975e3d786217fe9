"""Whose images make a volume: identifiers that repeat or contradict each other, copies, phases, step-and-shoot."""

from __future__ import annotations

import shutil

import numpy as np
import pydicom
import pytest
from dicom_files import write_series
from multi_frame_ct import assert_as_pydicom_reads, write_object
from phantoms import affine, body
from pydicom.uid import generate_uid
from test_read_scan import assert_same_place
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.scans.dicom_series import find_series
from VertebraLabelingLib.scans.read_scan import read_scan, read_volume

UID = "1.2.3"
HALF = affine(spacing=(2.0, 2.0, 5.0))
OTHER_HALF = affine(spacing=(2.0, 2.0, 5.0), origin=(-40.0, -50.0, 102.5))
BELOW = affine(spacing=(2.0, 2.0, 5.0), origin=(-40.0, -50.0, 100.0 + 24 * 5.0))


@pytest.fixture
def ct() -> Volume:
    return body(ijk_to_ras=HALF, balls=[(5.0, -12.0, 130.0)])


def tall(ijk_to_ras, seed=1) -> Volume:
    """Another patient: elsewhere in the picture."""
    volume = body(ijk_to_ras=ijk_to_ras, seed=seed)
    return Volume(np.roll(volume.array, 15, axis=2), volume.ijk_to_ras)


def refused(folder, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_volume(folder)


PATIENTS = ("identifier and name", "identifier", "name", "birth date")
OWNERS = {
    "identifier and name": {"PatientID": "P2", "PatientName": "Other^Phantom"},
    "identifier": {"PatientID": "P2"},
    "name": {"PatientName": "Other^Phantom"},
    "birth date": {"PatientBirthDate": "19500102"},
    "study": {"StudyInstanceUID": "1.2.77"},
    "series number": {"SeriesNumber": 4},
    "frame of reference": {"FrameOfReferenceUID": "1.2.78"},
}


@pytest.mark.parametrize("place", [HALF, OTHER_HALF, BELOW], ids=["same place", "between", "below"])
@pytest.mark.parametrize("owner", OWNERS)
def test_two_scans_under_one_series_uid_are_two(ct, tmp_path, owner, place):
    other = tall(place)
    write_series(tmp_path, ct, SeriesInstanceUID=UID, PatientBirthDate="19490102")
    numbers = {"InstanceNumber": lambda k: 101 + k, "PatientBirthDate": "19490102"}
    write_series(tmp_path, other, first_file=100, SeriesInstanceUID=UID, **{**numbers, **OWNERS[owner]})
    refused(tmp_path, "holds 2 CT series")
    found = find_series(tmp_path)
    volumes = [read_volume(tmp_path, item.key) for item in found]
    for expected in (ct, other):
        same = [each for each in volumes if each.array.tobytes() == expected.array.tobytes()]
        assert_same_place(same[0], expected)
    word = (
        "several patients" if owner in ("identifier and name", "identifier", "name", "birth date") else "several scans"
    )
    assert all(word in " ".join(item.notes) for item in found)


def test_two_scans_that_nothing_tells_apart_are_refused_by_their_voxels(ct, tmp_path):
    write_series(tmp_path, ct, SeriesInstanceUID=UID)
    write_series(tmp_path, tall(OTHER_HALF), first_file=100, SeriesInstanceUID=UID)
    refused(tmp_path, "do not continue each other")


def test_an_identifier_that_some_images_lack_tells_nothing_apart(ct, tmp_path):
    for name, value in {
        "PatientID": "",
        "SeriesNumber": None,
        "FrameOfReferenceUID": "",
        "StudyInstanceUID": "",
    }.items():
        folder = tmp_path / name
        paths = write_series(folder, ct, SeriesInstanceUID=UID)
        for path in paths[::2]:
            dataset = pydicom.dcmread(path)
            setattr(dataset, name, value)
            dataset.save_as(path)
        scan = read_scan(folder)
        assert_same_place(scan.volume, ct)


@pytest.mark.parametrize("name", ["FrameOfReferenceUID", "SeriesNumber", "StudyInstanceUID"])
def test_an_identifier_that_is_another_in_every_image_is_told_and_left_aside(ct, tmp_path, name):
    values = {name: (lambda k: k + 1) if name == "SeriesNumber" else (lambda k: generate_uid())}
    write_series(tmp_path, ct, SeriesInstanceUID=UID, **values)
    scan = read_scan(tmp_path)
    assert_same_place(scan.volume, ct)
    assert any("positions decided" in note for note in scan.notes)


REPEATED = {
    "in pairs": lambda k: k // 2,
    "all": lambda k: 0,
    "one": lambda k: max(k, 1),
    "every third": lambda k: k % 8,
}


@pytest.mark.parametrize("kind", REPEATED)
def test_slices_whose_uids_repeat_are_all_kept(ct, tmp_path, kind):
    paths = write_series(tmp_path, ct, SOPInstanceUID=lambda k: f"1.2.5.{REPEATED[kind](k)}")
    scan = read_scan(tmp_path)
    assert_same_place(scan.volume, ct)
    assert_as_pydicom_reads(scan.volume, paths)
    assert any("share their SOP instance UIDs" in note for note in scan.notes)


@pytest.mark.parametrize("kind", ["the same UIDs", "other UIDs", "some of them"])
def test_copies_are_left_out_and_told(ct, tmp_path, kind):
    paths = write_series(tmp_path, ct)
    copied = paths[::3] if kind == "some of them" else paths
    for path in copied:
        copy = shutil.copy(path, path.with_name(f"{path.name}_copy"))
        if kind != "the same UIDs":
            dataset = pydicom.dcmread(copy)
            dataset.SOPInstanceUID = generate_uid()
            dataset.ContentDate = "20260101"
            dataset.save_as(copy)
    scan = read_scan(tmp_path)
    assert_same_place(scan.volume, ct)
    assert f"{len(copied)} image(s) were stored twice; the copies were left out." in scan.notes


def test_a_slice_of_the_same_place_and_uid_with_other_voxels_is_no_copy(ct, tmp_path):
    paths = write_series(tmp_path, ct)
    other = write_series(tmp_path / "other", body(ijk_to_ras=HALF, seed=9))
    for n in (4, 9):
        dataset = pydicom.dcmread(other[n])
        sound = pydicom.dcmread(paths[n])
        dataset.SOPInstanceUID, dataset.SeriesInstanceUID = sound.SOPInstanceUID, sound.SeriesInstanceUID
        dataset.save_as(tmp_path / f"X{n}")
    shutil.rmtree(tmp_path / "other")
    scan = read_scan(tmp_path)
    assert_same_place(scan.volume, ct)
    assert any(note.startswith("2 image(s) repeat a position with other voxels") for note in scan.notes)


STEPS = {
    "an acquisition a slice": 1,
    "an acquisition for four slices": 4,
    "an acquisition for half": 12,
}


@pytest.mark.parametrize("again", [None, "copy", "other voxels"])
@pytest.mark.parametrize("kind", STEPS)
def test_step_and_shoot_is_one_volume(ct, tmp_path, kind, again):
    numbers = {"AcquisitionNumber": lambda k: k // STEPS[kind] + 1}
    paths = write_series(tmp_path, ct, SeriesInstanceUID=UID, **numbers)
    if again:
        dataset = pydicom.dcmread(paths[7])
        dataset.AcquisitionNumber, dataset.InstanceNumber, dataset.SOPInstanceUID = 99, 99, generate_uid()
        if again == "other voxels":
            dataset.PixelData = pydicom.dcmread(paths[8]).PixelData
        dataset.save_as(tmp_path / "again")
    scan = read_scan(tmp_path)
    assert_same_place(scan.volume, ct)
    assert len(scan.notes) == (1 if again else 0)


@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize(
    "mark", ["AcquisitionNumber", "TemporalPositionIdentifier", "TriggerTime", "ConvolutionKernel", ""]
)
def test_phases_at_one_position_are_told_apart(ct, tmp_path, mark, count):
    phases = [body(ijk_to_ras=HALF, seed=seed) for seed in range(count)]
    for n, phase in enumerate(phases):
        tags = {mark: f"{n + 1}"} if mark else {}
        order = {"InstanceNumber": (lambda k: k + 1) if mark else (lambda k, n=n: 100 * n + k)}
        write_series(tmp_path, phase, first_file=1000 - 100 * n, SeriesInstanceUID=UID, **order, **tags)
    found = find_series(tmp_path)
    assert [len(item.slices) for item in found] == [24] * count
    assert {read_volume(tmp_path, item.key).array.tobytes() for item in found} == {p.array.tobytes() for p in phases}


def test_phases_of_a_cine_scan_whose_acquisitions_are_table_positions(ct, tmp_path):
    phases = [body(ijk_to_ras=HALF, seed=seed) for seed in range(4)]
    for n, phase in enumerate(phases):
        numbers = {"AcquisitionNumber": lambda k: k // 8 + 1}
        numbers["InstanceNumber"] = lambda k, n=n: 32 * (k // 8) + 4 * (k % 8) + n + 1
        write_series(tmp_path, phase, first_file=100 * n, SeriesInstanceUID=UID, **numbers)
    read = [read_volume(tmp_path, item.key) for item in find_series(tmp_path)]
    assert [volume.array.tobytes() for volume in read] == [phase.array.tobytes() for phase in phases]


def test_slices_beside_the_object_that_was_made_of_them_are_copies(ct, tmp_path):
    write_series(tmp_path, ct, SeriesInstanceUID=UID)
    write_object(tmp_path / "object.dcm", ct, SeriesInstanceUID=UID)
    scan = read_scan(tmp_path)
    assert_same_place(scan.volume, ct)
    assert scan.notes == ("24 image(s) were stored twice; the copies were left out.",)


@pytest.mark.parametrize("blank", [0, 3])
def test_images_that_all_lie_at_one_position_are_refused(ct, tmp_path, blank):
    ct.array[:blank] = -1000  # copies, by their voxels
    write_series(tmp_path, ct, ImagePositionPatient=["0", "0", "0"])
    refused(tmp_path, "all images at one position")


def test_phases_that_nothing_tells_apart_are_refused(ct, tmp_path):
    write_series(tmp_path, ct, SeriesInstanceUID=UID)
    write_series(tmp_path, body(ijk_to_ras=HALF, seed=7), first_file=100, SeriesInstanceUID=UID)
    with pytest.raises(InputError, match="nothing tells which belong together"):
        read_volume(tmp_path, "3")


MIXED = {
    "numbered in the other direction": (lambda k: 2 * k, lambda k: 2 * (24 - k) + 1),
    "numbered at random": (lambda k: 2 * (k * 7 % 24), lambda k: 2 * (k * 11 % 24) + 1),
    "a part, numbered before the whole": (lambda k: 100 + k, lambda k: k),
}


@pytest.mark.parametrize("kind", MIXED)
def test_no_volume_is_put_together_of_two_phases(ct, tmp_path, kind):
    first, second = MIXED[kind]
    write_series(tmp_path, ct, SeriesInstanceUID=UID, InstanceNumber=first)
    later, left = body(ijk_to_ras=HALF, seed=7), range(12) if "part" in kind else ()
    write_series(tmp_path, later, left, 100, SeriesInstanceUID=UID, InstanceNumber=second)
    for item in find_series(tmp_path):
        with pytest.raises(InputError, match="nothing tells which belong together"):
            read_volume(tmp_path, item.key)


def test_overlapping_phases_are_whole(ct, tmp_path):
    write_series(tmp_path, ct, range(18, 24), SeriesInstanceUID=UID)
    later = body(ijk_to_ras=HALF, seed=7)
    write_series(tmp_path, later, range(6), 100, SeriesInstanceUID=UID, InstanceNumber=lambda k: 100 + k)
    np.testing.assert_array_equal(read_volume(tmp_path, "3").array, ct.array[:18])
    np.testing.assert_array_equal(read_volume(tmp_path, "3.2").array, later.array[6:])


def test_two_acquisitions_between_each_other_are_two_series(ct, tmp_path):
    other = body(ijk_to_ras=affine(spacing=(2.0, 2.0, 5.0), origin=(-40.0, -50.0, 101.0)), seed=4)
    write_series(tmp_path, ct, SeriesInstanceUID=UID)
    write_series(tmp_path, other, first_file=100, SeriesInstanceUID=UID, AcquisitionNumber=2)
    assert_same_place(read_volume(tmp_path, "3"), ct)
    assert_same_place(read_volume(tmp_path, "3.2"), other)


def test_no_name_of_a_patient_is_kept_or_said(ct, tmp_path, caplog, capfd):
    write_series(tmp_path, ct, PatientName="Muster^Martha", PatientID="SECRET-7", PatientBirthDate="3.2.1950")
    caplog.set_level("DEBUG")
    caplog.clear()
    capfd.readouterr()
    (tmp_path / "cut").write_bytes((tmp_path / "IM0003").read_bytes()[:900])
    scan, series = read_scan(tmp_path), find_series(tmp_path)
    said = caplog.text + "".join(capfd.readouterr()) + repr(series) + repr(scan.notes)
    for word in ("Muster", "Martha", "SECRET", "3.2.1950"):
        assert word not in said
