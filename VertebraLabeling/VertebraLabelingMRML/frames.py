"""Frames of a sequence: which one a volume or a point list shows.

In Slicer a sequence is browsed: the browser node copies one item of each of its sequences into a *proxy node*, which is
what users see and choose. So a volume may be one frame of many, and a point list that of one frame.
"""

from dataclasses import dataclass

import slicer
from VertebraLabelingLib.core.label_warning import FRAME, LabelWarning


@dataclass(frozen=True)
class Frame:
    """The item of a sequence that a node shows.

    Attributes:
        browser: vtkMRMLSequenceBrowserNode.
        sequence: vtkMRMLSequenceNode that the node's content comes from.
        item: its number in the browser, from 0.
    """

    browser: object
    sequence: object
    item: int

    @property
    def count(self):
        return self.browser.GetNumberOfItems()

    @property
    def index(self):
        """What the sequence calls it, e.g. ``time 0.5 s``."""
        master = self.browser.GetMasterSequenceNode()
        parts = (master.GetIndexName(), master.GetNthIndexValue(self.item), master.GetIndexUnit())
        return " ".join(part for part in parts if part)

    def __str__(self):
        return f"frame {self.item + 1} of {self.count} ({self.index})"


def frameOf(node):
    """The :class:`Frame` that a node shows; ``None`` where it is no proxy node of a sequence browser."""
    for browser in slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode"):
        sequence = browser.GetSequenceNode(node) if browser.IsProxyNodeID(node.GetID()) else None
        item = browser.GetSelectedItemNumber()
        if sequence is not None and 0 <= item < browser.GetNumberOfItems():
            return Frame(browser, sequence, item)
    return None


def onlyShown(volumeNode):
    """What the user is told of a volume that is one frame of several, as warnings."""
    frame = frameOf(volumeNode)
    if frame is None or frame.count < 2:
        return ()
    return (LabelWarning(FRAME, numbers={"number": frame.item + 1, "count": frame.count}, text=frame.index),)
