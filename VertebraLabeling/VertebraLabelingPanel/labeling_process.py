"""The labeling process as Slicer holds it, and the one that stays ready for the next run."""

import shutil
from pathlib import Path

import qt
import slicer
from VertebraLabelingLib.background import labeling_process
from VertebraLabelingLib.errors import VertebraLabelingError

MODULE_FOLDER = Path(__file__).resolve().parents[1]
FINISH_MS = 3000
STDERR_BYTES, STDERR_LINES = 65536, 20


def pythonSlicer():
    """Path of Slicer's Python interpreter.

    Raises:
        VertebraLabelingError: it is not on the path.
    """
    path = shutil.which("PythonSlicer")
    if not path:
        raise VertebraLabelingError("PythonSlicer was not found: start Slicer through its launcher.")
    return path


class LabelingProcess:
    """A process that does one job at a time; whoever runs one sets the two callbacks for as long.

    Args:
        madeOf: what it is made of; see :func:`VertebraLabelingLib.background.engine_files.made_of`.

    Attributes:
        onMessage: called with each message of the process, a dictionary.
        onEnded: called once, with the reason or "", when the process has ended by itself.

    Raises:
        VertebraLabelingError: there is no interpreter to start.
    """

    def __init__(self, madeOf):
        self.madeOf, self.onMessage, self.onEnded = madeOf, None, None
        self._output, self._stderr = b"", b""
        program = pythonSlicer()
        process = self._process = qt.QProcess(slicer.app)  # without a parent it dies inside its own signal
        process.setWorkingDirectory(str(MODULE_FOLDER))  # "-m" finds the engine there
        process.connect("readyReadStandardOutput()", self._onOutput)
        process.connect("readyReadStandardError()", self._onStandardError)
        process.connect("finished(int,QProcess::ExitStatus)", self._onFinished)
        process.connect("errorOccurred(QProcess::ProcessError)", self._onError)
        process.start(program, ["-m", labeling_process.__name__, labeling_process.JOBS])

    @property
    def running(self):
        return self._process is not None and self._process.state() != qt.QProcess.NotRunning

    @property
    def lastLines(self):
        """The end of what it wrote to its standard error, for the log."""
        return "\n".join(self._stderr.decode("utf-8", "replace").splitlines()[-STDERR_LINES:])

    def send(self, job):
        """Give it a job; only its messages from here on belong to that."""
        if self.running:
            self._process.write(job.to_line())

    def release(self):
        """The run that used it is over."""
        self.onMessage = self.onEnded = None
        self._stderr = b""

    def end(self):
        """End it now; what it was doing is lost."""
        self.release()
        process, self._process = self._process, None
        if process is None:
            return
        if process.state() != qt.QProcess.NotRunning:
            # PythonSlicer is a launcher: killing it leaves the interpreter that it started. Closing the standard
            # input ends that one by itself (VertebraLabelingLib.background.job_queue).
            process.closeWriteChannel()
            process.kill()
            process.waitForFinished(FINISH_MS)
        process.deleteLater()

    def _onOutput(self):
        if self._process is None:
            return
        self._output += bytes(self._process.readAllStandardOutput().data())
        *lines, self._output = self._output.split(b"\n")
        for line in lines:
            message = labeling_process.parse_message(line)
            if message and self.onMessage:
                self.onMessage(message)

    def _onStandardError(self):
        if self._process is not None:
            self._stderr = (self._stderr + bytes(self._process.readAllStandardError().data()))[-STDERR_BYTES:]

    def _onError(self, *unused):
        if self._process is not None and self._process.state() == qt.QProcess.NotRunning:
            self._tellEnd(self._process.errorString())

    def _onFinished(self, *unused):
        self._onOutput()
        self._onStandardError()
        self._tellEnd("")

    def _tellEnd(self, reason):
        if self._process is None:
            return
        onEnded, self.onEnded = self.onEnded, None
        if onEnded:
            onEnded(reason)
        else:
            self.end()


class ReadyProcess:
    """Keeps at most one process that has nothing to do; it ends itself after a while, or where memory is short."""

    def __init__(self):
        self._process = None

    def take(self, madeOf):
        """The kept process, if it is made of the same and still there; else ``None``."""
        process = self._letGo()
        if process is None:
            return None
        if process.running and process.madeOf == madeOf:
            return process
        process.end()
        return None

    def keep(self, process):
        """Keep a process that is fit for another job."""
        process.release()
        self.end()
        if process.running:
            self._process = process
            process.onEnded = self._onEnded
            slicer.app.connect("aboutToQuit()", self.end)
        else:
            process.end()

    def end(self):
        """End the kept process."""
        process = self._letGo()
        if process is not None:
            process.end()

    def _letGo(self):
        process, self._process = self._process, None
        if process is not None:
            slicer.app.disconnect("aboutToQuit()", self.end)
        return process

    def _onEnded(self, reason):
        self.end()


ready = ReadyProcess()
"""The one of this application."""
