"""``slicer.dicomDatabase``: the part of ctkDICOMDatabase that the module uses, on files read by pydicom."""

import re
import shutil
from pathlib import Path

import slicer
from PySide6.QtCore import Property, QObject

from .folders import folderOf


class DicomDatabase(QObject):
    """Knows files by their SOP instance UID. As the original it says nothing of a file that it does not take."""

    def __init__(self):
        super().__init__()
        self._files, self._open, self._folder = {}, True, None

    isOpen = Property(bool, lambda self: self._open)

    def closeDatabase(self):
        self._open = False

    def openDatabase(self, databaseFile, update=True):
        self._open = True

    def insert(
        self, filePath, storeFile=True, generateThumbnail=True, createHierarchy=True, destinationDirectoryName=""
    ):
        for value, kind in ((filePath, str), (storeFile, bool), (generateThumbnail, bool), (createHierarchy, bool)):
            if type(value) is not kind:
                raise ValueError(f"insert takes {kind.__name__}, not {value!r}")  # PythonQt finds no such overload
        if not self._open or not Path(filePath).is_file():
            return
        import pydicom

        try:
            uid = str(pydicom.dcmread(filePath, stop_before_pixels=True).SOPInstanceUID)
        except Exception:  # no DICOM file
            return
        kept = filePath
        if storeFile:
            self._folder = self._folder or folderOf(self, "dicom-database-")
            kept = str(Path(self._folder) / uid)
            shutil.copyfile(filePath, kept)
        self._files[uid] = kept

    def fileForInstance(self, sopInstanceUID):
        if not isinstance(sopInstanceUID, str):
            raise ValueError(f"fileForInstance takes str, not {sopInstanceUID!r}")
        return self._files.get(sopInstanceUID, "") if self._open else ""

    def instanceValue(self, sopInstanceUID, tag):
        """The value of a tag, as ``"0010,0020"``; empty where image or tag are not known."""
        if not isinstance(tag, str) or not re.fullmatch("[0-9A-Fa-f]{4},[0-9A-Fa-f]{4}", tag):
            raise ValueError(f"instanceValue takes a tag as '0010,0020', not {tag!r}")
        file = self.fileForInstance(sopInstanceUID)
        if not file:
            return ""
        import pydicom

        element = pydicom.dcmread(file, stop_before_pixels=True).get(int(tag.replace(",", ""), 16))
        return "" if element is None or element.value is None else str(element.value)


def install():
    """Slicer has the database as an attribute once its DICOM module is there."""
    slicer.dicomDatabase = DicomDatabase()
