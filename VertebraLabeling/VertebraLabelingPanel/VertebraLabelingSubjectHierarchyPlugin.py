"""The menu of a vertebra's point in the slice and 3D views: "This is" L1.

Slicer fills that menu from its subject hierarchy plugins, as its script repository shows under "Subject hierarchy
plugin offering view context menu action". It loads this file by path (:mod:`view_menu`) as a module of its own and
makes the class that bears the file's name.
"""

import qt
import slicer
from slicer.i18n import tr as _
from SubjectHierarchyPlugins import AbstractScriptedSubjectHierarchyPlugin
from VertebraLabelingMRML.points import areVertebrae, levelPoints
from VertebraLabelingMRML.told import levelsOf

from VertebraLabelingPanel.table import levelsNear


class VertebraLabelingSubjectHierarchyPlugin(AbstractScriptedSubjectHierarchyPlugin):
    """Offers the levels near the present one for control points of vertebrae, and nothing elsewhere.

    A list that was read from a file has only its names to tell by: all of them must be levels.
    """

    filePath = __file__

    def __init__(self, scriptedPlugin):
        # not the base class's: it would register the plugin before its view actions can be asked for
        scriptedPlugin.name = "VertebraLabeling"
        self._menu = qt.QMenu(slicer.util.mainWindow())  # goes with it; without a parent it would outlive Qt at exit
        self.action = qt.QAction(_("This is"), scriptedPlugin)
        self.action.objectName = "VertebraLabelingNameAction"
        self.action.setMenu(self._menu)
        abstract = slicer.qSlicerSubjectHierarchyAbstractPlugin
        abstract.setActionPosition(self.action, abstract.SectionNode + 5)

    def viewContextMenuActions(self):
        return [self.action]

    def showViewContextMenuActionsForItem(self, itemID, eventData=None):
        """Called before the menu opens.

        Args:
            itemID: subject hierarchy item of the node that was clicked.
            eventData: ``ComponentType`` and ``ComponentIndex``: what part of it.
        """
        node, nodePoint = _clicked(itemID, eventData or {})
        self.action.visible = nodePoint is not None
        if nodePoint is None:
            return
        self._menu.clear()
        for level in levelsNear(nodePoint.point.level, levelsOf(node)):
            entry = self._menu.addAction(level)
            entry.connect("triggered()", lambda index=nodePoint.index, level=level: _name(node, index, level))


def _clicked(itemID, eventData):
    """The node and the vertebra (:class:`points.NodePoint`) that were clicked; the latter is None for anything else."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    node = hierarchy.GetItemDataNode(itemID)
    onPoint = eventData.get("ComponentType") == slicer.vtkMRMLMarkupsDisplayNode.ComponentControlPoint
    if node is None or not onPoint or not node.IsA("vtkMRMLMarkupsFiducialNode"):
        return node, None
    if not areVertebrae(node):
        return node, None
    return node, next((each for each in levelPoints(node) if each.index == eventData.get("ComponentIndex")), None)


def _name(node, index, level):
    slicer.util.getModuleWidget("VertebraLabeling").nameVertebra(node, index, level)
