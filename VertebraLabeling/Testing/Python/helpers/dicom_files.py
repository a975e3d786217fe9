"""Write real DICOM files, made in the test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from VertebraLabelingLib.core.volume import Volume, lps_affine_to_ras

STUDY = generate_uid()
FRAME = generate_uid()


def write_series(folder: Path, volume: Volume, leave_out=(), first_file=0, **tags) -> list[Path]:
    """Write the K slices of a volume as one CT series.

    Args:
        leave_out: slice indices that are not written.
        first_file: number in the first file's name, so that two series can share a folder.
        tags: header values by keyword, e.g. ``Modality="MR"``; a callable is given the slice index.
    """
    folder.mkdir(parents=True, exist_ok=True)
    to_lps = lps_affine_to_ras(volume.ijk_to_ras)  # the map is its own inverse
    series = tags.pop("SeriesInstanceUID", generate_uid())
    paths = []
    for k in range(volume.array.shape[0]):
        if k in leave_out:
            continue
        path = folder / f"IM{first_file + k:04d}"
        dataset = _image(path, volume.array[k], to_lps, k, series)
        for name, value in tags.items():
            setattr(dataset, name, value(k) if callable(value) else value)
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def _image(path: Path, pixels: np.ndarray, to_lps: np.ndarray, k: int, series: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    spacing = np.linalg.norm(to_lps[:3, :3], axis=0)
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = STUDY, series, FRAME
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = "Test^Phantom", "P1", "", ""
    dataset.StudyID, dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber = "1", "20260101", "120000", ""
    dataset.ReferringPhysicianName, dataset.Manufacturer, dataset.PositionReferenceIndicator = "", "", ""
    dataset.Modality, dataset.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SeriesNumber, dataset.SeriesDescription = 3, "Thorax 2.0"
    dataset.InstanceNumber, dataset.AcquisitionNumber = k + 1, 1
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.PixelSpacing = [_decimal(spacing[1]), _decimal(spacing[0])]
    dataset.SliceThickness = _decimal(spacing[2])
    dataset.ImageOrientationPatient = [_decimal(x) for x in (to_lps[:3, :2] / spacing[:2]).T.ravel()]
    dataset.ImagePositionPatient = [_decimal(x) for x in to_lps[:3, 3] + k * to_lps[:3, 2]]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = -1024, 1, "HU"
    dataset.PixelData = np.clip(pixels.astype(int) + 1024, 0, 4095).astype("<u2").tobytes()
    return dataset


def write_report(path: Path) -> None:
    """A DICOM file without an image: a basic text report."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.BasicTextSRStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Modality, dataset.SeriesInstanceUID = "SR", generate_uid()
    dataset.save_as(path, enforce_file_format=True)


def _decimal(value: float) -> str:
    """A number as a DICOM decimal string, 16 characters at most."""
    return f"{value:.10g}"[:16]
