"""What identifies a scan: the same for copies, another for whatever differs, and nothing of a patient in clear."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import write_series
from phantoms import body
from VertebraLabelingLib.core.scan_source import ScanSource
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk
from VertebraLabelingLib.scans.identify import identify


@pytest.mark.parametrize("change", ["a voxel at the end", "a slice in the middle", "the header", "the last voxel"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_changed_file_is_another_source(tmp_path, change, suffix):
    volume = body(shape=(40, 128, 128))
    array, matrix = volume.array.copy(), volume.ijk_to_ras.copy()
    if change == "the header":
        matrix[2, 3] += 1
    else:
        where = {"a voxel at the end": (-1, -1), "a slice in the middle": 20, "the last voxel": (-1, -1, -1)}[change]
        array[where] = 77
    paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
    sitk.WriteImage(to_sitk(volume), str(paths[0]))
    sitk.WriteImage(to_sitk(Volume(array, matrix)), str(paths[1]))
    assert identify(paths[0]) != identify(paths[1])
    assert identify(paths[0]) == identify(Path(shutil.copy(paths[0], tmp_path / f"copy{suffix}")))


@pytest.mark.parametrize("header", [".nhdr", ".mhd"])
def test_voxels_that_lie_beside_their_header_count(tmp_path, header):
    for name, seed in (("a", 0), ("b", 1)):
        (tmp_path / name).mkdir()
        sitk.WriteImage(to_sitk(body(seed=seed)), str(tmp_path / name / f"ct{header}"))
    (tmp_path / "b" / f"ct{header}").write_bytes((tmp_path / "a" / f"ct{header}").read_bytes())
    assert identify(tmp_path / "a" / f"ct{header}") != identify(tmp_path / "b" / f"ct{header}")


PATIENT = {"PatientName": "Mustermann^Erika", "PatientID": "INV-0007", "PatientBirthDate": "19500203"}


def series(folder: Path, seed=0, **tags) -> Path:
    write_series(folder, body(shape=(8, 48, 40), seed=seed), **{**PATIENT, "SeriesInstanceUID": "1.2.3", **tags})
    return folder


@pytest.fixture
def original(tmp_path) -> Path:
    return series(tmp_path / "original", SOPInstanceUID=lambda k: f"1.2.3.{k}")


def changed(original: Path, folder: Path, **tags) -> Path:
    """A copy with other header values under the same UIDs of its images."""
    folder.mkdir()
    for path in original.iterdir():
        dataset = pydicom.dcmread(path)
        for name, value in tags.items():
            setattr(dataset, name, value)
        dataset.save_as(folder / path.name)
    return folder


def test_a_copied_or_renamed_series_is_the_same(original, tmp_path):
    source = identify(original)
    copy = Path(shutil.copytree(original, tmp_path / "copy"))
    for number, path in enumerate(sorted(copy.iterdir(), reverse=True)):
        path.rename(copy / f"{number:03d}.dcm")
    assert identify(copy) == source == identify(original, "3")


@pytest.mark.parametrize(
    "tags",
    [
        {"PatientID": "INV-0008"},
        {"PatientName": "Mustermann^Max"},
        {"PatientBirthDate": "19500204"},
        {"StudyInstanceUID": "1.2.9"},
        {"SeriesInstanceUID": "1.2.3.9"},
        {"FrameOfReferenceUID": "1.2.3.8"},
    ],
    ids=str,
)
def test_another_patient_study_series_or_frame_is_another_source(original, tmp_path, tags):
    assert identify(changed(original, tmp_path / "other", **tags)) != identify(original)


def test_uids_that_an_anonymizer_repeats_do_not_make_two_scans_one(original, tmp_path):
    other = series(tmp_path / "other", seed=5, SOPInstanceUID=lambda k: f"1.2.3.{k}")
    assert identify(other).part("instances") == identify(original).part("instances")
    assert identify(other) != identify(original)


def test_a_series_with_an_image_more_or_less_is_another_source(original, tmp_path):
    fewer = Path(shutil.copytree(original, tmp_path / "fewer"))
    sorted(fewer.iterdir())[-1].unlink()
    assert identify(fewer) != identify(original)
    assert identify(fewer).same_series(identify(original))


def test_nothing_of_the_patient_is_kept_in_clear(original):
    told = json.dumps(identify(original).to_dict())
    assert not [value for value in ("Mustermann", "Erika", "INV", "0007", "19500203", "1950") if value in told]


def test_the_patient_cannot_be_followed_from_series_to_series(original, tmp_path):
    other = series(tmp_path / "other", SeriesInstanceUID="1.2.4")
    assert identify(other).part("patient") != identify(original).part("patient")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.pop("digest"),
        lambda data: data.update(series="1.2.4"),
        lambda data: data.update(kind="other"),
        lambda data: data.update(series=3),
        lambda data: data.update(more={}),
        lambda data: data.update({str(number): "" for number in range(40)}),
        lambda data: data.update(study="1" * 1000),
    ],
)
def test_a_damaged_source_is_none(original, damage):
    data = identify(original).to_dict()
    assert ScanSource.from_dict(data) == identify(original)
    damage(data)
    assert ScanSource.from_dict(data) is None


@pytest.mark.parametrize("data", [None, [], "x", 3, {"kind": "dicom"}], ids=str)
def test_what_is_no_source_is_none(data):
    assert ScanSource.from_dict(data) is None
