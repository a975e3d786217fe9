"""How the vertebra points look: size, labels, amber where the level is uncertain, a curve, and colors by region."""

import numpy as np
import slicer
import vtk
from VertebraLabelingLib.core.anatomy import REGION_COLORS, region

from .control_points import showAmber
from .points import levelPoints, placesOf, sourceVolume

AMBER = (1.0, 0.62, 0.0)
CERTAIN = (0.35, 0.95, 1.0)
ACTIVE = (0.4, 1.0, 0.4)
CURVE = "VertebraLabeling.curve"
REGIONS_OF, REGION = "VertebraLabeling.regionsOf", "VertebraLabeling.region"
CENTERS = "VertebraLabeling.centers"  # of the balls that a model shows
UNCERTAIN = "uncertain"
STYLE = {
    "SelectedColor": CERTAIN,
    "Color": AMBER,  # of control points that are not "selected": the uncertain ones
    "ActiveColor": ACTIVE,
    "GlyphType": slicer.vtkMRMLMarkupsDisplayNode.Sphere3D,
    "GlyphScale": 1.6,
    "TextScale": 3.2,
    "PointLabelsVisibility": True,
    "OccludedVisibility": True,
    "OccludedOpacity": 0.6,
}
LOOK = (
    *("Visibility", "Visibility2D", "Opacity", "Color", "SelectedColor", "ActiveColor"),
    *("GlyphType", "GlyphScale", "GlyphSize", "UseGlyphScale", "TextScale", "PointLabelsVisibility"),
)
"""What the user sets of the look in Markups: the same wherever the points are shown."""
BONE_WINDOW, BONE_LEVEL = 1800.0, 400.0  # HU
REGION_RADIUS_MM = 4.5
CURVE_MM = 0.9
CURVE_FADES_MM = 20.0, 80.0  # distance from the slice
SPINE_MARGIN_MM = 40.0  # above and below the spine in 3D
FROM_BEHIND_LEFT = np.array([-0.75, -0.65, 0.12])


def style(pointsNode):
    """Make the points readable in slice and 3D views; :mod:`slice_views` projects them onto slices along the spine.

    Only what is as Slicer makes it is changed: what the user has set of a list of their own stays.
    """
    pointsNode.CreateDefaultDisplayNodes()
    display = pointsNode.GetDisplayNode()
    settings = slicer.mrmlScene.CreateNodeByClass(display.GetClassName())
    settings.UnRegister(None)
    usual = settings, type(display)()  # as Slicer's settings make one, and as it makes one without them
    with slicer.util.NodeModify(display):
        for name, value in STYLE.items():
            if _get(display, name) in [_get(each, name) for each in usual]:
                _set(display, name, value)


def copyLook(display, other, own=()):
    """Give another markups display node the look of this one, but for what is its ``own`` (name -> value)."""
    look = {name: _get(display, name) for name in LOOK}
    look.update(own)
    with slicer.util.NodeModify(other):
        for name, value in look.items():
            _set(other, name, value)


def _get(display, name):
    return getattr(display, f"Get{name}")()


def _set(display, name, value):
    getattr(display, f"Set{name}")(*(value if isinstance(value, tuple) else (value,)))


def showConfidence(pointsNode, amberBelow):
    """Show points that are uncertain below a confidence of ``amberBelow`` (0..1) in amber; returns their levels."""
    found = levelPoints(pointsNode)
    with slicer.util.NodeModify(pointsNode):
        showAmber(pointsNode, {each.index: each.point.is_uncertain(amberBelow) for each in found})
    return [each.point.level for each in found if each.point.is_uncertain(amberBelow)]


def derived(pointsNode):
    """What shows the points beside themselves now: the curve or ``None``, and the regions of the balls."""
    return pointsNode.GetNodeReference(CURVE), frozenset(regionModels(pointsNode))


def jumpTo(pointsNode, index):
    """Center the slice views on a control point, and make the 3D views turn around it."""
    place = np.array(pointsNode.GetNthControlPointPositionWorld(index))
    jump = slicer.vtkMRMLSliceNode
    jump.JumpAllSlices(slicer.mrmlScene, *place, jump.CenteredJumpSlice)
    for camera in slicer.util.getNodesByClass("vtkMRMLCameraNode"):
        step = place - camera.GetFocalPoint()
        camera.SetPosition(*(np.array(camera.GetPosition()) + step))
        camera.SetFocalPoint(*place)
        camera.ResetClippingRange()


def showBone(volumeNode):
    """Set window and level of a volume so that bone is seen."""
    volumeNode.CreateDefaultDisplayNodes()
    display = volumeNode.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(BONE_WINDOW, BONE_LEVEL)


def showCurve(pointsNode, show):
    """Show or remove a smooth curve through the points, head to foot. Returns its node, ``None`` when removed."""
    curve = pointsNode.GetNodeReference(CURVE)
    if not show:
        removeWithDisplay(curve)
        return None
    if curve is None:
        name = slicer.mrmlScene.GenerateUniqueName(f"{pointsNode.GetName()} curve")
        curve = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsCurveNode", name)
        curve.CreateDefaultDisplayNodes()
        _styleCurve(curve.GetDisplayNode())
        curve.SetLocked(True)
        pointsNode.SetNodeReferenceID(CURVE, curve.GetID())
    positions = placesOf(pointsNode)
    if not np.array_equal(positions, slicer.util.arrayFromMarkupsControlPoints(curve, world=True)):
        slicer.util.updateMarkupsControlPointsFromArray(curve, positions, world=True)
    return curve


def showRegions(pointsNode, show=True, amberBelow=0.0):
    """Show or remove a ball in the color of its region (cervical, thoracic, lumbar) behind each point.

    The ball of a point that is uncertain below ``amberBelow`` is amber. Markups have one color for all their points,
    so the balls are models of their own, one for each color. They are derived from the points: not saved with the
    scene and not listed among the user's nodes. Returns the models by region (``"uncertain"`` is the amber one); a
    model whose balls stay where they are is not touched.
    """
    places = {}
    for each in levelPoints(pointsNode) if show else ():
        group = UNCERTAIN if each.point.is_uncertain(amberBelow) else region(each.point.level)
        places.setdefault(group, []).append(each.point.ras)
    models = regionModels(pointsNode)
    for group in set(models) - set(places):
        removeWithDisplay(models.pop(group))
    for group, centers in places.items():
        if group not in models:
            models[group] = _addRegionModel(pointsNode, group)
        if models[group].GetAttribute(CENTERS) != repr(centers):
            models[group].SetAndObservePolyData(_balls(centers))
            models[group].SetAttribute(CENTERS, repr(centers))
    return models


def regionModels(pointsNode):
    """The balls that :func:`showRegions` has made: region -> model."""
    models = slicer.util.getNodesByClass("vtkMRMLModelNode")
    return {each.GetAttribute(REGION): each for each in models if each.GetAttribute(REGIONS_OF) == pointsNode.GetID()}


def removeDerived(pointsNode):
    """Remove what only shows the points: the balls. The curve is the user's to keep."""
    showRegions(pointsNode, False)


def removeWithDisplay(node):
    """Remove a node and its display nodes from the scene; nothing for ``None`` and for what is in none."""
    if node is None or node.GetScene() is None:
        return
    displays = [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
    slicer.mrmlScene.RemoveNode(node)
    for each in displays:
        if each is not None and each.GetScene() is not None:
            slicer.mrmlScene.RemoveNode(each)


def showResult(pointsNode):
    """After a run: the volume in the slice views where it is not yet, the views at the middle vertebra."""
    volumeNode = sourceVolume(pointsNode)
    found = levelPoints(pointsNode)
    shown = {each.GetBackgroundVolumeID() for each in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}
    if volumeNode is not None and volumeNode.GetID() not in shown:
        slicer.util.setSliceViewerLayers(background=volumeNode, fit=True)
    if found:
        jumpTo(pointsNode, found[len(found) // 2].index)
        _frame(np.array([each.point.ras for each in found]))


def _frame(places):
    """Look at all vertebrae in 3D, from behind and the left, where a camera does not show them all."""
    middle = (places.min(axis=0) + places.max(axis=0)) / 2
    radius = np.linalg.norm(places - middle, axis=1).max() + SPINE_MARGIN_MM
    for camera in slicer.util.getNodesByClass("vtkMRMLCameraNode"):
        vtkCamera = camera.GetCamera()
        eye, focus = np.array(camera.GetPosition()), np.array(camera.GetFocalPoint())
        towards = (focus - eye) / np.linalg.norm(focus - eye)
        depth = (places - eye) @ towards
        aside = np.linalg.norm(places - eye - np.outer(depth, towards), axis=1)
        half = np.tan(np.radians(vtkCamera.GetViewAngle() / 2))
        seen = vtkCamera.GetParallelScale() if vtkCamera.GetParallelProjection() else half * depth
        if (aside < seen).all():
            continue
        camera.SetFocalPoint(*middle)
        camera.SetPosition(*(middle + FROM_BEHIND_LEFT * radius / half))
        camera.SetViewUp(0, 0, 1)
        vtkCamera.SetParallelScale(radius)
        camera.ResetClippingRange()


def _styleCurve(display):
    display.SetPointLabelsVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    display.SetGlyphScale(0.1)
    display.SetCurveLineSizeMode(slicer.vtkMRMLMarkupsDisplayNode.UseLineDiameter)
    display.SetLineDiameter(CURVE_MM)
    display.SetSelectedColor(*CERTAIN)
    display.SetOccludedVisibility(True)
    display.SetLineColorFadingStart(CURVE_FADES_MM[0])
    display.SetLineColorFadingEnd(CURVE_FADES_MM[1])
    display.SetLineColorFadingSaturation(1.0)
    display.SetLineColorFadingHueOffset(0.0)


def _addRegionModel(pointsNode, group):
    model = slicer.mrmlScene.CreateNodeByClass("vtkMRMLModelNode")
    model.UnRegister(None)
    model.SetName(f"{pointsNode.GetName()} {group}")
    model.SetHideFromEditors(True)
    model.SetSaveWithScene(False)
    model.SetSelectable(False)
    model.SetAttribute(REGIONS_OF, pointsNode.GetID())
    model.SetAttribute(REGION, group)
    slicer.mrmlScene.AddNode(model)
    model.CreateDefaultDisplayNodes()
    display = model.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetColor(*(AMBER if group == UNCERTAIN else [value / 255 for value in REGION_COLORS[group]]))
    display.SetOpacity(0.6)
    display.SetVisibility2D(True)
    display.SetSliceDisplayModeToIntersection()
    display.SetSliceIntersectionOpacity(0.5)
    return model


def _balls(centers):
    append = vtk.vtkAppendPolyData()
    for center in centers:
        ball = vtk.vtkSphereSource()
        ball.SetCenter(*center)
        ball.SetRadius(REGION_RADIUS_MM)
        ball.SetThetaResolution(20)
        ball.SetPhiResolution(14)
        append.AddInputConnection(ball.GetOutputPort())
    append.Update()
    return append.GetOutput()
