"""The page: takes what the user does to the scene, and what happens in the scene to the browser."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from VertebraLabelingLib.background import labeling_process
from VertebraLabelingLib.batch.inputs import ScanJob
from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingMRML import labeling, wording
from VertebraLabelingMRML.found_in import ChangedVolumeError
from VertebraLabelingMRML.points import readLabels

from . import labeling_run
from .kept_points import KeptPoints
from .offers import Offers
from .opening import Opening
from .page_state import OF_BROWSER, STATE, initial
from .questions import Answer, Questions
from .reading_section import ReadingSection
from .results import Results
from .scene import WINDOWS, Scene
from .session_folder import SessionFolder
from .unsaved import Unsaved
from .views import Views

KEEP_OR_NOT = "label it without these points, keep them as they stand, or cancel and check them?"
UNEXPECTED = "Something unexpected went wrong: the log of the server has the details."

log = logging.getLogger(__name__)


class Page:
    """One browser session at a time, one scan at a time.

    Args:
        server: trame server.
        store: keeps corrections that are not saved.
        jobs: scans that the command line names; a single one is opened for each session.
        labeler: what labels, and its arguments; see :mod:`VertebraLabelingLib.background.labeling_process`.
        upload_limit: bytes; the page tells it.
    """

    def __init__(
        self,
        server,
        store: KeptPoints,
        jobs: Sequence[ScanJob] = (),
        labeler: str = labeling_process.NETWORK,
        arguments: dict[str, object] | None = None,
        upload_limit: int = 0,
    ) -> None:
        self._state = server.state
        self._labeler, self._arguments = labeler, arguments or {}
        self._run: asyncio.Task | None = None
        self.folder, self.store = SessionFolder(), store
        self._state.update(initial(jobs, upload_limit))
        self._state.client_only(*OF_BROWSER)
        self.scene = Scene()
        self.views = Views(server, self.scene.app, self.later, self._on_moved)
        self.questions = Questions(self._state)
        self.unsaved = Unsaved(self._state, self.scene, store, self.later)
        self.reading = ReadingSection(self._state, self.scene, self.views, self.later, self.fail)
        self.results = Results(self._state, self.later, self.fail, self._on_points)
        self.opening = Opening(
            *(self._state, jobs, self.scene, self.views, self.unsaved, self.questions),
            before=self.cancel,
            close=self._close,
            after=lambda: self.offers.ask(),
            fail=self.fail,
        )
        self.offers = Offers(self.scene, store, self.questions, self.opening.again, self._on_put_back)
        self._register(server.controller)
        self._state.change("show_bone")(self._on_show_bone)

    def _register(self, controller) -> None:
        """What the page's template and script can ask for."""
        results = self.results
        actions = {
            "open_sample": self.opening.sample,
            "open_served": lambda number: self.opening.served(int(number)),
            "answer": lambda number: self.questions.answer(int(number)),
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
            "count_by": self._without_run(results.count_by),
            "choose_rule": self._without_run(results.choose_rule),
            "prefer": results.prefer,
            "undo": results.undo,
            **self.reading.actions(),
        }
        without_scan = {"open_sample", "open_served", "answer", "cancel", "prefer"}
        for name, action in actions.items():
            controller.trigger(name)(self._guarded(action, name in without_scan))
        controller.on_client_connected.add(self._guarded(self.begin, True))

    # -- sessions

    def begin_session(self, session: str) -> None:
        """A session has got the page."""
        self.unsaved.session = session
        self.offers.begin(session)

    def begin(self) -> None:
        """A browser has connected: open the scan that was named, or offer what was kept of an earlier session."""
        self.opening.begin()
        if not self.opening.under_way:
            self.offers.ask()

    def end(self) -> None:
        """The session has ended: nothing of it stays in the scene, and of its files only unsaved corrections."""
        self.opening.stop()
        with self._state:
            self._close()
            self._state.update(STATE)
        self.folder.remove()

    # -- the scan

    def _close(self) -> None:
        """Close the scan; unsaved corrections stay on the disk, unless the user has given them up.

        A run ends with its scan: its points must not come to the next one.
        """
        if self._run is not None:
            self._run.cancel()
            self._run, self._state.running = None, False
        self.questions.clear()
        self.results.show(None)
        self.unsaved.close()
        self.views.show(None)
        self.scene.close()
        self._state.update({"scan_name": "", "message": ""})

    def saved(self) -> None:
        """The points were written to a file that the user has."""
        with self._state:
            self.unsaved.settle()
            self.opening.on_saved()

    def refuse(self, error: VertebraLabelingError) -> None:
        """A file that the user wanted cannot be made."""
        with self._state:
            self.fail(error)

    def tell(self, text: str) -> None:
        """Something about a file that was made."""
        with self._state:
            self._state.message = text

    # -- labeling

    def label(self, keep: bool | None = None) -> None:
        """Start a run, unless one is under way or another scan is being read; ask where settled points were found in
        another image.

        Args:
            keep: the answer; see :func:`VertebraLabelingMRML.labeling.prepare`.
        """
        if self._run is not None or self._state.busy_text:
            return
        self._state.update({"error": "", "message": ""})
        try:
            request = labeling.prepare(self.scene.volume_node, self.results.node, keep=keep, count=self.results.rule)
        except ChangedVolumeError as error:
            self.questions.ask(
                "keep",
                error.sentence(KEEP_OR_NOT),
                Answer("Label without them", lambda: self.label(keep=False)),
                Answer("Keep them as they stand", lambda: self.label(keep=True)),
                Answer("Cancel", self._tell_nothing_labeled),
            )
            return
        self._state.update({"running": True, "progress": 0, "stage": "Starting"})
        self._run = asyncio.get_running_loop().create_task(self._labeled(request))
        self._run.add_done_callback(self._on_run_over)

    def _tell_nothing_labeled(self) -> None:
        self._state.message = "Nothing was labeled."

    def cancel(self) -> None:
        """End the run; the scene stays as it was."""
        if self._run is not None:
            self._run.cancel()

    async def _labeled(self, request: labeling.Request) -> str:
        """Label, and show the result; returns a sentence about it."""
        before = readLabels(self.results.node) if self.results.node is not None else None
        labels = await labeling_run.label(
            request, self.folder.path(), self._on_progress, self._labeler, self._arguments
        )
        corrected = self.unsaved.any
        node = labeling.finish(request, labels)
        self.scene.points_node = node
        if not corrected:
            self.unsaved.settle()
        if before is not None:
            self.results.editor.undoStack.remember(node, "labeling", before)
        return self._show_result(node)

    def _on_run_over(self, task: asyncio.Task[str]) -> None:
        """Tell what became of a run; one whose scan was closed meanwhile says nothing."""
        failure = None if task.cancelled() else task.exception()
        if self._run is not task:
            return
        self._run = None
        with self._state:
            self._state.running = False
            if failure is not None:
                self.fail(failure)
            else:
                self._state.message = "Labeling was canceled." if task.cancelled() else task.result()

    def _on_put_back(self, node) -> None:
        self.scene.points_node = node
        self._show_result(node)
        self.unsaved.keep()
        self._state.message = "The corrections were put back: they are not saved yet."

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
            self.reading.strip.draw()

    def _on_show_bone(self, show_bone, **_) -> None:
        if self.scene.bone_node is not None:
            self.scene.bone_node.SetDisplayVisibility(bool(show_bone))

    def _on_points(self, node) -> None:
        self.unsaved.update()
        self.reading.update(node)

    def _on_moved(self, slices: dict) -> None:
        self._state.slices = slices if self.scene.volume_node is not None else {}
        self.reading.on_moved()

    # -- errors and the event loop

    def fail(self, error: BaseException) -> None:
        """Tell the user why something was not done; what is no sentence for users goes to the log."""
        expected = isinstance(error, VertebraLabelingError)
        if not expected:
            log.error("unexpected", exc_info=error)
        self._state.error = str(error) if expected else UNEXPECTED

    def later(self, ms: int, function: Callable[[], None]) -> None:
        """Call a function from the event loop and send what it changed to the browser."""
        asyncio.get_event_loop().call_later(ms / 1000, self._guarded(function, True))

    def _without_run(self, action: Callable) -> Callable:
        """An action that waits for the end of a run, which has begun with what it would change."""
        return lambda *arguments: None if self._run is not None else action(*arguments)

    def _guarded(self, action: Callable, without_scan: bool) -> Callable:
        def call(*arguments) -> object:
            if self.scene.volume_node is None and not without_scan:
                return None
            with self._state:
                try:
                    return action(*arguments)
                except Exception as error:
                    self.fail(error)
            return None

        return call
