"""DICOM Structured Report, template TID 1500 (Measurement Report): the points as 3-D coordinates of the CT's own frame.

One measurement group a vertebra: a POINT in the frame of reference of the CT, the vertebra as finding site (SNOMED CT),
its level as tracking identifier, and the certainty; a comment says how the spine was counted. Opens in 3D Slicer's
QuantitativeReporting. Needs the extra ``dicom`` (pydicom, highdicom); only for scans that came as DICOM, whose headers
give patient, study and frame.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .. import __version__
from ..core.anatomy import SNOMED_CODES
from ..core.counting import how_counted
from ..core.label_warning import REVIEW_KINDS, RULE
from ..core.labels import LabeledPoint, SpineLabels
from ..core.scan_source import ScanSource, instances_digest, shown_uid
from ..core.volume import lps_to_ras, ras_to_lps
from ..errors import InputError
from ..system.atomic import atomic_path
from ..system.private_log import words_to_log
from . import dicom_patient

MANUFACTURER = "VertebraLabeling"
SERIES_NUMBER_OFFSET = 7000
"""The report's series number is the CT's plus this, so that it does not take that of a scanner series."""

_NAMESPACE = uuid.UUID("7d1f2f0c-5a0b-4a8e-9a53-0a4f6f0d2b11")
_NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_READ = (*_NEEDED, *dicom_patient.ATTRIBUTES, "SeriesNumber", "SpecificCharacterSet")

logger = logging.getLogger(__name__)


def write_labels(path: str | os.PathLike, labels: SpineLabels, dicom_files: Sequence[str]) -> tuple[str, ...]:
    """Write the report; returns a sentence where values of the scan's header had to be mended or left out.

    Where the provenance of the labels says the scan that they were made from, the images must be those of that scan.

    Args:
        dicom_files: all files of the CT series; they are referenced as the evidence, only their headers are read.

    Raises:
        InputError: the extra is not installed, the scan did not come as DICOM, its headers lack what a report needs, or
            the points are another scan's.
        OSError: the file cannot be written; nothing is left behind.
    """
    with words_to_log(logger, "pydicom", "highdicom"):  # they put names of patients into their warnings
        report, notes = make_report(labels, dicom_files)
        with atomic_path(path) as temporary:
            report.save_as(temporary, enforce_file_format=True)
    return notes


def make_report(labels: SpineLabels, dicom_files: Sequence[str]):
    """The report as a highdicom ``Comprehensive3DSR`` dataset, and notes; see :func:`write_labels`."""
    hd = _highdicom()
    headers = _headers(dicom_files)
    images = _references(headers)
    _check_source(labels, images)
    values, notes = dicom_patient.patient_values(headers[0])
    first = images[0]
    series_uid = _uid(first.SeriesInstanceUID, "series", _fingerprint(labels))
    device = hd.sr.ObserverContext(
        observer_type=_code(hd, "121007", "DCM", "Device"),
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=_uid("device", __version__),
            name=MANUFACTURER,
            manufacturer_name=MANUFACTURER,
            model_name=str(labels.provenance.get("model", MANUFACTURER))[:64],
        ),
    )
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=device),
        procedure_reported=_code(hd, "77477000", "SCT", "Computed tomography"),
        imaging_measurements=[_group(hd, point, first) for point in labels.points],
        title=_code(hd, "126000", "DCM", "Imaging Measurement Report"),
    )
    for text in _comments(labels):  # the template may be extended
        comment = _code(hd, "121106", "DCM", "Comment")
        contains = hd.sr.RelationshipTypeValues.CONTAINS
        content[0].ContentSequence.append(hd.sr.TextContentItem(comment, text, contains))
    report = hd.sr.Comprehensive3DSR(
        evidence=images,
        content=content,
        series_instance_uid=series_uid,
        series_number=_whole(dicom_patient.stored_text(headers[0], "SeriesNumber")) % 2000 + SERIES_NUMBER_OFFSET,
        sop_instance_uid=_uid(series_uid, "instance"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        series_description="Vertebral levels (VertebraLabeling)",
        is_complete=True,
        is_final=False,
        is_verified=False,
        specific_character_set=dicom_patient.character_set(list(values.values())),
    )
    dicom_patient.put(report, values)
    report.SoftwareVersions = __version__
    report.ManufacturerModelName = MANUFACTURER
    report.DeviceSerialNumber = __version__
    return report, notes


def read_labels(path: str | os.PathLike) -> SpineLabels:
    """Read the points of a report written here.

    Raises:
        InputError: the file is no such report.
    """
    hd = _highdicom()
    path = Path(path)
    try:
        with words_to_log(logger, "pydicom", "highdicom"):
            report = hd.sr.srread(path)
            groups = report.content.get_planar_roi_measurement_groups()
            points = [_point(group) for group in groups]
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the path.") from error
    except Exception as error:  # pydicom and highdicom raise many kinds on a damaged file
        raise InputError(f"{path.name} is not a DICOM report of vertebral levels, or it is damaged.") from error
    return SpineLabels(tuple(points))


def _group(hd, point: LabeledPoint, image):
    """TID 1410 for one vertebra."""
    region = hd.sr.ImageRegion3D(
        graphic_type=hd.sr.GraphicTypeValues3D.POINT,
        graphic_data=np.array([ras_to_lps(point.ras)]),
        frame_of_reference_uid=image.FrameOfReferenceUID,
    )
    code = SNOMED_CODES.get(point.level)
    site = _code(hd, code, "SCT", f"{point.level} vertebra") if code else _code(hd, "51282000", "SCT", "Vertebra")
    certainty = hd.sr.Measurement(
        name=_code(hd, "111012", "DCM", "Certainty of Finding"),
        value=round(100 * point.shown_confidence),
        unit=_code(hd, "%", "UCUM", "Percent"),
    )
    return hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(
            uid=_uid(image.SeriesInstanceUID, point.level), identifier=point.level
        ),
        referenced_region=region,
        finding_type=_code(hd, "51282000", "SCT", "Vertebra"),
        finding_sites=[hd.sr.FindingSite(anatomic_location=site)],
        measurements=[certainty],
        algorithm_id=hd.sr.AlgorithmIdentification(name=MANUFACTURER, version=__version__),
    )


def _point(group) -> LabeledPoint:
    lps = group.roi.value[0]
    (certainty,) = group.get_measurements()
    return LabeledPoint(group.tracking_identifier, tuple(lps_to_ras(lps).tolist()), float(certainty.value) / 100)


def _headers(dicom_files: Sequence[str]) -> list:
    """The headers of the CT images, without their pixels."""
    if not dicom_files:
        raise InputError("A DICOM report needs a scan that came as DICOM: use another format for this scan.")
    import pydicom

    try:
        images = [pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_READ) for file in dicom_files]
    except Exception as error:  # a header that GDCM reads and pydicom does not
        raise InputError(
            "The DICOM headers of this scan cannot be read for a report: export the scan again."
        ) from error
    lacking = next(
        (name for name in _NEEDED if any(not dicom_patient.stored_text(image, name) for image in images)), None
    )
    if lacking:
        raise InputError(f"The DICOM headers of this scan lack {lacking}, which a report needs: use another format.")
    return images


def _references(headers: Sequence) -> list:
    """The images as a report refers to them: their UIDs, and nothing that a library could stumble over.

    Raises:
        InputError: they are of several studies, series or frames of reference.
    """
    from pydicom import Dataset

    images = []
    for header in headers:
        image = Dataset()
        for name in _NEEDED:
            setattr(image, name, dicom_patient.stored_text(header, name))
        for name in dicom_patient.ALWAYS:
            setattr(image, name, "")
        images.append(image)
    if len({(i.StudyInstanceUID, i.SeriesInstanceUID, i.FrameOfReferenceUID) for i in images}) > 1:
        raise InputError(
            "The images of this scan are of several series or frames of reference, so they can have no report: "
            "use another format."
        )
    return images


def _check_source(labels: SpineLabels, images: Sequence) -> None:
    """See that the points were made from these images, by their UIDs.

    Raises:
        InputError: they were not.
    """
    if "source" not in labels.provenance:
        return  # of labels that were never in a file
    source = ScanSource.from_dict(labels.provenance["source"])
    first = images[0]
    uids = {"study": first.StudyInstanceUID, "series": first.SeriesInstanceUID}
    uids["frame_of_reference"] = first.FrameOfReferenceUID
    uids = {name: shown_uid(str(uid)) for name, uid in uids.items()}
    uids["instances"] = instances_digest(str(image.SOPInstanceUID) for image in images)
    if source is None or any(source.part(name) != uid for name, uid in uids.items()):
        raise InputError("The points were made from another DICOM series than these images: label the scan again.")


def _whole(text: str) -> int:
    """A number of a header; 0 where it is none."""
    try:
        return int(text)
    except ValueError:
        return 0


def _highdicom():
    try:
        import highdicom
        import highdicom.sr
    except ImportError as error:
        raise InputError("DICOM reports need the extra packages: pip install '.[dicom]' in the clone.") from error
    return highdicom


def _code(hd, value: str, scheme: str, meaning: str):
    return hd.sr.CodedConcept(value=value, scheme_designator=scheme, meaning=meaning)


def _uid(*parts: str) -> str:
    """A UID (2.25 form) that depends on its parts alone: the same scan gives the same report again."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, '/'.join(map(str, parts))).int}"


def _fingerprint(labels: SpineLabels) -> str:
    points = (f"{p.level}:{p.ras[0]:.2f},{p.ras[1]:.2f},{p.ras[2]:.2f},{p.confidence:.3f}" for p in labels.points)
    return ";".join((*points, *_comments(labels)))


def _comments(labels: SpineLabels) -> tuple[str, ...]:
    """How the spine was counted, and what a reader must know of its names before using them."""
    told = (str(warning) for warning in labels.warnings if warning.kind in (*REVIEW_KINDS, RULE))
    return tuple(filter(None, (how_counted(labels), *told)))
