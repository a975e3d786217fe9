"""The Set-up section: PyTorch, the network weights, and the sample CT. Nothing here runs before the user asks."""

import json
import re
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _
from VertebraLabelingLib.background import labeling_process
from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingLib.networks import weights
from VertebraLabelingLib.networks.model_card import read_licenses
from VertebraLabelingMRML.engine import torchVersion

from . import sample_data
from .labeling_process import MODULE_FOLDER, pythonSlicer
from .later import Later

MINIMUM_TORCH = ">=2.1"
MODEL_PATH = "VertebraLabeling/ModelPath"


class SetupSection:
    """Shows what is installed, and installs or removes it when asked.

    Args:
        ui: the panel's widgets.
        messages: :class:`messages.Messages`.
    """

    def __init__(self, ui, messages):
        self._ui, self._messages, self._process, self._scrollLater = ui, messages, None, None
        self._loading = self._labeling = False
        ui.installTorchButton.connect("clicked(bool)", self._onInstallTorch)
        ui.modelFolderButton.connect("clicked(bool)", self._onModelFolder)
        ui.loadSampleButton.connect("clicked(bool)", self._onLoadSample)
        ui.removeSampleButton.connect("clicked(bool)", self._onRemoveSample)
        ui.setupCollapsibleButton.connect("contentsCollapsed(bool)", self._onSetupFolded)
        ui.advancedCollapsibleButton.connect("contentsCollapsed(bool)", self._onAdvancedFolded)
        ui.modelPathLineEdit.currentPath = slicer.util.settingsValue(MODEL_PATH, "", converter=str)
        ui.modelPathLineEdit.connect("currentPathChanged(QString)", self._onModelPath)

    @property
    def weightsPath(self):
        """The model file the user chose; None for the shipped one."""
        return self._ui.modelPathLineEdit.currentPath.strip() or None

    def open(self):
        """Unfold the section and bring it into view."""
        self._ui.setupCollapsibleButton.collapsed = False
        self.update()
        self._scrollSoon()

    def setLabeling(self, labeling):
        """During a run no other volume can be loaded here: it would become the chosen one."""
        self._labeling = labeling
        self._ui.loadSampleButton.enabled = not self._loading and not self._labeling

    def update(self):
        """Say what is there. Reads the weights to check their hash, but imports nothing heavy."""
        version = torchVersion()
        self._ui.torchLabel.text = _("PyTorch {version}").format(version=version) if version else _("not installed")
        self._ui.installTorchButton.enabled = version is None
        self._ui.weightsLabel.text = weightsState(self.weightsPath)
        self._ui.licenseLabel.text, self._ui.licenseLabel.toolTip = licenseTexts(self.weightsPath)
        sample = sample_data.cachedFile()
        self._ui.sampleLabel.text = _("downloaded") if sample.is_file() else _("not downloaded")
        if self._loading:
            self._ui.sampleLabel.text = _("loading ...")
        self._ui.removeSampleButton.enabled = sample.is_file() and not self._loading
        self._ui.loadSampleButton.enabled = not self._loading and not self._labeling

    def askDevices(self):
        """Find out, in a process of its own, what PyTorch can compute on."""
        if self._process is not None or torchVersion() is None:
            return
        self._ui.deviceInfoLabel.text = _("looking for a GPU ...")
        self._process = qt.QProcess(slicer.app)  # without a parent it dies inside its own signal
        self._process.setWorkingDirectory(str(MODULE_FOLDER))
        self._process.connect("finished(int,QProcess::ExitStatus)", self._onDevices)
        self._process.connect("errorOccurred(QProcess::ProcessError)", self._onDevicesError)
        with self._messages.failing(lambda error: self._noDevices()):
            self._process.start(pythonSlicer(), ["-m", labeling_process.__name__, "--devices"])

    def stop(self):
        """End the process that looks for devices, if it still runs, and the timer of this section."""
        later, self._scrollLater = self._scrollLater, None
        if later is not None:
            later.stop()
        process, self._process = self._process, None
        if process is not None:
            process.closeWriteChannel()
            process.kill()
            process.waitForFinished(1000)
            process.deleteLater()

    def _onSetupFolded(self, folded):
        if not folded:
            self.update()
            self._scrollSoon()

    def _scrollSoon(self):
        """Scroll when the layout has made room for what was unfolded."""
        if self._scrollLater is None:
            self._scrollLater = Later(self._scroll)
        self._scrollLater.start(0)

    def _scroll(self):
        section = self._ui.setupCollapsibleButton
        area = section.parentWidget()
        while area is not None and not area.inherits("QScrollArea"):
            area = area.parentWidget()
        if area is not None and not section.collapsed:
            area.ensureWidgetVisible(section, 0, 0)

    def _onAdvancedFolded(self, folded):
        if not folded:
            self.askDevices()

    def _onDevices(self, *unused):
        if self._process is None:
            return
        process, self._process = self._process, None
        lines = bytes(process.readAllStandardOutput().data()).decode("utf-8", "replace").splitlines()
        process.deleteLater()
        self._ui.deviceInfoLabel.text = devicesText(lines)

    def _onDevicesError(self, *unused):
        if self._process is not None and self._process.state() == qt.QProcess.NotRunning:
            self._noDevices()

    def _noDevices(self):
        process, self._process = self._process, None
        if process is not None:
            process.deleteLater()
        self._ui.deviceInfoLabel.text = devicesText([])

    def _onInstallTorch(self):
        with self._messages.failing():
            installTorch()
            self._messages.endError()
        self.update()

    def _onModelPath(self, path):
        qt.QSettings().setValue(MODEL_PATH, path)
        self._messages.endError()
        self.update()

    def _onModelFolder(self):
        folder = Path(self.weightsPath).parent if self.weightsPath else weights.models_folder()
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder)))

    def _onLoadSample(self):
        self._loading = True  # Slicer stays alive during the download
        self.update()
        try:
            with self._messages.failing():
                sample = sample_data.load()
                if self._labeling:
                    self._messages.tell(_("The sample CT is loaded: choose it when the labeling has ended."))
                else:
                    self._ui.inputSelector.setCurrentNode(sample)
                    self._messages.endError()
        finally:
            self._loading = False
            self.update()

    def _onRemoveSample(self):
        with self._messages.failing():
            sample_data.remove()
        self.update()


def installTorch():
    """Install PyTorch through the PyTorch extension, which asks first and picks the build for this computer.

    Raises:
        VertebraLabelingError: the extension is missing, or the user declined.
    """
    try:
        import PyTorchUtils
    except ImportError as error:
        raise VertebraLabelingError(
            "The PyTorch extension is missing: install 'PyTorch' in the Extensions Manager, restart Slicer, try again."
        ) from error
    torch = PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=MINIMUM_TORCH)
    if torch is None:
        raise VertebraLabelingError("PyTorch was not installed; labeling needs it.")


def weightsState(path=None):
    """One line about the weights file: name, version and the first digits of its checked SHA-256, or what is wrong."""
    try:
        file = Path(path) if path else weights.default_weights()
        card = weights.read_card(file)
        if weights.sha256_of(file) != card["sha256"]:
            return _("{name} is damaged: its SHA-256 differs from its card.").format(name=file.name)
    except (VertebraLabelingError, OSError) as error:
        return str(error)
    return _("{name}, version {version}, SHA-256 {digest} ... checked").format(
        name=file.stem, version=card["version"], digest=card["sha256"][:12]
    )


def licenseTexts(path=None):
    """License of the weights and of their training data, from the model card: one line, and one line a source."""
    licenses = read_licenses(path or weights.default_weights())
    if licenses is None:
        return _("not stated: no model card beside the weights"), ""
    terms = dict.fromkeys(term.strip() for _name, each in licenses.sources for term in each.split(";"))
    line = re.sub(r" *[(].*", "", licenses.weights)
    if terms:
        line += _("; trained on data under {terms}").format(terms=", ".join(terms))
    return line, "\n".join(f"{name}: {each}" for name, each in licenses.sources)


def devicesText(lines):
    """One line about the devices that the worker listed."""
    for line in lines:
        try:
            answer = json.loads(line)
        except ValueError:
            continue
        if isinstance(answer, dict) and answer.get("type") == "devices":
            gpus = [
                _("{name}: {free:.1f} of {total:.1f} GB free").format(
                    name=gpu["name"], free=gpu["free"] / 1e9, total=gpu["total"] / 1e9
                )
                for gpu in answer["cuda"]
            ]
            return "; ".join(gpus) or _("no CUDA GPU: the CPU is used")
    return _("the devices could not be listed")
