"""Takes the screenshots of README and tutorial: the real panel, views and network, without the Slicer application.

    python Utilities/take_screenshots.py CT.nii.gz

labels the CT with the shipped network and writes Screenshots/*.png. The panel is the module's own, drawn by Qt; the
views are Slicer's own displayable managers, drawn off-screen; their arrangement in one picture is made here. With
``--thumbnail`` it writes the picture of the sample data instead. Never use a scan that shows a face.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "VertebraLabeling"), str(ROOT / "VertebraLabeling" / "Testing" / "Python")]

import harness  # noqa: E402

harness.start()

import numpy as np  # noqa: E402
import qt  # noqa: E402
import slicer  # noqa: E402
import vtk  # noqa: E402
from VertebraLabelingMRML import display, points  # noqa: E402
from VertebraLabelingPanel import straight_layout  # noqa: E402
from vtk.util.numpy_support import vtk_to_numpy  # noqa: E402

PANEL_WIDTH, VIEW_HEIGHT = 400, 980
BACKGROUND = qt.QColor(38, 40, 46)


def picture(view):
    """A QImage of what a view shows."""
    view.forceRender()
    grabber = vtk.vtkWindowToImageFilter()
    grabber.SetInput(view.renderWindow())
    grabber.ReadFrontBufferOff()
    grabber.Update()
    width, height, _ = grabber.GetOutput().GetDimensions()
    pixels = vtk_to_numpy(grabber.GetOutput().GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3]
    pixels = np.ascontiguousarray(pixels)
    return qt.QImage(pixels.data, width, height, 3 * width, qt.QImage.Format_RGB888).copy()


def panelPicture(widget, width=PANEL_WIDTH, height=VIEW_HEIGHT):
    """A QImage of the module's panel."""
    parent = widget.parent
    parent.setMinimumSize(0, 0)
    parent.resize(width, height)
    parent.show()
    for _ in range(5):
        slicer.app.processEvents()
    return parent.grab().toImage()


def beside(images, gap=8):
    """Pictures side by side."""
    width = sum(image.width() for image in images) + gap * (len(images) - 1)
    height = max(image.height() for image in images)
    canvas = qt.QImage(width, height, qt.QImage.Format_RGB888)
    canvas.fill(BACKGROUND)
    painter = qt.QPainter(canvas)
    left = 0
    for image in images:
        painter.drawImage(left, 0, image)
        left += image.width() + gap
    painter.end()
    return canvas


def above(images, gap=8):
    """Pictures one above the other."""
    turn, back = qt.QTransform().rotate(-90), qt.QTransform().rotate(90)
    return beside([image.transformed(turn) for image in images], gap).transformed(back)


def lookFromBehindLeft(view, center, height):
    camera = view.renderer.GetActiveCamera()
    camera.SetFocalPoint(*center)
    camera.SetPosition(center[0] - 600, center[1] - 380, center[2] + 120)
    camera.SetViewUp(0, 0, 1)
    camera.SetParallelProjection(True)
    camera.SetParallelScale(height / 2)
    view.renderer.ResetCameraClippingRange()


def zoomTo(sliceWidget, center, height):
    """Show ``height`` mm around a point in a slice view."""
    node = sliceWidget.mrmlSliceNode()
    width, pixels = sliceWidget.renderWindow().GetSize()
    node.SetFieldOfView(height * width / pixels, height, 1)
    node.JumpSliceByCentering(*center)


def sagittal(volumeNode, center, height, size):
    slicer.util.setSliceViewerLayers(background=volumeNode)
    view = slicer.app.layoutManager().sliceWidget("Yellow")
    view.resize(*size)
    zoomTo(view, center, height)
    return view


def thumbnail(volumeNode):
    bounds = np.zeros(6)
    volumeNode.GetRASBounds(bounds)
    center = np.add(bounds.reshape(3, 2).mean(axis=1), (0, -25, 0))
    display.showBone(volumeNode)
    image = picture(sagittal(volumeNode, center, 290, (520, 560)))
    path = ROOT / "VertebraLabeling" / "Resources" / "Icons" / "VertebraLabelingChestCT.png"
    image.scaled(260, 280, qt.Qt.KeepAspectRatio, qt.Qt.SmoothTransformation).save(str(path))


def labeled(volumeNode):
    """Label in the panel, as a user does; returns the panel and the points node."""
    widget = slicer.util.getModuleWidget("VertebraLabeling")
    widget.enter()
    widget.ui.inputSelector.setCurrentNode(volumeNode)
    widget.ui.labelButton.click()
    taken = None
    while widget.panel.run.running:
        slicer.app.processEvents()
        time.sleep(0.02)  # the computer is the network's
        if taken is None and widget.ui.progressBar.value > 450:
            taken = panelPicture(widget, height=800)
            taken.save(str(ROOT / "Screenshots" / "running.png"))
    if widget.ui.errorLabel.text:
        sys.exit(widget.ui.errorLabel.text)
    return widget, widget.ui.outputSelector.currentNode()


def reading(widget, disc="L1/L2"):
    """The section "Read levels": the straightened spine, and the usual views turned to a disc."""
    ui, layout = widget.ui, slicer.app.layoutManager()
    for section in (ui.inputsCollapsibleButton, ui.resultCollapsibleButton, ui.correctCollapsibleButton):
        section.collapsed = True
    ui.readCollapsibleButton.collapsed = False
    ui.straightButton.click()
    spine = []
    for name in straight_layout.VIEWS:
        layout.sliceWidget(name).resize(210, VIEW_HEIGHT)
        layout.sliceWidget(name).sliceLogic().FitSliceToBackground()
        spine.append(layout.sliceWidget(name))
    ui.planeComboBox.currentIndex = ui.planeComboBox.findText(disc)
    ui.planeComboBox.activated.emit(ui.planeComboBox.currentIndex)
    usual = [layout.sliceWidget(name) for name in ("Red", "Yellow")]
    for view in usual:
        view.resize(560, (VIEW_HEIGHT - 8) // 2)
        width, pixels = view.renderWindow().GetSize()
        view.mrmlSliceNode().SetFieldOfView(220.0 * width / pixels, 220.0, 1)
    for _ in range(20):
        slicer.app.processEvents()
        time.sleep(0.02)
    taken = beside([panelPicture(widget, height=VIEW_HEIGHT), *map(picture, spine), above(list(map(picture, usual)))])
    ui.straightButton.click()
    widget.panel.reading.planes.back()
    for section in (ui.inputsCollapsibleButton, ui.resultCollapsibleButton, ui.correctCollapsibleButton):
        section.collapsed = False
    ui.readCollapsibleButton.collapsed = True
    return taken


def screenshots(volumeNode):
    folder = ROOT / "Screenshots"
    folder.mkdir(exist_ok=True)
    widget, node = labeled(volumeNode)
    display.showBone(volumeNode)
    places = np.array([each.point.ras for each in points.levelPoints(node)])
    center, height = places.mean(axis=0), np.ptp(places[:, 2]) + 110
    widget.ui.curveCheckBox.checked = True
    view = sagittal(volumeNode, center, height, (620, VIEW_HEIGHT))
    threeD = slicer.app.layoutManager().threeDWidget(0).threeDView()
    threeD.resize(560, VIEW_HEIGHT)
    threeD.mrmlViewNode().SetBoxVisible(False)
    threeD.mrmlViewNode().SetAxisLabelsVisible(False)
    threeD.forceRender()
    lookFromBehindLeft(threeD, center, height)
    beside([panelPicture(widget), picture(view), picture(threeD)]).save(str(folder / "1.png"))

    # A vertebra renamed: what "this is ..." does to the others, and the way back
    rows = [widget.ui.levelTable.item(row, 0).text() for row in range(widget.ui.levelTable.rowCount)]
    row = len(rows) // 2
    widget.ui.levelTable.selectRow(row)
    widget.ui.levelComboBox.currentText = rows[row + 1]
    widget.ui.nameButton.click()
    zoomTo(view, center, height)
    beside([panelPicture(widget), picture(view)]).save(str(folder / "corrected.png"))
    widget.ui.undoButton.click()

    reading(widget).save(str(folder / "levels.png"))

    widget.ui.setupCollapsibleButton.collapsed = False
    widget.ui.advancedCollapsibleButton.collapsed = False
    for section in (widget.ui.resultCollapsibleButton, widget.ui.correctCollapsibleButton):
        section.collapsed = True
    while "looking" in widget.ui.deviceInfoLabel.text:
        slicer.app.processEvents()
    panelPicture(widget, height=760).save(str(folder / "setup.png"))
    widget.cleanup()  # ends the labeling process, which waits for a next run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", type=Path)
    parser.add_argument("--thumbnail", action="store_true")
    arguments = parser.parse_args()
    harness.loadModule(ROOT / "VertebraLabeling" / "VertebraLabeling.py")
    volumeNode = slicer.util.loadVolume(str(arguments.ct), properties={"name": "LIDC-IDRI-0001"})
    thumbnail(volumeNode) if arguments.thumbnail else screenshots(volumeNode)


if __name__ == "__main__":
    main()
