"""The layout that shows the straightened spine, from the side and from the front, beside the usual views."""

import slicer
from VertebraLabelingMRML.view_windows import STRAIGHT_VIEWS

LAYOUT = 7250  # Slicer's own are below 100
SIDE, FRONT = STRAIGHT_VIEWS
VIEWS = {SIDE: "Sagittal", FRONT: "Coronal"}
GROUP = 7250  # views that Slicer moves together
COLOR = "#8B93A6"
USUAL = (("Red", "Axial", "R", "#F34A33"), ("Yellow", "Sagittal", "Y", "#EDD54C"), ("Green", "Coronal", "G", "#6EB04B"))

_VIEW = (
    '<view class="vtkMRMLSliceNode" singletontag="{name}">'
    '<property name="orientation" action="default">{orientation}</property>'
    '<property name="viewlabel" action="default">{label}</property>'
    '<property name="viewcolor" action="default">{color}</property>{group}</view>'
)
_THREED = (
    '<view class="vtkMRMLViewNode" singletontag="1"><property name="viewlabel" action="default">1</property></view>'
)


def register():
    """Tell Slicer of the layout, so that a scene saved with it is opened with it, too; called at its start."""
    layoutManager = slicer.app.layoutManager()
    if layoutManager is not None:
        node = layoutManager.layoutLogic().GetLayoutNode()
        if not node.IsLayoutDescription(LAYOUT):
            node.AddLayoutDescription(LAYOUT, _description())


def show():
    """Show the layout; returns its views of the straightened spine, and the layout that was shown before."""
    register()
    layoutManager = slicer.app.layoutManager()
    before = layoutManager.layout
    layoutManager.setLayout(LAYOUT)
    return [layoutManager.sliceWidget(name).mrmlSliceNode() for name in VIEWS], before


def leave(before):
    """Show the layout that was there before, or Slicer's usual one, unless the user has chosen another meanwhile."""
    layoutManager = slicer.app.layoutManager()
    if layoutManager is not None and layoutManager.layout == LAYOUT:
        usual = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
        layoutManager.setLayout(usual if before in (None, LAYOUT) else before)


def _description():
    group = f'<property name="viewgroup" action="default">{GROUP}</property>'
    labels = {SIDE: "Spine, side", FRONT: "Spine, front"}
    straight = [
        _VIEW.format(name=name, orientation=orientation, label=labels[name], color=COLOR, group=group)
        for name, orientation in VIEWS.items()
    ]
    red, yellow, green = (
        _VIEW.format(name=name, orientation=orientation, label=label, color=color, group="")
        for name, orientation, label, color in USUAL
    )
    usual = _box(
        "vertical",
        _item(_box("horizontal", _item(red) + _item(_THREED)))
        + _item(_box("horizontal", _item(green) + _item(yellow))),
    )
    columns = "".join(_item(view, 220) for view in straight) + _item(usual, 560)
    return f'<layout type="horizontal" split="true">{columns}</layout>'


def _box(direction, items):
    return f'<layout type="{direction}">{items}</layout>'


def _item(content, size=None):
    return f"<item{f' splitSize={chr(34)}{size}{chr(34)}' if size else ''}>{content}</item>"
