"""Makes "This is ..." part of the menu that a right-click on a point opens in the slice and 3D views."""

import logging
from pathlib import Path

import slicer

PLUGIN = Path(__file__).with_name("VertebraLabelingSubjectHierarchyPlugin.py")


def register():
    """Hand the plugin to Slicer; called when Slicer has started, because view menus can only be added then."""
    plugin = slicer.qSlicerSubjectHierarchyScriptedPlugin(None)
    if plugin.setPythonSource(str(PLUGIN)):
        slicer.qSlicerSubjectHierarchyPluginHandler.instance().registerPlugin(plugin)
    else:
        logging.error("VertebraLabeling: the menu of points in the views could not be added")
