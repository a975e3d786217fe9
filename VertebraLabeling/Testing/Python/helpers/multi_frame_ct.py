"""Write multi-frame (enhanced) CT objects, and read the geometry of any DICOM files as pydicom understands it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
from dicom_files import FRAME, STUDY
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid
from VertebraLabelingLib.core.volume import Volume, lps_affine_to_ras


def write_object(
    path: Path,
    volume: Volume,
    order: Sequence[int] | None = None,
    groups: Callable[[int, int, Dataset], None] | None = None,
    rescale: Callable[[int], tuple[float, float]] = lambda k: (1.0, -1024.0),
    **tags,
) -> Path:
    """Write slices of a volume as the frames of one object.

    Args:
        order: which slice each frame shows; all in order by default. A pair (k, array) shows other voxels there.
        groups: called with frame number, slice and the frame's functional groups, to change them.
        rescale: slope and intercept of a slice, as stored and written.
        tags: header values by keyword.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    to_lps = lps_affine_to_ras(volume.ijk_to_ras)
    spacing = np.linalg.norm(to_lps[:3, :3], axis=0)
    shown = [each if isinstance(each, tuple) else (each, volume.array) for each in order or range(len(volume.array))]
    dataset = _header(path, volume, len(shown))
    shared = Dataset()
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=_texts((to_lps[:3, :2] / spacing[:2]).T.ravel()))]
    shared.PixelMeasuresSequence = [_item(PixelSpacing=_texts(spacing[[1, 0]]), SliceThickness=_texts(spacing[2:])[0])]
    dataset.SharedFunctionalGroupsSequence = [shared]
    frames, voxels = [], []
    for number, (k, array) in enumerate(shown):
        slope, intercept = rescale(k)
        frame = Dataset()
        frame.FrameContentSequence = [_item(StackID="1", InStackPositionNumber=number + 1)]
        frame.PlanePositionSequence = [_item(ImagePositionPatient=_texts(to_lps[:3, 3] + k * to_lps[:3, 2]))]
        frame.PixelValueTransformationSequence = [
            _item(RescaleIntercept=_texts([intercept])[0], RescaleSlope=_texts([slope])[0], RescaleType="HU")
        ]
        if groups:
            groups(number, k, frame)
        frames.append(frame)
        voxels.append(np.clip(np.round((array[k] - intercept) / slope), 0, 65535).astype("<u2").tobytes())
    dataset.PerFrameFunctionalGroupsSequence = frames
    dataset.PixelData = b"".join(voxels)
    for name, value in tags.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def _header(path: Path, volume: Volume, count: int) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = EnhancedCTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = EnhancedCTImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = STUDY, generate_uid(), FRAME
    dataset.PatientName, dataset.PatientID = "Test^Phantom", "P1"
    dataset.Modality, dataset.ImageType = "CT", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.SeriesNumber, dataset.SeriesDescription, dataset.InstanceNumber = 3, "Enhanced", 1
    dataset.NumberOfFrames = count
    dataset.Rows, dataset.Columns = volume.array.shape[1:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    return dataset


def planes_of(paths: Sequence[Path]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(position, 3 x 2 columns that lead to the next voxel of a row and of a column, HU) of every plane, by pydicom."""
    planes = []
    for path in paths:
        dataset = pydicom.dcmread(path)
        stored = np.atleast_3d(dataset.pixel_array.T).T
        for index in range(int(dataset.get("NumberOfFrames") or 1)):  # pydicom takes padding for more
            find = _value_of(dataset, index)
            row, column = np.array(find("PlaneOrientation", "ImageOrientationPatient"), float).reshape(2, 3)
            down, along = np.array(find("PixelMeasures", "PixelSpacing"), float)
            slope = float(find("PixelValueTransformation", "RescaleSlope") or 1)
            intercept = float(find("PixelValueTransformation", "RescaleIntercept") or 0)
            position = np.array(find("PlanePosition", "ImagePositionPatient"), float)
            planes.append((position, np.stack((row * along, column * down), axis=1), stored[index] * slope + intercept))
    return planes


def _value_of(dataset, index: int):
    def find(group: str, keyword: str):
        frames, shared = (dataset.get(f"{name}FunctionalGroupsSequence") for name in ("PerFrame", "Shared"))
        for item in (*(frames[index : index + 1] if frames else ()), *(shared or ())):
            if inner := item.get(f"{group}Sequence"):
                return inner[0].get(keyword)
        return dataset.get(keyword)

    return find


def assert_as_pydicom_reads(
    volume: Volume, paths: Sequence[Path], atol_mm: float = 0.01, only: Sequence[int] | None = None
) -> None:
    """Every plane lies in the volume, with its voxels, where pydicom says.

    For volumes whose slices were not interpolated at the planes; the planes (or only some) are those of one scan.
    """
    to_lps = lps_affine_to_ras(volume.ijk_to_ras)
    planes = planes_of(paths)
    planes = [planes[number] for number in only] if only else planes
    assert planes
    for position, steps, values in planes:
        index = np.linalg.solve(to_lps[:3, :3], position - to_lps[:3, 3])
        k = round(index[2])
        np.testing.assert_allclose(to_lps[:3, 2] * k + to_lps[:3, 3], position, atol=atol_mm)
        np.testing.assert_allclose(to_lps[:3, :2], steps, atol=atol_mm / max(values.shape))
        np.testing.assert_allclose(volume.array[k], values, atol=0.51)


def _item(**values) -> Dataset:
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return item


def _texts(values) -> list[str]:
    return [f"{value:.10g}"[:16] for value in np.ravel(values)]
