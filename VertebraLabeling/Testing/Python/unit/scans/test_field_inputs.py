"""Kept inputs from the field, made from the sample CT: right within 3 mm, placed as pydicom reads, or refused."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
from multi_frame_ct import assert_as_pydicom_reads
from sample_edges import CUT, allowed_mm
from VertebraLabelingLib.batch.inputs import find_scans
from VertebraLabelingLib.core.volume import ijk_to_ras, ras_to_ijk
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.formats.mrk_json import read_points
from VertebraLabelingLib.pipeline.labeler import VertebraLabeler
from VertebraLabelingLib.scans.read_scan import read_scan

READ = {
    "01/icon": "",
    "02/orientation_1e-6": "",
    "03/sheared": "tilted by 15 degrees",
    "03/shuffled": "",
    "03/slope_per_frame": "",
    "05/pairs": "share their SOP instance UIDs",
    "06/acq_per_slice_one_twice": "1 image(s) were stored twice",
    "08/zero": "",
    "10/three_folders": "",
    "17/rows_in_earlier_sequence": "",
    "31/with_reports": "",
}
"""What is read, and a note that must be told."""

INTERPOLATED = {"03/fine_one_missing": 208, "14/one_slice_larger": 12}
"""Scans that lack one slice, and how many they have with it."""

TWO = ("03/interleaved", "12/two_patients_aligned")

REFUSED = {
    "04/ct_no_position": "no slice positions",
    "04/ct_thickness_only": "no slice positions",
    "13/bare_uid": "hole of 48 mm",
    "15/half_without_rescale": "68 of 136 images .* lack the rescale",
    "29/sc_fine.dcm": "secondary capture",
}

LABELED = ("03/sheared", "03/fine_one_missing", "10/three_folders")
"""Placed in three ways that once moved the points; one labeling takes seconds."""


@pytest.fixture(scope="module")
def inputs(shared_data, tmp_path_factory) -> Path:
    archive = shared_data / "field_inputs.tar.xz"
    if not archive.is_file():
        pytest.skip("needs field_inputs.tar.xz in the data folder: set VERTEBRA_LABELING_DATA")
    folder = tmp_path_factory.mktemp("field")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def labeler():
    return VertebraLabeler(device="cpu")


def read(path: Path, key: str = ""):
    """The way of the command line: found, then read."""
    jobs = find_scans([path]).jobs if not key else find_scans([path], "all").jobs
    job = next(job for job in jobs if key in ("", job.series))
    return read_scan(job.path, job.series or None, job.folders)


@pytest.mark.parametrize("name", READ)
def test_what_is_sound_is_placed_as_pydicom_reads_it(inputs, name):
    scan = read(inputs / name)
    if name != "05/pairs":
        assert len(scan.notes) == bool(READ[name])
    assert READ[name] in " ".join(scan.notes)
    assert_as_pydicom_reads(scan.volume, [Path(file) for file in scan.dicom_files])


@pytest.mark.parametrize("name", INTERPOLATED)
def test_a_missing_slice_is_interpolated_and_told(inputs, name):
    scan = read(inputs / name)
    assert len(scan.volume.array) == INTERPOLATED[name]
    assert "not evenly spaced" in scan.notes[0]
    assert_as_pydicom_reads(scan.volume, [Path(file) for file in scan.dicom_files])


@pytest.mark.parametrize("name", TWO)
def test_two_scans_under_one_uid_are_two(inputs, name):
    found = find_scans([inputs / name])
    assert "2 CT series" in found.problems[0].message and not found.jobs
    jobs = find_scans([inputs / name], "all").jobs
    assert len(jobs) == 2
    volumes = [read_scan(job.path, job.series).volume for job in jobs]
    assert [len(volume.array) for volume in volumes] == ([68, 68] if name == "03/interleaved" else [60, 60])
    np.testing.assert_allclose([volume.spacing[2] for volume in volumes], 5.0)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_right_is_refused_in_a_sentence(inputs, name):
    with pytest.raises(InputError, match=REFUSED[name]) as error:
        read_scan(inputs / name)
    assert str(error.value).endswith(".") and ": " in str(error.value)


def test_every_file_of_a_folder_with_reports_is_told(inputs):
    found = find_scans([inputs / "31" / "with_reports"])
    assert len(found.jobs) == 1 and not found.problems
    assert sorted(skip.reason for skip in found.skipped) == ["a structured report", "localizer"]


@pytest.fixture(scope="module")
def truth(inputs):
    """Level -> voxel (i, j, k) and place in the scan that the inputs were made of."""
    volume = read(inputs / "03" / "shuffled").volume
    points = read_points(inputs / "reference.mrk.json")
    return {point.level: (ras_to_ijk(volume, [point.ras])[0], point.ras) for point in points}


@pytest.mark.parametrize("name", LABELED)
def test_points_are_right(inputs, labeler, truth, name):
    volume = read(inputs / name).volume
    labels = labeler.label(volume)
    assert len(labels.points) >= 8
    assert {point.level for point in labels.points} <= truth.keys() | CUT
    for point in labels.points:
        if point.level not in truth:
            continue
        voxel, place = truth[point.level]
        if name == "03/sheared":  # the same voxels, each slice moved
            place = ijk_to_ras(volume, [voxel])[0]
        assert np.linalg.norm(np.subtract(point.ras, place)) < allowed_mm(point.level)


def test_points_of_a_phase_are_right(inputs, labeler, truth):
    labels = labeler.label(read(inputs / "03" / "interleaved", "3.2").volume)
    off = {
        point.level: float(np.linalg.norm(np.subtract(point.ras, truth[point.level][1])))
        for point in labels.points
        if point.level in truth
    }
    assert {point.level for point in labels.points} <= off.keys() | CUT
    assert len(off) >= 8 and all(mm < allowed_mm(level) for level, mm in off.items())
