"""Opens scans: beside the event loop, one at a time, and never over unsaved corrections without a question."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from VertebraLabelingLib.batch.inputs import ScanJob
from VertebraLabelingLib.scans import sample_ct
from VertebraLabelingMRML.bone_surface import boneSurface

from . import scans
from .questions import Answer, Questions
from .scene import Scene
from .unsaved import Unsaved
from .views import Views

ABOUT = "replace"
BUSY = "Another scan is being opened: send this one again when it is there."

Read = Callable[[], scans.OpenScan]
Waiting = tuple[str, Callable[[], None], "Callable[[], None] | None"]  # what is asked, on yes, on no


class Opening:
    """Puts scans into the scene and shows them.

    Args:
        state: trame state.
        jobs: scans that the command line names.
        scene: takes the scan up.
        views: show it.
        unsaved: knows what would be lost.
        questions: asks.
        before: ends a run; called when a scan is about to be read.
        close: closes the scan that is open.
        after: called when a scan is open and drawn.
        fail: tells an error.
    """

    def __init__(
        self,
        state,
        jobs: Sequence[ScanJob],
        scene: Scene,
        views: Views,
        unsaved: Unsaved,
        questions: Questions,
        *,
        before: Callable[[], None],
        close: Callable[[], None],
        after: Callable[[], None],
        fail: Callable[[Exception], None],
    ) -> None:
        self._state, self._jobs, self._scene, self._views = state, list(jobs), scene, views
        self._unsaved, self._questions = unsaved, questions
        self._before, self._close, self._after, self._fail = before, close, after, fail
        self._task: asyncio.Task | None = None
        self._waiting: Waiting = ("", lambda: None, None)

    def begin(self) -> None:
        """A browser has connected: open the scan that was named, unless a scan is open already."""
        if len(self._jobs) == 1 and self._scene.volume_node is None and self._task is None:
            self.served(0)

    def stop(self) -> None:
        """Give up what is being opened."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    @property
    def under_way(self) -> bool:
        """Whether a scan is being opened."""
        return self._task is not None

    def served(self, number: int) -> None:
        """Open a scan that the command line named."""
        if 0 <= number < len(self._jobs):
            job = self._jobs[number]
            self._ask_or_open(lambda: scans.read_job(job), f"'{job.name}'", f"Reading {job.name} …")

    def sample(self) -> None:
        """Open the sample CT, downloaded on first use."""
        there = (scans.sample_folder() / sample_ct.FILE_NAME).is_file()
        text = "Reading the sample CT …" if there else "Downloading the sample CT (35 MB) …"
        self._ask_or_open(scans.read_sample, "the sample CT", text)

    def again(self, origin: str, now: bool) -> bool:
        """Open the scan of an origin (:class:`scans.OpenScan`); false where only the user can.

        Args:
            origin: of the scan.
            now: open it; otherwise only say whether it could be.
        """
        numbers = [number for number, job in enumerate(self._jobs) if scans.origin_of(job) == origin]
        if now and numbers:
            self.served(numbers[0])
        elif now and origin == scans.SAMPLE:
            self.sample()
        return bool(numbers) or origin == scans.SAMPLE

    def upload(self, path: Path, folder: Path) -> None:
        """Open what the browser sent; its files are deleted as soon as they are read."""

        def read() -> scans.OpenScan:
            try:
                return scans.read_upload(path)
            finally:
                drop()

        def drop() -> None:
            shutil.rmtree(folder, ignore_errors=True)

        with self._state:
            if self._task is not None or self._questions.about == ABOUT:
                drop()
                self._state.error = BUSY
            else:
                self._ask_or_open(read, "the uploaded CT", "Reading the CT …", drop)

    def on_saved(self) -> None:
        """The corrections are in a file now: a question that speaks of them says so."""
        if self._questions.about == ABOUT:
            self._ask(f"The corrections of '{self._scene.name}' are saved")

    def _ask_or_open(self, read: Read, what: str, text: str, drop: Callable[[], None] | None = None) -> None:
        if self._task is not None:
            return
        if not self._unsaved.any:
            self._open(read, text)
            return
        self._waiting = (f"open {what}", lambda: self._give_up_and_open(read, text), drop)
        self._ask(f"The corrections of '{self._scene.name}' are not saved")

    def _ask(self, text: str) -> None:
        what, go, drop = self._waiting
        save = (Answer("Save .mrk.json", href="save/mrk.json"),) if self._unsaved.any else ()
        label, end = ("Open without saving", "all the same") if self._unsaved.any else ("Open", "now")
        self._questions.ask(ABOUT, f"{text}: {what} {end}?", *save, Answer(label, go), Answer("Cancel", drop))

    def _give_up_and_open(self, read: Read, text: str) -> None:
        self._unsaved.give_up()
        self._open(read, text)

    def _open(self, read: Read, text: str) -> None:
        self._before()
        self._state.update({"busy_text": text, "error": ""})
        self._task = asyncio.get_running_loop().create_task(self._opened(read))

    async def _opened(self, read: Read) -> None:
        """Read a scan beside the event loop and show it, then the surface of its bone."""
        state, scene = self._state, self._scene
        try:
            opened = await asyncio.to_thread(read)
            with state:
                self._close()
                scene.open(opened)
                self._views.show(scene.volume_node)
                state.update({"scan_name": opened.name, "busy_text": "", "window_name": "Bone"})
                state.message = " ".join(opened.scan.notes)
            surface = await asyncio.to_thread(boneSurface, scene.volume_node)
            scene.show_bone(surface)
            scene.bone_node.SetDisplayVisibility(bool(state.show_bone))
            self._views.show_whole_3d()
        except Exception as error:
            with state:
                self._fail(error)
        finally:
            if self._task is asyncio.current_task():
                self._task = None
                with state:
                    state.busy_text = ""
                    self._after()
