"""The page: takes what the user does to the scene, and what happens in the scene to the browser."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from VertebraLabelingLib.background import labeling_process
from VertebraLabelingLib.batch.inputs import ScanJob
from VertebraLabelingLib.errors import InputError, VertebraLabelingError
from VertebraLabelingLib.scans import sample_ct
from VertebraLabelingMRML import labeling, wording
from VertebraLabelingMRML.found_in import ChangedVolumeError
from VertebraLabelingMRML.points import readLabels

from . import labeling_run, scans
from .page_state import STATE, initial
from .results import Results
from .scene import WINDOWS, Scene
from .session_folder import SessionFolder
from .surface import bone_surface
from .views import Views

BUSY = "Another scan is being opened: send this one again when it is there."
GO_ON = "press Label vertebrae again to go on without these points."
UNEXPECTED = "Something unexpected went wrong: the log of the server has the details."

log = logging.getLogger(__name__)


class Page:
    """One browser session at a time, one scan at a time.

    Args:
        server: trame server.
        jobs: scans that the command line names; a single one is opened for each session.
        labeler: what labels, and its arguments; see :mod:`VertebraLabelingLib.background.labeling_process`.
        upload_limit: bytes; the page tells it.
    """

    def __init__(
        self,
        server,
        jobs: Sequence[ScanJob] = (),
        labeler: str = labeling_process.NETWORK,
        arguments: dict[str, object] | None = None,
        upload_limit: int = 0,
    ) -> None:
        self._state, self._jobs = server.state, list(jobs)
        self._labeler, self._arguments = labeler, arguments or {}
        self._opening: asyncio.Task | None = None
        self._run: asyncio.Task | None = None
        self._offered = False  # to label without the settled points
        self.folder = SessionFolder()
        self._state.update(initial(self._jobs, upload_limit))
        self.scene = Scene()
        self.views = Views(server, self.scene.app, self.later, self._on_moved)
        self.results = Results(self._state, self.later, self.fail)
        self._register(server.controller)
        self._state.change("show_bone")(self._on_show_bone)

    def _register(self, controller) -> None:
        """What the page's template and script can ask for."""
        results = self.results
        actions = {
            "open_sample": self.open_sample,
            "open_served": lambda number: self.open_served(int(number)),
            "label": self.label,
            "cancel": self.cancel,
            "window": self.window,
            "fit": lambda: self.views.frame(results.places()),
            "scroll": lambda view, steps: self.views.scroll(view, int(steps)),
            "slice": lambda view, value: self.views.place(view, float(value)),
            "choose": results.choose,
            "step": lambda step: results.step(int(step)),
            "name": results.name,
            "confirm": results.confirm,
            "shift": lambda step: results.shift(int(step)),
            "add": results.add,
            "delete": results.delete,
            "undo": results.undo,
        }
        without_scan = {"open_sample", "open_served", "cancel"}
        for name, action in actions.items():
            controller.trigger(name)(self._guarded(action, name in without_scan))
        controller.on_client_connected.add(self._guarded(self.begin, True))

    # -- sessions

    def begin(self) -> None:
        """A browser has connected: open the scan that was named, unless a scan is open already."""
        if len(self._jobs) == 1 and self.scene.volume_node is None and self._opening is None:
            self.open_served(0)

    def end(self) -> None:
        """The session has ended: nothing of it stays, neither in the scene nor on the disk."""
        for task in (self._opening, self._run):
            if task is not None:
                task.cancel()
        self._opening = self._run = None
        with self._state:
            self._close()
            self._state.update(STATE)
        self.folder.remove()

    # -- opening

    def open_served(self, number: int) -> None:
        """Open a scan that the command line named."""
        if 0 <= number < len(self._jobs):
            job = self._jobs[number]
            self._open(lambda: scans.read_job(job), f"Reading {job.name} …")

    def open_sample(self) -> None:
        """Open the sample CT, downloaded on first use."""
        there = (scans.sample_folder() / sample_ct.FILE_NAME).is_file()
        self._open(scans.read_sample, "Reading the sample CT …" if there else "Downloading the sample CT (35 MB) …")

    def open_upload(self, path: Path, folder: Path) -> None:
        """Open what the browser sent; its files are deleted as soon as they are read."""

        def read() -> scans.OpenScan:
            try:
                return scans.read_upload(path)
            finally:
                shutil.rmtree(folder, ignore_errors=True)

        with self._state:
            if not self._open(read, "Reading the CT …"):
                shutil.rmtree(folder, ignore_errors=True)
                self._state.update({"error": BUSY, "busy_text": ""})

    def _open(self, read: Callable[[], scans.OpenScan], text: str) -> bool:
        """Start to open a scan; false while another one is being opened."""
        if self._opening is not None:
            return False
        self.cancel()
        self._state.update({"busy_text": text, "error": ""})
        self._opening = asyncio.get_running_loop().create_task(self._opened(read))
        return True

    async def _opened(self, read: Callable[[], scans.OpenScan]) -> None:
        """Read a scan beside the event loop and show it, then the surface of its bone."""
        try:
            opened = await asyncio.to_thread(read)
            with self._state:
                self._close()
                self.scene.open(opened)
                self.views.show(self.scene.volume_node)
                self._state.update({"scan_name": opened.name, "busy_text": "", "window_name": "Bone"})
                self._state.message = " ".join(opened.scan.notes)
            surface = await asyncio.to_thread(bone_surface, self.scene.scan.volume)
            self.scene.show_bone(surface)
            self.scene.bone_node.SetDisplayVisibility(bool(self._state.show_bone))
            self.views.show_whole_3d()
        except Exception as error:
            with self._state:
                self.fail(error)
        finally:
            if self._opening is asyncio.current_task():
                self._opening = None
                with self._state:
                    self._state.busy_text = ""

    def _close(self) -> None:
        self._offered = False
        self.results.show(None)
        self.views.show(None)
        self.scene.close()
        self._state.update({"scan_name": "", "message": ""})

    # -- labeling

    def label(self) -> None:
        """Start a run, unless one is under way."""
        if self._run is not None:
            return
        self._state.update({"error": "", "message": ""})
        keep, self._offered = False if self._offered else None, False
        try:
            request = labeling.prepare(self.scene.volume_node, self.results.node, keep=keep)
        except ChangedVolumeError as error:
            self._offered = True
            raise InputError(error.sentence(GO_ON)) from error
        self._state.update({"running": True, "progress": 0, "stage": "Starting"})
        self._run = asyncio.get_running_loop().create_task(self._labeled(request))

    def cancel(self) -> None:
        """End the run; the scene stays as it was."""
        if self._run is not None:
            self._run.cancel()

    async def _labeled(self, request: labeling.Request) -> None:
        task = asyncio.current_task()
        message, failure = "", None
        try:
            before = readLabels(self.results.node) if self.results.node is not None else None
            labels = await labeling_run.label(
                request, self.folder.path(), self._on_progress, self._labeler, self._arguments
            )
            node = labeling.finish(request, labels)
            self.scene.points_node = node
            if before is not None:
                self.results.editor.undoStack.remember(node, "labeling", before)
            message = self._show_result(node)
        except asyncio.CancelledError:
            message = "Labeling was cancelled."
        except Exception as error:
            failure = error
        if self._run is task:  # else the session has ended
            self._run = None
            with self._state:
                self._state.update({"running": False, "message": message})
                if failure is not None:
                    self.fail(failure)

    def _show_result(self, node) -> str:
        with self._state:
            self.results.show(node)
            places = self.results.places()
            self.views.frame(places)
            rows = self._state.rows
            if rows:
                self.results.choose(rows[len(rows) // 2]["level"], jump=False)
        return wording.summary(node)

    def _on_progress(self, fraction: float, stage: str, seconds_left: float | None) -> None:
        with self._state:
            self._state.progress = round(100 * fraction)
            self._state.stage = wording.stageText(stage, seconds_left)

    # -- what is shown

    def window(self, name: str) -> None:
        """Show bone, soft tissue or lung."""
        if name in WINDOWS:
            self.scene.set_window(name)
            self._state.window_name = name

    def _on_show_bone(self, show_bone, **_) -> None:
        if self.scene.bone_node is not None:
            self.scene.bone_node.SetDisplayVisibility(bool(show_bone))

    def _on_moved(self, slices: dict) -> None:
        self._state.slices = slices if self.scene.volume_node is not None else {}

    # -- errors and the event loop

    def fail(self, error: Exception) -> None:
        """Tell the user why something was not done; what is no sentence for users goes to the log."""
        expected = isinstance(error, VertebraLabelingError)
        if not expected:
            log.error("unexpected", exc_info=error)
        self._state.error = str(error) if expected else UNEXPECTED

    def later(self, ms: int, function: Callable[[], None]) -> None:
        """Call a function from the event loop and send what it changed to the browser."""
        asyncio.get_event_loop().call_later(ms / 1000, self._guarded(function, True))

    def _guarded(self, action: Callable, without_scan: bool) -> Callable:
        def call(*arguments) -> None:
            if self.scene.volume_node is None and not without_scan:
                return
            with self._state:
                try:
                    action(*arguments)
                except Exception as error:
                    self.fail(error)

        return call
