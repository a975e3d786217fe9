"""The straightened spine in a strip beside the views, in step with the vertebrae; a click takes the views there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
from VertebraLabelingLib.core.anatomy import region
from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.core.straight_spine import StraightSpine
from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingLib.preprocessing.straight_volume import VOXEL_MM
from VertebraLabelingMRML import levels
from VertebraLabelingMRML.engine import straightVolume
from VertebraLabelingMRML.place_mark import PlaceMark
from VertebraLabelingMRML.points import levelPoints
from VertebraLabelingMRML.straightened import curveIn, isInScan
from VertebraLabelingMRML.turned_views import usualViews

from .scene import Scene
from .strip_pictures import FRONT, SIDE, StripPictures
from .views import Views

SETTLE_S = 0.3  # after the last change of a place
MIDDLE = np.zeros(3)  # of the pictures: the line through the vertebrae


class StraightStrip:
    """Straightens the open scan while the user wants to see it, beside the event loop.

    Args:
        state: trame state; ``strip_wanted``, ``strip`` (pictures, points) and ``strip_mark`` are kept up to date.
        scene: whose scan it is.
        views: go where the user clicks.
        fail: tells an error.
    """

    def __init__(self, state, scene: Scene, views: Views, fail: Callable[[BaseException], None]) -> None:
        self._state, self._scene, self._views, self._fail = state, scene, views, fail
        self._node, self._task, self._straightened = None, None, ()
        self._spine: StraightSpine | None = None
        self._pictures: StripPictures | None = None
        self._place, self._mark = MIDDLE, PlaceMark()

    def want(self, wanted: bool) -> None:
        """Show the strip, or take it away."""
        if not wanted:
            self.close()
        elif self._node is not None:
            self._state.strip_wanted = True
            self.update(self._node)

    def update(self, node) -> None:
        """The points may have changed; ``None``, or another node, where there are others or none."""
        if node is not self._node:
            self.close()
        self._node = node
        if not self._state.strip_wanted:
            return
        if self._places() != self._straightened:
            self._state.strip_stale = True
            self._task = self._task or asyncio.get_running_loop().create_task(self._follow())
        elif self._spine is not None:
            self._tell_points()

    def close(self) -> None:
        """Nothing of it stays."""
        if self._task is not None:
            self._task.cancel()
        self._task, self._straightened = None, ()
        self._let_go()
        self._state.strip_wanted, self._state.strip_stale = False, False

    def draw(self) -> None:
        """Make the pictures anew: the spine, the window or the place has changed."""
        if self._spine is None:
            return
        display = self._scene.volume_node.GetDisplayNode()
        look = display.GetWindow(), display.GetLevel()
        self._state.strip = {
            name: {
                "image": self._pictures.picture(name, self._place, *look),
                "aspect": round(self._pictures.aspect(name), 4),
            }
            for name in (SIDE, FRONT)
        }
        self._tell_points()
        self.mark()

    def mark(self) -> None:
        """Show the level of the axial view in the pictures, and where the user has clicked."""
        if self._spine is None:
            return
        place = levels.placeOfView(self._node, self._views.slices["Axial"].get_view_node())
        straight = self._spine.to_straight([place])[0] if place is not None else None
        seen = straight is not None and bool(self._spine.holds(straight)[0])
        self._state.strip_mark = round(100 * self._pictures.shown_at(SIDE, straight)[1], 2) if seen else None

    def go_to(self, name: str, x: float, y: float) -> None:
        """A click in a picture, at shares of its width and height: all views go there, if it is in the scan."""
        if self._spine is None or name not in (SIDE, FRONT):
            return
        place = self._pictures.place_at(name, x, y, self._place)
        world = tuple(self._spine.to_world(place)[0].tolist())
        if not isInScan(self._scene.volume_node, world):
            return
        self._place = place
        views = [view for view, _ in usualViews()]
        for view in views:
            view.JumpSliceByCentering(*world)
        self._mark.show(world, [view.GetID() for view in views])
        self.draw()

    async def _follow(self) -> None:
        """Straighten until it is done along the points as they are now."""
        try:
            while (places := self._places()) != self._straightened:
                if self._straightened:
                    await asyncio.sleep(SETTLE_S)
                    if places != self._places():
                        continue
                await self._straighten(places)
        except Exception as error:
            with self._state:
                self._let_go()  # it shows what is not true any more
                self._fail(error)
        finally:
            if self._task is asyncio.current_task():
                self._task = None
                with self._state:
                    self._state.strip_stale = False

    async def _straighten(self, places: tuple) -> None:
        self._straightened, node = places, self._node
        try:
            volume, _, spine = curveIn(self._scene.volume_node, node)
        except VertebraLabelingError as error:  # nothing is shown rather than what is not true any more
            with self._state:
                self._let_go()
                self._fail(error)
            return
        straight = await asyncio.to_thread(straightVolume, volume, spine, VOXEL_MM)
        if places != self._places():
            return
        with self._state:
            self._spine, self._pictures, self._place = spine, StripPictures(straight), MIDDLE
            self._mark.hide()
            self.draw()

    def _let_go(self) -> None:
        self._spine, self._pictures, self._place = None, None, MIDDLE
        self._mark.hide()
        self._state.update({"strip": {}, "strip_points": [], "strip_mark": None})

    def _labels(self) -> SpineLabels:
        return SpineLabels(tuple(each.point for each in levelPoints(self._node)))

    def _places(self) -> tuple:
        """What the curve depends on: places from head to foot."""
        try:
            return tuple(tuple(round(value, 2) for value in point.ras) for point in self._labels().points)
        except VertebraLabelingError:  # a level twice for a moment
            return self._straightened

    def _tell_points(self) -> None:
        """The points where the pictures show them, as they are named now."""
        self._state.strip_points = [
            {
                "level": point.level,
                "region": region(point.level),
                "unsure": point.is_uncertain(),
                **{name: _percent(self._pictures.shown_at(name, np.array(point.ras))) for name in (SIDE, FRONT)},
            }
            for point in self._spine.labels(self._labels()).points
        ]


def _percent(shares: tuple[float, float]) -> list[float]:
    return [round(100 * share, 2) for share in shares]
