"""One DICOM series in several folders is one scan; two that only share a UID stay two."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import write_series
from multi_frame_ct import write_object
from phantoms import affine, body
from test_dicom_identity import UID, tall
from test_read_scan import assert_same_place
from VertebraLabelingLib.batch.inputs import find_scans
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.scans.read_scan import read_scan, read_volume

PLACE = affine(spacing=(2.0, 2.0, 3.0))


@pytest.fixture
def ct() -> Volume:
    return body(ijk_to_ras=PLACE, balls=[(5.0, -12.0, 130.0)])


def spread(root, paths, folder_of):
    """Move the files of a series into folders by slice."""
    for k, path in enumerate(paths):
        folder = root / folder_of(k)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.move(path, folder / path.name)


SPREADS = {
    "odd and even": lambda k: f"part{k % 2}",
    "in thirds by turn": lambda k: f"part{k % 3}",
    "a part a folder": lambda k: f"{k // 8:05d}",
    "parts of different size": lambda k: ("a", "b", "c")[(k > 2) + (k > 20)],
    "a small part in the middle": lambda k: ("a", "c", "b")[(k > 9) + (k > 13)],
    "an image a folder": lambda k: f"IMG{k:03d}",
    "an image a folder, deep": lambda k: f"PAT/ST{k // 10}/SE{k % 4}/IMG{k:03d}",
    "some in the folder above": lambda k: "." if k % 2 else "more",
    "folders of two": lambda k: f"{(k * 7 % 24) // 2}",
}


@pytest.mark.parametrize("kind", SPREADS)
def test_a_series_in_several_folders_is_one_scan(ct, tmp_path, kind):
    root = tmp_path / "study"
    spread(root, write_series(tmp_path / "flat", ct), SPREADS[kind])
    (job,) = find_scans([root]).jobs
    scan = read_scan(job.path, job.series, job.folders)
    assert_same_place(scan.volume, ct)
    assert scan.notes == () and len(scan.dicom_files) == 24
    assert_same_place(read_volume(root), ct) if kind != "some in the folder above" else None


@pytest.mark.parametrize("kind", ["odd and even", "a part a folder", "an image a folder"])
@pytest.mark.parametrize("given", ["folders", "pattern", "list"])
def test_the_parts_may_be_named_one_by_one(ct, tmp_path, kind, given):
    root = tmp_path / "study"
    spread(root, write_series(tmp_path / "flat", ct), SPREADS[kind])
    parts = sorted(root.iterdir())
    (tmp_path / "list.txt").write_text("".join(f"{part}\n" for part in parts))
    arguments = {"folders": parts, "pattern": [root / "*"], "list": [f"@{tmp_path / 'list.txt'}"]}[given]
    inputs = find_scans(arguments)
    (job,) = inputs.jobs
    assert not inputs.problems and job.path == str(root)
    assert_same_place(read_volume_of(job), ct)


def test_other_series_beside_the_parts_are_scans_of_their_own(ct, tmp_path):
    root = tmp_path / "study"
    spread(root, write_series(tmp_path / "flat", ct), SPREADS["odd and even"])
    second, third = body(ijk_to_ras=PLACE, seed=5), body(ijk_to_ras=PLACE, seed=6)
    write_series(root / "part0", second, first_file=100, SeriesNumber=8)
    write_series(root / "other", third, SeriesNumber=3)
    jobs = find_scans([root]).jobs
    read = [read_volume_of(job) for job in jobs]
    assert len(jobs) == 3 and len({job.name for job in jobs}) == 3
    assert {volume.array.tobytes() for volume in read} == {each.array.tobytes() for each in (ct, second, third)}


def read_volume_of(job):
    return read_scan(job.path, job.series or None, job.folders).volume


@pytest.mark.parametrize("parts", [2, 3])
def test_a_concatenation_in_several_folders_is_one_scan(ct, tmp_path, parts):
    for part in range(parts):
        tags = {"ConcatenationUID": "1.9", "InConcatenationNumber": part + 1, "InConcatenationTotalNumber": parts}
        order = list(range(part, 24, parts))
        write_object(tmp_path / f"f{part}" / "a.dcm", ct, order, SeriesInstanceUID=UID, **tags)
    (job,) = find_scans([tmp_path]).jobs
    assert_same_place(read_volume_of(job), ct)


def test_parts_that_share_a_slice_are_one_scan(ct, tmp_path):
    paths = write_series(tmp_path / "flat", ct)
    for name, chosen in {"a": paths[:13], "b": paths[12:]}.items():
        (tmp_path / "study" / name).mkdir(parents=True)
        for path in chosen:
            shutil.copy(path, tmp_path / "study" / name)
    (job,) = find_scans([tmp_path / "study"]).jobs
    scan = read_scan(job.path, job.series, job.folders)
    assert_same_place(scan.volume, ct)
    assert scan.notes == ("1 image(s) were stored twice; the copies were left out.",)


@pytest.mark.parametrize("folders", [5, 12, 70])
def test_slices_dealt_out_at_random_are_one_scan(tmp_path, folders):
    high = body(shape=(100, 20, 20), ijk_to_ras=PLACE)
    dealt = np.random.default_rng(folders).integers(folders, size=100)
    spread(tmp_path / "study", write_series(tmp_path / "flat", high), lambda k: f"{dealt[k]}")
    (job,) = find_scans([tmp_path / "study"]).jobs
    assert_same_place(read_volume_of(job), high)


@pytest.mark.parametrize("shared", [6, 12, 20])
def test_parts_that_share_copies_are_one_scan(ct, tmp_path, shared):
    paths = write_series(tmp_path / "flat", ct)
    for name, chosen in {"a": paths[: 12 + shared // 2], "b": paths[12 - shared // 2 :]}.items():
        (tmp_path / "study" / name).mkdir(parents=True)
        for path in chosen:
            shutil.copy(path, tmp_path / "study" / name)
    (job,) = find_scans([tmp_path / "study"]).jobs
    scan = read_scan(job.path, job.series, job.folders)
    assert_same_place(scan.volume, ct)
    assert scan.notes == (f"{shared} image(s) were stored twice; the copies were left out.",)


APART = {
    "another patient at the same place": tall(PLACE),
    "another patient, between": tall(affine(spacing=(2.0, 2.0, 3.0), origin=(-40.0, -50.0, 101.1))),
    "another patient, far below": tall(affine(spacing=(2.0, 2.0, 3.0), origin=(-40.0, -50.0, 400.0))),
    "another patient, aside": tall(affine(spacing=(2.0, 2.0, 3.0), origin=(-20.0, -50.0, 101.5))),
    "another phase": body(ijk_to_ras=PLACE, seed=3),
    "a copy": body(ijk_to_ras=PLACE, balls=[(5.0, -12.0, 130.0)]),
    "other voxel sizes": tall(affine(spacing=(1.5, 1.5, 3.0), origin=(-40.0, -50.0, 101.5))),
}


@pytest.mark.parametrize("kind", APART)
def test_scans_that_only_share_their_identifiers_stay_apart(ct, tmp_path, kind):
    write_series(tmp_path / "a", ct, SeriesInstanceUID=UID)
    write_series(tmp_path / "b", APART[kind], SeriesInstanceUID=UID)
    jobs = find_scans([tmp_path]).jobs
    assert [job.path for job in jobs] == [str(tmp_path / "a"), str(tmp_path / "b")]
    assert not any(job.folders for job in jobs)
    for job, expected in zip(jobs, (ct, APART[kind])):
        assert_same_place(read_volume_of(job), expected)


def test_a_dicomdir_stands_for_its_folder(ct, tmp_path):
    spread(tmp_path, write_series(tmp_path / "flat", ct), lambda k: f"DICOM/S0/IM{k // 10}")
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(200))
    (tmp_path / "flat").rmdir()
    (job,) = find_scans([tmp_path / "DICOMDIR"]).jobs
    assert_same_place(read_volume_of(job), ct)
    assert_same_place(read_volume(tmp_path / "DICOMDIR"), ct)


@pytest.mark.parametrize(("series", "expected"), [("all", ["3", "3.2"]), ("3.2", ["3.2"]), (3, ["3"])])
def test_phases_of_one_file_can_be_chosen(ct, tmp_path, series, expected):
    late = body(ijk_to_ras=PLACE, seed=5)
    path = write_object(tmp_path / "ct.dcm", ct, [(k, v) for k in range(24) for v in (ct.array, late.array)])
    inputs = find_scans([path], series)
    assert [job.series for job in inputs.jobs] == expected and not inputs.problems
    assert len({job.name for job in inputs.jobs}) == len(expected)
    volumes = {"3": ct, "3.2": late}
    for job in inputs.jobs:
        assert_same_place(read_volume_of(job), volumes[job.series])


def test_a_dicomdir_under_another_name_is_no_lost_slice(ct, tmp_path):
    paths = write_series(tmp_path, ct)
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.MediaStorageDirectoryStorage
    meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = "1.2.3", pydicom.uid.ExplicitVRLittleEndian
    directory = pydicom.dataset.FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    directory.FileSetID = "CD"
    directory.save_as(tmp_path / "00000")
    scan = read_scan(tmp_path)
    assert scan.notes == () and len(scan.dicom_files) == len(paths)


def test_a_slice_that_may_not_be_read_is_told(ct, tmp_path, monkeypatch):
    paths = write_series(tmp_path / "a", ct)
    reading = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != paths[5] and reading(path, mode))
    inputs = find_scans([tmp_path / "a"])
    assert len(inputs.jobs) == 1 and any("IM0005" in skip.path + skip.reason for skip in inputs.skipped)
    assert any("IM0005: slices may be missing" in note for note in read_scan(tmp_path / "a").notes)


def test_every_file_that_is_no_scan_is_told(ct, tmp_path):
    paths = write_series(tmp_path / "a", ct)
    paths[3].write_bytes(paths[3].read_bytes()[:-2000])
    for path in write_series(tmp_path / "b", ct):
        path.write_bytes(path.read_bytes()[:600])
    inputs = find_scans([tmp_path])
    assert len(inputs.jobs) == 1
    assert [(skip.path, skip.reason) for skip in inputs.skipped] == [(str(paths[3]), "damaged")]
    (problem,) = inputs.problems
    assert problem.path == str(tmp_path / "b") and "holds 24 DICOM images that cannot be read" in problem.message


def test_a_tree_of_many_series_reads_each_header_once(tmp_path, monkeypatch):
    from VertebraLabelingLib.scans import dicom_frames

    small = body((4, 24, 20), PLACE)
    for n in range(6):
        spread(tmp_path / f"p{n}", write_series(tmp_path / f"flat{n}", small), SPREADS["odd and even"])
    count = []
    real = dicom_frames._read
    monkeypatch.setattr(dicom_frames, "_read", lambda path: count.append(path) or real(path))
    jobs = find_scans([tmp_path]).jobs
    assert len(jobs) == 6 and len(count) == len(set(count)) == 24
    assert all(np.array_equal(read_volume_of(job).array, small.array) for job in jobs)
    assert len(count) == 24


@pytest.mark.timing
def test_headers_are_listed_in_less_than_a_millisecond_and_a_half_each(tmp_path):
    paths = write_series(tmp_path / "a", body((100, 8, 8), PLACE))
    find_scans([tmp_path / "a" / "nothing"])  # imports
    for number in range(1, 4):
        write_series(tmp_path / "a", body((100, 8, 8), PLACE), first_file=1000 * number, SeriesNumber=number)
    started = time.process_time()
    assert len(find_scans([tmp_path], "all").jobs) == 4
    assert time.process_time() - started < 0.0015 * 4 * len(paths)
