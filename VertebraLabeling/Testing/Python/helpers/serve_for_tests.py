"""Serves the page as ``vertebra-labeling serve`` does, and lets a test look into the scene behind it.

python serve_for_tests.py OPTIONS_AS_JSON [FILE...]
"""

import json
import sys
import time
from pathlib import Path

MODULE = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(MODULE))

import numpy as np  # noqa: E402
import slicer  # noqa: E402
from trame_rca.protocol import StreamManager  # noqa: E402
from VertebraLabelingLib.errors import InputError  # noqa: E402
from VertebraLabelingMRML import levels  # noqa: E402
from VertebraLabelingMRML.points import levelPoints  # noqa: E402
from VertebraLabelingWeb import scans, server, straight_strip, transfers  # noqa: E402


class Pictures:
    """Counts those that are drawn for the browser, and loses some."""

    def __init__(self):
        self.drawn, self.lost_until = 0, 0.0
        push = StreamManager.push_content

        def counted(manager, *given):
            self.drawn += 1
            if time.monotonic() >= self.lost_until:
                push(manager, *given)

        StreamManager.push_content = counted


def look_into(trame_server, page):
    """Triggers that tell a test what is in the MRML scene; the page itself does not have them."""
    seen = Pictures()

    def positions():
        """level -> world RAS mm, from the control points."""
        node = page.scene.points_node
        return {} if node is None else {each.point.level: list(each.point.ras) for each in levelPoints(node)}

    def place(level, view):
        """Where a point is in a view: pixels from the lower left corner, and the size of the view."""
        to_xy = np.linalg.inv(slicer.util.arrayFromVTKMatrix(page.views.slices[view].get_view_node().GetXYToRAS()))
        x, y = (to_xy @ [*positions()[level], 1.0])[:2]
        return [float(x), float(y), *page.views.slices[view].render_window().GetSize()]

    def hovered():
        """The level whose point the next press of the mouse takes; empty where it takes none."""
        node = page.scene.points_node
        displays = [node.GetNthDisplayNode(number) for number in range(node.GetNumberOfDisplayNodes())]
        active = [
            each.GetActiveComponentIndex()
            for each in displays  # one for each kind of view
            if each.GetActiveComponentType() == each.ComponentControlPoint
        ]
        return next((each.point.level for each in levelPoints(node) if each.index in active), "")

    def to_world(view, x, y):
        """World RAS mm of a pixel."""
        matrix = slicer.util.arrayFromVTKMatrix(page.views.slices[view].get_view_node().GetXYToRAS())
        return (matrix @ [x, y, 0.0, 1.0])[:3].tolist()

    def window():
        display = page.scene.volume_node.GetDisplayNode()
        return [display.GetWindow(), display.GetLevel()]

    def nodes():
        """Names of the volumes and point lists in the scene."""
        classes = ("vtkMRMLScalarVolumeNode", "vtkMRMLMarkupsFiducialNode")
        return [node.GetName() for each in classes for node in slicer.util.getNodesByClass(each)]

    def roll_voxels(count):
        """Give the volume other voxels: the patient moves up by so many slices."""
        array = slicer.util.arrayFromVolume(page.scene.volume_node)
        slicer.util.updateVolumeFromArray(page.scene.volume_node, np.roll(array, count, axis=0))

    def time_of_level():
        """Milliseconds that one step of scrolling takes to be read and told."""
        readout, view = page.reading._readout, page.views.slices["Axial"]
        low, high = view.get_slice_range()
        spent = 0.0
        for value in np.linspace(low, high, 100):
            view.set_slice_value(float(value))
            start = time.process_time()
            readout._onView(view.get_view_node(), None)
            spent += time.process_time() - start
        return 10 * spent

    def slice_to_ras():
        """view -> (4, 4)."""
        views = page.views.slices.items()
        return {
            name: slicer.util.arrayFromVTKMatrix(view.get_view_node().GetSliceToRAS()).tolist() for name, view in views
        }

    def plane_of(name):
        """view -> (4, 4) that shows the plane of a vertebra or disc."""
        plane = levels.planeOf(page.scene.points_node, name)
        return {view: plane.slice_to_ras(view).tolist() for view in page.views.slices}

    def exchange(one, other):
        """Two points change places, as only another program would do it."""
        node, found = page.scene.points_node, positions()
        for each in levelPoints(node):
            if each.point.level in (one, other):
                node.SetNthControlPointPositionWorld(each.index, found[one if each.point.level == other else other])

    def read_slowly(seconds):
        """Served scans take a while to be read from now on."""
        read = scans.read_job

        def slow(job):
            time.sleep(seconds)
            return read(job)

        scans.read_job = slow

    def break_straightening():
        """The memory is too small to straighten anything from now on."""

        def broken(*_):
            raise MemoryError

        straight_strip.straightVolume = broken

    def refuse_slowly(seconds):
        """A straightened volume takes a while to be saved, and then cannot be made, from now on."""

        def refuse(*_):
            time.sleep(seconds)
            raise InputError("It cannot be made.")

        writer = transfers.WRITERS[transfers.STRAIGHT]
        transfers.WRITERS[transfers.STRAIGHT] = writer._replace(write=refuse)

    def flood(size):
        """So many bytes of pictures, of no view, are on their way at once."""
        trame_server.protocol_call("trame.rca.push", "none", {}, np.random.default_rng(0).bytes(size))

    def lose_pictures(seconds):
        """No picture reaches the browser for a while."""
        seen.lost_until = time.monotonic() + seconds

    def pictures():
        """How many were drawn for the browser."""
        return seen.drawn

    looks = (positions, place, hovered, to_world, window, nodes, time_of_level, slice_to_ras, plane_of, pictures)
    for function in (
        *looks,
        roll_voxels,
        exchange,
        read_slowly,
        break_straightening,
        refuse_slowly,
        flood,
        lose_pictures,
    ):
        trame_server.controller.trigger(f"test_{function.__name__}")(function)


if __name__ == "__main__":
    given, *files = sys.argv[1:]
    given = json.loads(given)
    stay = server.Stay(given.pop("grace"), given.pop("keep"))
    server.serve(scans.served_scans(files), server.Options(stay=stay, **given), look_into)
