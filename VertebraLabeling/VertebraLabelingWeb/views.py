"""The four views: three slices and 3D, rendered here and shown in the browser as pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import slicer
from trame_slicer.core import SlicerApp
from trame_slicer.rca_view import register_rca_factories
from trame_slicer.views import SliceView, ViewLayoutDefinition
from VertebraLabelingMRML.levels import axesBefore
from vtkmodules.vtkCommonCore import vtkCommand

SLICES = ("Sagittal", "Coronal", "Axial")
THREE_D = "ThreeD"
NAMES = (*SLICES, THREE_D)
QUALITY_IN_MOTION = 70  # JPEG; a picture of quality 90 follows when the view rests
SAMPLES = 4  # for each pixel of the slice views
BACKGROUND = ("#0b0d10", "#1b222a")
UPDATE_MS, RESIZED_MS = 30, 120
SPINE_MARGIN_MM = 35.0
MIN_WIDTH_MM = 90.0

Later = Callable[[int, Callable[[], None]], None]


class Views:
    """Creates the views and moves them.

    Args:
        server: trame server; the views appear in its page as templates named as in :data:`NAMES`.
        app: the scene and its view manager.
        later: ``later(ms, function)`` calls a function from the event loop.
        on_moved: called after slices were moved, with what to tell about each; see :func:`slice_state`.
    """

    def __init__(self, server, app: SlicerApp, later: Later, on_moved: Callable[[dict], None]) -> None:
        self._later, self._on_moved = later, on_moved
        self._pending: set[Callable] = set()
        self._manager, self._display = app.view_manager, app.display_manager
        self._framed: Sequence[Sequence[float]] = ()
        nothing = _no_buttons
        register_rca_factories(
            self._manager, server, nothing, nothing, rca_encoder="jpeg", interactive_quality=QUALITY_IN_MOTION
        )
        for name in SLICES:
            self._manager.create_view(ViewLayoutDefinition.slice_view(name))
        self._manager.create_view(ViewLayoutDefinition.threed_view(name=THREE_D, background_color=BACKGROUND))
        self._manager.set_current_view_ids(list(NAMES))
        self.three_d.render_window().SetMultiSamples(0)  # in software FXAA takes a third of the time
        self.three_d.renderer().UseFXAAOn()
        for view in self.slices.values():
            view.render_window().SetMultiSamples(SAMPLES)
            view.get_view_node().AddObserver(vtkCommand.ModifiedEvent, self._on_slice_modified)
            view.render_window().AddObserver(vtkCommand.WindowResizeEvent, self._on_resized)

    @property
    def slices(self) -> dict[str, SliceView]:
        """The slice views by name."""
        return {name: self._manager.get_view(name) for name in SLICES}

    @property
    def three_d(self):
        """The 3D view."""
        return self._manager.get_view(THREE_D)

    def show(self, volume_node) -> None:
        """Show a volume in the slices, all of it; ``None`` to show nothing."""
        self._framed = ()
        self._display.show_volume_in_slice_background(volume_node)
        for view in self.slices.values():
            view.reset_view()

    def show_whole_3d(self) -> None:
        """Look at the whole 3D scene from behind and the left."""
        self.three_d.fit_view_to_content()
        camera = self.three_d.get_camera_node().GetCamera()
        focus, distance = np.array(camera.GetFocalPoint()), camera.GetDistance()
        direction = np.array([-0.75, -0.65, 0.12])
        camera.SetPosition(*(focus + 1.1 * distance * direction / np.linalg.norm(direction)))
        camera.SetViewUp(0.0, 0.0, 1.0)
        self.three_d.renderer().ResetCameraClippingRange()
        self.three_d.schedule_render()

    def frame(self, places: Sequence[Sequence[float]]) -> None:
        """Fit sagittal and coronal views to points (N, 3) RAS mm with a margin; to the whole scan where there are none.

        The axial view shows the whole slice. Views in the plane of a vertebra or disc stay in it.
        """
        self._framed = places
        for name, view in self.slices.items():
            self._fit(name, keep=not len(places) or name == "Axial" or _is_turned(view))

    def _fit(self, name: str, keep: bool) -> None:
        """Fit a view to the framed points; ``keep``: its slice stays."""
        view = self.slices[name]
        offset = view.get_slice_value()
        view.fit_view_to_content()
        if len(self._framed) and name != "Axial":
            _frame(view, np.asarray(self._framed, float))
        if keep:
            view.set_slice_value(offset)

    def scroll(self, name: str, steps: int) -> None:
        """Go some slices further in a view."""
        view = self.slices[name]
        self.place(name, view.get_slice_value() + steps * view.get_slice_step())

    def place(self, name: str, value: float) -> None:
        """Go to a slice offset (mm along the slice's normal), within the scan."""
        low, high = self.slices[name].get_slice_range()
        self.slices[name].set_slice_value(min(max(value, low), high))

    def _on_slice_modified(self, *_) -> None:
        self._soon(UPDATE_MS, self._tell)

    def _on_resized(self, *_) -> None:
        self._soon(RESIZED_MS, self._refit)

    def _refit(self) -> None:
        """The views have another size: they show as much as before, around the same place."""
        for name, view in self.slices.items():
            if view.get_background_volume_id() and not _is_turned(view):
                node = view.get_view_node()
                place = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())[:3, 3].copy()
                self._fit(name, keep=True)
                node.JumpSliceByCentering(*place)

    def _tell(self) -> None:
        self._on_moved({name: slice_state(view) for name, view in self.slices.items()})

    def _soon(self, ms: int, function: Callable[[], None]) -> None:
        """Call a function in a while, once for all that happens until then."""
        if function in self._pending:
            return
        self._pending.add(function)

        def call() -> None:
            self._pending.discard(function)
            function()

        self._later(ms, call)


def slice_state(view: SliceView) -> dict:
    """What the page shows of a slice: range and value of the slider, position in words, letters at the edges."""
    low, high = view.get_slice_range()
    matrix = slicer.util.arrayFromVTKMatrix(view.get_view_node().GetSliceToRAS())
    axis = int(np.abs(matrix[:3, 2]).argmax())
    position = matrix[axis, 3]
    right, top = (_letter(matrix[:3, column]) for column in (0, 1))
    left, bottom = (_letter(-matrix[:3, column]) for column in (0, 1))
    return {
        "min": round(low, 3),
        "max": round(high, 3),
        "step": round(view.get_slice_step(), 3) or 1.0,
        "value": round(view.get_slice_value(), 3),
        "text": f"{'RAS'[axis] if position >= 0 else 'LPI'[axis]} {abs(position):.1f} mm",
        "letters": {"left": left, "right": right, "top": top, "bottom": bottom},
    }


def _letter(direction: np.ndarray) -> str:
    """The patient's side that a direction in RAS points to most."""
    axis = int(np.abs(direction).argmax())
    return "RAS"[axis] if direction[axis] > 0 else "LPI"[axis]


def _frame(view: SliceView, places: np.ndarray) -> None:
    node = view.get_view_node()
    matrix = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
    center = (places.min(axis=0) + places.max(axis=0)) / 2
    extent = np.abs((places - center) @ matrix[:3, :2]).max(axis=0) * 2 + 2 * SPINE_MARGIN_MM
    width, height = (max(1, size) for size in view.render_window().GetSize())
    mm_per_pixel = max(extent[1] / height, max(extent[0], MIN_WIDTH_MM) / width)
    node.SetFieldOfView(mm_per_pixel * width, mm_per_pixel * height, node.GetFieldOfView()[2])
    node.JumpSliceByCentering(*center)
    middle = places[len(places) // 2]
    node.JumpSliceByOffsetting(*middle)


def _is_turned(view: SliceView) -> bool:
    """Whether a view is in the plane of a vertebra or disc."""
    return axesBefore(view.get_view_node()) is not None


def _no_buttons(*_) -> None:
    """The page has its own labels and sliders."""
