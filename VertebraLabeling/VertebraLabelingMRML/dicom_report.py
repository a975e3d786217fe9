"""The points in a CT from Slicer's DICOM database as a structured report (TID 1500) in the same database.

A report says of which patient and images its points are. It is written only where the images of the volume are found
by their UIDs, all of one series, and lie where the volume has them, and where the points still stand in it as found.
"""

import tempfile
from pathlib import Path

import numpy as np
import slicer
from VertebraLabelingLib.core.volume import apply_affine, lps_to_ras
from VertebraLabelingLib.errors import InputError

from . import found_in
from .points import hasPoints, placesAsWritten, readLabels, sourceVolume, transformed
from .slice_geometry import inPatient, patientToWorld
from .translation import tr as _
from .volume_state import stateOf

INSTANCES = "DICOM.instanceUIDs"  # Slicer's DICOM reader leaves the images of a volume there
TOLERANCE = 0.1  # voxels between the places of an image in its header and in the volume


def whyNot(pointsNode):
    """Why no report can be made of these points, in one sentence; empty where one can, as far as is seen quickly."""
    volumeNode = sourceVolume(pointsNode) if pointsNode is not None else None
    if pointsNode is None or not hasPoints(pointsNode):
        return _("There are no points: label a CT first.")
    if volumeNode is None:
        return _("The CT of these points is not in the scene: load it and label it again.")
    uids, database = instanceUIDs(volumeNode), getattr(slicer, "dicomDatabase", None)
    if not uids:
        return _("'{name}' was not loaded from Slicer's DICOM database: a report needs patient and images.").format(
            name=volumeNode.GetName()
        )
    if database is None or not database.isOpen:
        return _("Slicer's DICOM database is not open: open the module DICOM first.")
    if not database.fileForInstance(uids[0]):
        return _("The images of '{name}' are not in this DICOM database: import them first.").format(
            name=volumeNode.GetName()
        )
    return ""


def instanceUIDs(volumeNode):
    """The SOP instance UIDs of the images that a volume was read from; none where it did not come as DICOM."""
    return (volumeNode.GetAttribute(INSTANCES) or "").split()


def save(pointsNode):
    """Write the report and add it to Slicer's DICOM database; returns its SOP instance UID.

    Raises:
        InputError: :func:`whyNot`; images are missing, not of one series or not where the volume has them; the volume
            or its points have changed since these were found; a parent transform bends the slices; highdicom is not
            installed; the database did not take the report.
    """
    why = whyNot(pointsNode)
    if why:
        raise InputError(why)
    import pydicom
    from VertebraLabelingLib.formats import dicom_sr

    volumeNode, labels = sourceVolume(pointsNode), readLabels(pointsNode)
    files = _files(volumeNode)
    _checkPlaces(volumeNode, [pydicom.dcmread(file, stop_before_pixels=True) for file in files])
    _checkFit(pointsNode, volumeNode, labels)
    labels = transformed(labels, np.linalg.inv(patientToWorld(volumeNode)))  # the images know of no move
    with tempfile.TemporaryDirectory(dir=slicer.app.temporaryPath) as folder:
        path = Path(folder) / "report.dcm"
        dicom_sr.write_labels(path, labels, files)
        uid = str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)
        slicer.dicomDatabase.insert(str(path))  # takes a copy
    if not slicer.dicomDatabase.fileForInstance(uid):
        raise InputError(_("The DICOM database did not take the report: check its folder in the module DICOM."))
    return uid


def _checkFit(pointsNode, volumeNode, labels):
    """Raise InputError where voxels, volume or list have changed since the points were found or confirmed."""
    name, pointsName = volumeNode.GetName(), pointsNode.GetName()
    state, written = stateOf(volumeNode), placesAsWritten(pointsNode)
    what = found_in.misfit(labels.provenance, pointsName, name, state, written)
    if what:
        text = _("{what} since its points were found: label it again, or check the points and press Confirm all.")
        raise InputError(text.format(what=what))
    places = found_in.placesNow(labels.provenance, state, labels.by_level, written)
    if places != {point.level: point.ras for point in labels.points}:
        text = _("'{name}' was moved without '{points}': put it back, or label it again.")
        raise InputError(text.format(name=name, points=pointsName))


def frameOfReference(volumeNode):
    """The DICOM frame of reference UID of a volume.

    Empty where its images are not in the database, or where it does not lie, apart from what has moved it since it was
    loaded, where they are: then its places say nothing of that frame.
    """
    database = getattr(slicer, "dicomDatabase", None)
    if not instanceUIDs(volumeNode) or database is None or not database.isOpen:
        return ""
    import pydicom

    try:
        images = [pydicom.dcmread(file, stop_before_pixels=True) for file in _files(volumeNode)]
        _checkPlaces(volumeNode, images)
    except (InputError, OSError, pydicom.errors.InvalidDicomError):
        return ""
    frames = {str(image.get("FrameOfReferenceUID", "")) for image in images}
    return frames.pop() if len(frames) == 1 else ""


def _files(volumeNode):
    """The file of each image of a volume, in the database."""
    files = [slicer.dicomDatabase.fileForInstance(uid) for uid in instanceUIDs(volumeNode)]
    missing = sum(not file or not Path(file).is_file() for file in files)
    if missing:
        text = _("{missing} of the {count} images of '{name}' are not in this DICOM database: import the series again.")
        raise InputError(text.format(missing=missing, count=len(files), name=volumeNode.GetName()))
    return files


def _checkPlaces(volumeNode, images):
    """Raise InputError unless the images are one series, each the one asked for, and its voxels are the volume's."""
    name = volumeNode.GetName()
    found = [str(image.get("SOPInstanceUID", "")) for image in images]
    series = {str(image.get("SeriesInstanceUID", "")) for image in images}
    if found != instanceUIDs(volumeNode) or len(series) != 1:
        raise InputError(_("The images of '{name}' are not those of one series: import it again.").format(name=name))
    elsewhere = _(
        "'{name}' does not lie where its DICOM images are (cropped, resampled or moved): label the CT as loaded."
    ).format(name=name)
    geometry = inPatient(volumeNode)
    toIjk = np.linalg.inv(geometry.ijkToWorld)
    firsts = [(0, 0, k) for k in range(volumeNode.GetImageData().GetDimensions()[2])]
    beside = np.zeros((len(firsts), 3)) if geometry.beside is None else geometry.beside
    places = apply_affine(geometry.ijkToWorld, firsts) + beside
    slices = set()
    for image in images:
        position, axes = image.get("ImagePositionPatient"), image.get("ImageOrientationPatient")
        if position is None or axes is None or image.get("PixelSpacing") is None:
            raise InputError(_("'{name}' is not made of single slices: no report can be made.").format(name=name))
        right, down = np.reshape(np.array(axes, float), (2, 3)) * np.array(image.PixelSpacing, float)[::-1, None]
        corner = np.array(position, float)
        corners = np.array([lps_to_ras(each) for each in (corner, corner + right, corner + down)])
        number = int(np.linalg.norm(places - corners[0], axis=1).argmin())
        ijk = apply_affine(toIjk, corners - beside[number])
        if np.abs(ijk - [(0, 0, number), (1, 0, number), (0, 1, number)]).max() > TOLERANCE:
            raise InputError(elsewhere)
        slices.add(number)
    if len(slices) != len(firsts):
        raise InputError(elsewhere)
