"""Names in slice and 3D views, measured on rendered pictures: none lies over another, each stands beside its point."""

import json
from pathlib import Path

import numpy as np
import slicer
from drawn_names import nameBoxes, overlaps, picture
from panel_case import PanelCase
from spine_factory import positions
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingMRML import points, view_windows

from VertebraLabeling import VertebraLabelingLogic

WINDOWS = ((1100, 700), (1600, 1000), (2560, 1440))
TESTS = Path(__file__).resolve().parents[1]
SHARED = TESTS.parents[3] / "shared" / "data" / "ct"
NECK = USUAL_LEVELS[:10]
MARGIN_MM = 150.0
IN_3D = 4  # names at least; how the view is turned when it is first drawn decides on one or two


def truth(path):
    """level -> world RAS mm of a markups file."""
    entries = json.loads(path.read_text())["markups"][0]["controlPoints"]
    return {entry["label"]: tuple(np.multiply(entry["position"], (-1, -1, 1))) for entry in entries}


class KnownSpine:
    """Finds vertebrae where they are said to be; those called uncertain with a confidence below the amber limit."""

    def __init__(self, places, uncertain=()):
        self._places, self._uncertain = places, uncertain

    def label(self, volume, fixed=None, progress=None, cancelled=None):
        confidence = {level: 0.3 if level in self._uncertain else 0.95 for level in self._places}
        return SpineLabels(tuple(LabeledPoint(level, ras, confidence[level]) for level, ras in self._places.items()))


class NamesCase(PanelCase):
    def setUp(self):
        super().setUp()
        self.requireViews()
        window = slicer.util.mainWindow()
        self.addCleanup(window.resize, window.width, window.height)

    def showSpine(self, places, volumeNode=None, uncertain=()):
        """Show vertebrae in an empty volume around them, or in this one, as after a run."""
        if volumeNode is None:
            ras = np.array(list(places.values()))
            low, high = ras.min(axis=0) - MARGIN_MM, ras.max(axis=0) + MARGIN_MM
            ijkToRas = np.diag([10.0, 10.0, 10.0, 1.0])
            ijkToRas[:3, 3] = low
            size = np.ceil((high - low) / 10).astype(int)[::-1]
            volumeNode = slicer.util.addVolumeFromArray(np.zeros(size, np.int16), ijkToRas, "CT")
        self.ui.inputSelector.setCurrentNode(volumeNode)
        self.widget.panel.onResult(VertebraLabelingLogic(KnownSpine(places, uncertain)).label(volumeNode), None)
        self.fit()

    def fit(self):
        """All of the volume and of the points in the views."""
        slicer.app.layoutManager().resetSliceViews()
        slicer.util.resetThreeDViews()
        self.settle()

    def views(self):
        """name -> (view, view node) of the four views."""
        layout = slicer.app.layoutManager()
        slices = {name: layout.sliceWidget(name) for name in ("Red", "Yellow", "Green")}
        found = {name: (widget.sliceView(), widget.mrmlSliceNode()) for name, widget in slices.items()}
        return {**found, "3D": (layout.threeDWidget(0).threeDView(), layout.threeDWidget(0).mrmlViewNode())}

    def boxes(self, name):
        return nameBoxes(*self.views()[name])


class TestNoNameOverAnother(NamesCase):
    def check(self, least):
        """In no view, at no window size, names overlap; ``least``: names along the spine in slices, for each window."""
        for size, expected in zip(WINDOWS, least):
            slicer.util.mainWindow().resize(*size)
            self.fit()
            for name, (view, node) in self.views().items():
                with self.subTest(window=size, view=name):
                    boxes = nameBoxes(view, node)
                    self.assertEqual(overlaps(boxes), [])
                    if name != "Red":
                        self.assertGreaterEqual(len(boxes), expected if name != "3D" else IN_3D)
                        self.assertBesideItsPoint(boxes, node, view.renderWindow().GetSize())
                    else:
                        self.assertLessEqual(len(boxes), 1)

    def assertBesideItsPoint(self, boxes, viewNode, size):
        """The end of each name that is nearer to its point has no other point nearer, as far as pixels tell."""
        found = points.headToFoot(self.node)
        pixels = view_windows.project(viewNode, points.placesOf(self.node)).pixels
        for name, (left, top, right, bottom) in boxes:
            row = [each.point.level for each in found].index(name)
            end = left if pixels[row][0] < (left + right) / 2 else right
            distance = np.linalg.norm(pixels - (end, size[1] - 1 - (top + bottom) / 2), axis=1)
            self.assertLess(distance[row], 12, name)
            self.assertLess(distance[row], distance.min() + 2.0, name)  # pixels

    def test_a_whole_spine(self):
        self.showSpine(dict(zip(USUAL_LEVELS, positions(USUAL_LEVELS))))
        self.check((14, 22, 24))

    def test_a_narrow_neck(self):
        self.showSpine(dict(zip(NECK, positions(NECK, scale=0.7))))
        self.check((8, 10, 10))

    def test_a_spine_that_lies_aslant_in_the_views(self):
        self.showSpine(dict(zip(USUAL_LEVELS, positions(USUAL_LEVELS, angle=lambda part: 0.45, sideways=0.25))))
        self.check((14, 22))

    def test_the_sample_ct(self):
        self.showSpine(truth(TESTS / "data" / "lidc_idri_0001.mrk.json"))
        self.check((15, 15))

    def test_a_whole_spine_in_a_real_ct(self):
        path = SHARED / "gewb_f67.nii.gz"
        if not path.is_file():
            self.skipTest("needs the shared CT gewb_f67")
        self.showSpine(truth(SHARED / "gewb_f67.mrk.json"), slicer.util.loadVolume(str(path)))
        self.check((15, 22, 22))


class TestWhichNames(NamesCase):
    """A small window, in which a whole spine has no room for all names."""

    def setUp(self):
        super().setUp()
        slicer.util.mainWindow().resize(800, 450)
        self.showSpine(dict(zip(USUAL_LEVELS, positions(USUAL_LEVELS))), uncertain=("C4", "T8"))

    def named(self, name="Yellow"):
        return {level for level, _box in self.boxes(name)}

    def test_uncertain_vertebrae_and_the_ends_of_regions_come_first(self):
        named = self.named()
        self.assertLess(len(named), 20)
        self.assertLessEqual({"C4", "T8", "C1", "T12", "L5"}, named)

    def test_the_vertebra_gone_to_is_named(self):
        for level in set(USUAL_LEVELS) - self.named():
            self.ui.levelTable.setCurrentCell(self.column(0).index(level), 0)
            self.settle()
            self.assertIn(level, self.named())

    def test_zooming_in_names_all_that_is_in_view(self):
        node = self.views()["Yellow"][1]
        width, height, depth = node.GetFieldOfView()
        node.SetFieldOfView(width / 4, height / 4, depth)
        self.settle()
        pixels = view_windows.project(node, points.placesOf(self.node)).pixels
        inside = ((pixels > 12) & (pixels < np.array(node.GetDimensions()[:2]) - 12)).all(axis=1)
        self.assertGreater(inside.sum(), 3)
        self.assertLessEqual({USUAL_LEVELS[row] for row in np.flatnonzero(inside)}, self.named())

    def test_turning_the_3d_view_moves_the_names_along(self):
        view, node = self.views()["3D"]
        camera = view_windows.cameraOf(node).GetCamera()
        for angle in (50, 70):
            camera.Azimuth(angle)
            self.settle()
            boxes = nameBoxes(view, node)
            self.assertGreater(len(boxes), 6)
            self.assertEqual(overlaps(boxes), [])

    def test_only_the_uncertain_vertebra_is_amber(self):
        slicer.util.mainWindow().resize(1600, 1000)
        self.fit()
        for regions in (True, False):
            self.ui.regionsCheckBox.checked = regions
            self.views()["Yellow"][1].SetSliceOffset(self.views()["Yellow"][1].GetSliceOffset() + 20)
            self.settle()
            view, node = self.views()["Yellow"]
            view.forceRender()
            shown = picture(view).astype(int)
            pixels = view_windows.project(node, points.placesOf(self.node)).pixels
            for level in ("C2", "C4", "T4", "T8", "L2"):
                x, y = np.round(pixels[USUAL_LEVELS.index(level)]).astype(int)
                patch = shown[shown.shape[0] - 1 - y - 2 : shown.shape[0] - y + 2, x - 2 : x + 3]
                redness = (patch[..., 0] - patch[..., 2]).mean()
                self.assertEqual(redness > 30, level in ("C4", "T8"), f"{level} {redness}")

    def test_names_that_are_too_small_to_be_seen_leave_nothing_beside_the_points(self):
        def drawn():
            view = self.views()["Yellow"][0]
            view.forceRender()
            return picture(view).astype(int)

        display = self.node.GetDisplayNode()
        display.SetPointLabelsVisibility(False)
        self.settle()
        without = drawn()
        display.SetPointLabelsVisibility(True)
        display.SetTextScale(0.0)
        self.settle()
        self.assertEqual(np.abs(drawn() - without).max(), 0)

    def test_names_follow_what_is_set_in_markups(self):
        display = self.node.GetDisplayNode()
        for setting, value in (("SetPointLabelsVisibility", False), ("SetVisibility", False), ("SetTextScale", 0.0)):
            before = getattr(display, setting.replace("Set", "Get"))()
            getattr(display, setting)(value)
            self.settle()
            self.assertEqual(self.named(), set(), setting)
            getattr(display, setting)(before)
            self.settle()
            self.assertIn("T8", self.named())
        self.node.SetNthControlPointVisibility(USUAL_LEVELS.index("T8"), False)
        self.settle()
        self.assertNotIn("T8", self.named())
