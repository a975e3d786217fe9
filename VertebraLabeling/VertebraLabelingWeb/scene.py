"""The nodes of the one scan that is open: volume, points, bone surface."""

from __future__ import annotations

from dataclasses import replace

import slicer
from trame_slicer.core import SlicerApp
from VertebraLabelingLib.scans.read_scan import Scan
from VertebraLabelingMRML import display
from VertebraLabelingMRML.bone_surface import styleBone
from VertebraLabelingMRML.volumes import volumeFromNode
from vtkmodules.vtkCommonDataModel import vtkPolyData

from .scans import OpenScan

WINDOWS = {
    "Bone": (display.BONE_WINDOW, display.BONE_LEVEL),
    "Soft tissue": (400.0, 40.0),
    "Lung": (1500.0, -600.0),
}
"""Name -> window and level, HU."""


class Scene:
    """Adds the nodes of a scan to the MRML scene and removes them again.

    Attributes:
        volume_node, points_node, bone_node: ``None`` while there is none.
        name, origin: of the scan (:class:`scans.OpenScan`); empty while none is open.
        scan: the open scan; its voxels are those of the volume node.
    """

    def __init__(self) -> None:
        self.app = SlicerApp()
        slicer.mrmlScene = self.app.scene  # where slicer.util and VertebraLabelingMRML look
        self.volume_node = self.points_node = self.bone_node = None
        self.name, self.origin, self.scan = "", "", None

    def open(self, opened: OpenScan) -> None:
        """Take up a scan; the one before must be closed."""
        volume = opened.scan.volume
        self.volume_node = slicer.util.addVolumeFromArray(volume.array, volume.ijk_to_ras, opened.name)
        self.volume_node.CreateDefaultDisplayNodes()
        self.set_window("Bone")
        self.name, self.origin = opened.name, opened.origin
        self.scan: Scan = replace(opened.scan, volume=volumeFromNode(self.volume_node))

    def set_window(self, name: str) -> None:
        """Set one of :data:`WINDOWS`."""
        node = self.volume_node.GetDisplayNode()
        node.AutoWindowLevelOff()
        node.SetWindowLevel(*WINDOWS[name])

    def show_bone(self, surface: vtkPolyData) -> None:
        """Show the surface of the scan's bone in 3D."""
        self.bone_node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", "Bone")
        self.bone_node.SetAndObservePolyData(surface)
        self.bone_node.CreateDefaultDisplayNodes()
        styleBone(self.bone_node.GetDisplayNode())

    def close(self) -> None:
        """Remove all that belongs to the scan."""
        if self.points_node is not None:
            display.removeDerived(self.points_node)
        for node in (self.points_node, self.bone_node, self.volume_node):
            if node is not None:
                _remove(node)
        self.volume_node = self.points_node = self.bone_node = None
        self.name, self.origin, self.scan = "", "", None


def _remove(node) -> None:
    """Remove a node with its display nodes."""
    displays = [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
    slicer.mrmlScene.RemoveNode(node)
    for each in displays:
        if each is not None:
            slicer.mrmlScene.RemoveNode(each)
