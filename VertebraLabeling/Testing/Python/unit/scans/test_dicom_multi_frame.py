"""Multi-frame (enhanced) CT objects: each frame lies and reads as its own functional groups say."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from dicom_files import write_series
from multi_frame_ct import assert_as_pydicom_reads, write_object
from phantoms import affine, body
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, RLELossless
from test_read_scan import TURN, assert_same_place
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.scans.dicom_series import find_series
from VertebraLabelingLib.scans.read_scan import read_scan, read_volume

LEGACY_CONVERTED = "1.2.840.10008.5.1.4.1.1.2.2"


@pytest.fixture
def ct() -> Volume:
    return body(ijk_to_ras=affine(spacing=(1.9, 2.1, 3.2), axes=TURN), balls=[(5.0, -12.0, 130.0)])


def refused(path, words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        read_volume(path)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


ORDERS = {
    "in order": None,
    "feet first": range(23, -1, -1),
    "shuffled": np.random.default_rng(3).permutation(24).tolist(),
    "odd frames, then even ones": [*range(0, 24, 2), *range(1, 24, 2)],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("sop_class", ["", LEGACY_CONVERTED, CTImageStorage])
def test_frames_are_ordered_by_position(ct, tmp_path, order, sop_class):
    tags = {"SOPClassUID": sop_class} if sop_class else {}
    path = write_object(tmp_path / "ct.dcm", ct, ORDERS[order], **tags)
    for given in (path, tmp_path):
        scan = read_scan(given)
        assert_same_place(scan.volume, ct)
        assert_as_pydicom_reads(scan.volume, [path])
        assert scan.dicom_files == (str(path),) and scan.notes == ()


RESCALES = {
    "slope": lambda k: (1.0 + k % 2, -1024.0),
    "intercept": lambda k: (1.0, (-1024.0, -2000.0, -1500.0)[k % 3]),
    "both, with fractions": lambda k: (0.5 + 0.25 * (k % 4), -1024.0 - k),
    "of one frame": lambda k: (2.0 if k == 7 else 1.0, -1024.0),
    "the same, with a fraction": lambda k: (0.5, -1024.5),
}


@pytest.mark.parametrize("kind", RESCALES)
def test_each_frame_has_its_own_rescale(ct, tmp_path, kind):
    path = write_object(tmp_path / "ct.dcm", ct, ORDERS["shuffled"], rescale=RESCALES[kind])
    volume = read_volume(path)
    assert_as_pydicom_reads(volume, [path])
    np.testing.assert_allclose(volume.array, read_back(ct, RESCALES[kind]), atol=0.51)


def read_back(ct, rescale):
    pairs = [rescale(k) for k in range(len(ct.array))]
    return np.stack([np.round((ct.array[k] - b) / a) * a + b for k, (a, b) in enumerate(pairs)])


@pytest.mark.parametrize("degrees", [-25, 8, 20])
def test_a_tilted_gantry_is_taken_into_account(tmp_path, degrees):
    tilted = affine(spacing=(2.0, 2.0, 3.0))
    tilted[1, 2] = 3.0 * np.tan(np.radians(degrees))
    path = write_object(tmp_path / "ct.dcm", body(ijk_to_ras=tilted))
    scan = read_scan(path)
    np.testing.assert_allclose(scan.volume.ijk_to_ras, tilted, atol=1e-6)
    assert_as_pydicom_reads(scan.volume, [path])
    assert f"tilted by {abs(degrees)} degrees" in scan.notes[0]


@pytest.mark.parametrize("missing", [{11}, {4, 5}, {2, 9, 17}])
def test_missing_frames_are_interpolated_and_told(ct, tmp_path, missing):
    path = write_object(tmp_path / "ct.dcm", ct, [k for k in range(24) if k not in missing])
    scan = read_scan(path)
    assert scan.volume.array.shape == ct.array.shape
    np.testing.assert_allclose(scan.volume.ijk_to_ras, ct.ijk_to_ras, atol=1e-6)
    assert_as_pydicom_reads(scan.volume, [path])
    assert "not evenly spaced" in scan.notes[0]


def test_a_hole_and_frames_beside_the_line_are_refused(ct, tmp_path):
    refused(write_object(tmp_path / "hole.dcm", ct, [*range(8), *range(15, 24)]), "hole of 26 mm")

    def aside(number, k, frame):
        if k > 12:
            x, y, z = frame.PlanePositionSequence[0].ImagePositionPatient
            frame.PlanePositionSequence[0].ImagePositionPatient = [x + 9, y, z]

    refused(write_object(tmp_path / "aside.dcm", ct, groups=aside), "do not line up")


def phased(keyword: str, group: str, values):
    """Marks the frames of two phases."""

    def groups(number, k, frame):
        if group not in frame:
            setattr(frame, group, [Dataset()])
        setattr(frame[group][0], keyword, values[number % 2])

    return groups


PHASES = {
    "nothing but their order": None,
    "stack": phased("StackID", "FrameContentSequence", "ab"),
    "time point": phased("TemporalPositionIndex", "FrameContentSequence", (1, 2)),
    "acquisition": phased("FrameAcquisitionNumber", "FrameContentSequence", (1, 2)),
    "cardiac phase": phased("NominalPercentageOfCardiacPhase", "CardiacSynchronizationSequence", (30.0, 75.0)),
    "time": phased("TemporalPositionTimeOffset", "TemporalPositionSequence", (0.0, 31.5)),
    "kernel": phased("ConvolutionKernel", "CTReconstructionSequence", ("B30", "B70")),
}


@pytest.mark.parametrize("told_by", PHASES)
def test_phases_frame_by_frame_are_two_scans(ct, tmp_path, told_by):
    late = body(ijk_to_ras=ct.ijk_to_ras, seed=5)
    order = [(k, array) for k in range(24) for array in (ct.array, late.array)]
    path = write_object(tmp_path / "ct.dcm", ct, order, groups=PHASES[told_by])
    refused(path, "holds 2 CT series")
    assert_same_place(read_volume(path, "3"), ct)
    assert_same_place(read_volume(path, "3.2"), late)


def test_each_phase_has_its_own_rescale(ct, tmp_path):
    late = body(ijk_to_ras=ct.ijk_to_ras, seed=5)

    def groups(number, k, frame):
        frame.PixelValueTransformationSequence[0].RescaleIntercept = ("-1024", "-1000")[number % 2]

    order = [(k, array) for k in range(24) for array in (ct.array, late.array)]
    path = write_object(tmp_path / "ct.dcm", ct, order, groups=groups)
    assert len(find_series(path)) == 2
    assert_as_pydicom_reads(read_volume(path, "3"), [path], only=range(0, 48, 2))
    assert_as_pydicom_reads(read_volume(path, "3.2"), [path], only=range(1, 48, 2))


def test_phases_whose_frames_are_shuffled_are_told_by_their_mark(ct, tmp_path):
    late = body(ijk_to_ras=ct.ijk_to_ras, seed=5)
    marked = [(k, array) for k in range(24) for array in (ct.array, late.array)]
    shuffled = [marked[n] for n in np.random.default_rng(1).permutation(48)]

    def groups(number, k, frame):
        frame.FrameContentSequence[0].TemporalPositionIndex = 1 if shuffled[number][1] is ct.array else 2

    path = write_object(tmp_path / "ct.dcm", ct, shuffled, groups=groups)
    read = sorted(
        (read_volume(path, key) for key in ("3", "3.2")), key=lambda volume: not (volume.array == ct.array).all()
    )
    assert_same_place(read[0], ct)
    assert_same_place(read[1], late)


def test_a_frame_that_is_stored_twice_is_taken_once(ct, tmp_path):
    path = write_object(tmp_path / "ct.dcm", ct, [*range(24), 6, 7])
    scan = read_scan(path)
    assert_same_place(scan.volume, ct)
    assert scan.notes == ("2 image(s) were stored twice; the copies were left out.",)


@pytest.mark.parametrize(
    "split", [[range(10), range(10, 24)], [range(0, 24, 2), range(1, 24, 2)], [[k] for k in range(24)]]
)
def test_a_concatenation_is_one_scan(ct, tmp_path, split):
    paths = []
    for part, order in enumerate(split, start=1):
        tags = {"ConcatenationUID": "1.2.9", "InConcatenationNumber": part, "InConcatenationTotalNumber": len(split)}
        name = f"{99 - part}.dcm"
        paths.append(write_object(tmp_path / name, ct, list(order), SeriesInstanceUID="1.2.3", **tags))
    scan = read_scan(tmp_path)
    assert_same_place(scan.volume, ct)
    assert_as_pydicom_reads(scan.volume, paths)
    assert scan.notes == () and len(scan.dicom_files) == len(split)


def test_a_concatenation_without_one_of_its_files_says_so(ct, tmp_path):
    tags = {"ConcatenationUID": "1.2.9", "InConcatenationNumber": 1, "InConcatenationTotalNumber": 3}
    write_object(tmp_path / "a.dcm", ct, list(range(16)), **tags)
    assert "2 of 3 files of this concatenation are missing." in read_scan(tmp_path).notes


def test_two_objects_of_one_series_are_two_phases(ct, tmp_path):
    late = body(ijk_to_ras=ct.ijk_to_ras, seed=5)
    write_object(tmp_path / "a.dcm", ct, SeriesInstanceUID="1.2.3")
    write_object(tmp_path / "b.dcm", late, SeriesInstanceUID="1.2.3")
    assert [len(series.slices) for series in find_series(tmp_path)] == [24, 24]
    found = {read_volume(tmp_path, key).array.astype("i2").tobytes() for key in ("3", "3.2")}
    assert found == {ct.array.tobytes(), late.array.tobytes()}


def without(group: str):
    return lambda number, k, frame: frame.__delattr__(group) if group in frame else None


UNPLACED = {
    "no position": {"groups": without("PlanePositionSequence")},
    "no functional groups": {"PerFrameFunctionalGroupsSequence": None, "SharedFunctionalGroupsSequence": None},
    "a position for all": {
        "PerFrameFunctionalGroupsSequence": None,
        "SharedFunctionalGroupsSequence": None,
        "ImagePositionPatient": [0, 0, 0],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [2, 2],
        "SliceThickness": 2,
        "SpacingBetweenSlices": 2,
    },
    "fewer groups than frames": {"NumberOfFrames": 23},
}


@pytest.mark.parametrize("kind", UNPLACED)
@pytest.mark.parametrize("spacing", ["2", "0", "-2"])
def test_without_positions_there_are_no_labels(ct, tmp_path, kind, spacing):
    options = {**UNPLACED[kind]}
    if kind == "fewer groups than frames":
        options = {"groups": None}
        path = write_object(tmp_path / "ct.dcm", ct)
        drop_last_group(path)
    else:
        path = write_object(tmp_path / "ct.dcm", ct, **{**options, "SpacingBetweenSlices": spacing})
    refused(path, "no slice positions")


def drop_last_group(path) -> None:
    dataset = pydicom.dcmread(path)
    dataset.PerFrameFunctionalGroupsSequence = list(dataset.PerFrameFunctionalGroupsSequence)[:-1]
    dataset.save_as(path)


@pytest.mark.parametrize("value", [["0", "2"], ["-2", "-2"], ["2"], ["x", "y"]])
def test_bad_pixel_spacing_is_refused(ct, tmp_path, value):
    def groups(number, k, frame):
        frame.PixelMeasuresSequence = [Dataset()]
        frame.PixelMeasuresSequence[0].add_new(0x00280030, "LO", value)

    refused(write_object(tmp_path / "ct.dcm", ct, groups=groups), "pixel spacing")


@pytest.mark.parametrize("count", ["999999999", "70000"])
def test_a_compressed_object_that_promises_absurd_frames_is_damaged(ct, tmp_path, count):
    path = write_object(tmp_path / "ct.dcm", ct)
    dataset = pydicom.dcmread(path)
    dataset.compress(RLELossless)
    dataset.NumberOfFrames = count
    dataset.save_as(path)
    refused(path, "damaged")


def test_slices_with_functional_groups_that_do_not_place_them_keep_their_own_place(ct, tmp_path):
    for path in write_series(tmp_path, ct):
        dataset = pydicom.dcmread(path)
        dataset.SharedFunctionalGroupsSequence = [Dataset()]
        dataset.save_as(path)
    assert_same_place(read_volume(tmp_path), ct)


def test_a_secondary_capture_and_a_localizer_are_refused(ct, tmp_path):
    capture = "1.2.840.10008.5.1.4.1.1.7.3"
    refused(write_object(tmp_path / "a.dcm", ct, SOPClassUID=capture), "secondary capture")
    image_type = ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]
    refused(write_object(tmp_path / "b.dcm", ct, ImageType=image_type), "localizer")


@pytest.mark.parametrize("spacing", ["0", "-3"])
def test_a_spacing_that_contradicts_the_positions_is_not_used(ct, tmp_path, spacing):
    path = write_object(tmp_path / "ct.dcm", ct, SpacingBetweenSlices=spacing)
    volume = read_volume(path)
    assert_same_place(volume, ct)
    assert_as_pydicom_reads(volume, [path])
