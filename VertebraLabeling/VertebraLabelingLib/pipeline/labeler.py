"""From a CT volume to named vertebrae: the one entry point of the engine. The run itself is read in :mod:`.stages`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ..core.count_rules import AS_SEEN
from ..core.counting import check_rule
from ..core.label_warning import NO_GPU, LabelWarning
from ..core.labels import SpineLabels
from ..core.volume import Volume
from ..errors import WeightsError
from ..networks.weights import Model, default_weights, load_model, read_card
from ..solver.chain import with_parameters
from .reporting import Progress, Reporter
from .stages import FIRST_STAGES, LAST_STAGES, NETWORK_STAGES, Engine, State, run_stages

log = logging.getLogger(__name__)


class VertebraLabeler:
    """Labels CT volumes with one loaded model; keep it for many scans.

    Args:
        weights: model file; the shipped one by default. Loaded on the first use.
        device: ``"auto"`` (CUDA where there is one), ``"cpu"`` or ``"cuda"``. Where CUDA memory does not suffice, the
            scan is done on the CPU and the result carries a warning.

    Example:
        >>> labels = VertebraLabeler().label(read_volume("ct.nii.gz"))      # doctest: +SKIP
        >>> labels.by_level["L1"].ras                                       # doctest: +SKIP
    """

    def __init__(self, weights: Path | str | None = None, device: str = "auto") -> None:
        if device not in ("auto", "cpu") and not device.startswith("cuda"):
            raise ValueError(f"device must be auto, cpu or cuda, not {device!r}")
        self.weights = Path(weights) if weights else None
        self.device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self._model: Model | None = None

    @property
    def model(self) -> Model:
        """The loaded model."""
        if self._model is None:
            self._model = load_model(self.weights)
        return self._model

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the model by its card, without loading it; empty where there is none."""
        try:
            return read_card(self.weights or default_weights())["sha256"]
        except WeightsError:
            return ""

    def label(
        self,
        volume: Volume,
        fixed: Mapping[str, Sequence[float]] | None = None,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
        count: str = AS_SEEN,
    ) -> SpineLabels:
        """Find and name the vertebrae of a CT.

        Args:
            volume: CT in HU, any orientation.
            fixed: level -> world RAS mm of points that are known; the solver keeps them as they are.
            progress: called with a fraction 0..1 and the name of the stage.
            cancelled: asked between all layers of the detection network; true ends the call with
                :class:`errors.Cancelled`.
            count: the rule that names a spine of unusual numbers, one of :data:`.count_rules.RULES`; ``fixed`` bears
                such names. :func:`.naming.counted_by` gives a result the names of another rule.

        Raises:
            InputError: an unknown rule; known points that contradict each other.
            NotCtError: the values are not HU of a CT.
            NoSpineError: no vertebra was found.
            WeightsError: the model cannot be loaded.
            Cancelled: ``cancelled`` returned true.
        """
        started = time.perf_counter()
        report = Reporter(progress, cancelled)
        engine = Engine(lambda: self.model, self.device, report, fixed, check_rule(count))
        state = run_stages(FIRST_STAGES, State(volume), engine)
        state, engine = _run_networks(state, engine)
        state = run_stages(LAST_STAGES, state, engine)
        provenance = {
            **state.labels.provenance,
            "model": self.model.name,
            "model_version": self.model.version,
            "weights_sha256": self.model.sha256,
            "device": engine.device,
            "seconds": round(time.perf_counter() - started, 2),
        }
        report(1.0, "done")
        labels = replace(state.labels, provenance=provenance, warnings=(*state.labels.warnings, *state.warnings))
        return with_parameters(labels, self.model.parameters.chain)


def _run_networks(state: State, engine: Engine) -> tuple[State, Engine]:
    """The stages of the networks on the chosen device, on the CPU where the GPU's memory does not suffice."""
    if engine.device == "cpu":
        return run_stages(NETWORK_STAGES, state, engine), engine
    try:
        return run_stages(NETWORK_STAGES, state, engine), engine
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        log.warning("CUDA out of memory; continuing on the CPU", exc_info=True)
        _free_gpu_memory()
    engine = replace(engine, device="cpu")
    state = run_stages(NETWORK_STAGES, state, engine)
    return replace(state, warnings=(*state.warnings, LabelWarning(NO_GPU))), engine


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a CUDA error is for lack of memory: its libraries say so in their own ways, torch in one of several."""
    text = str(error)
    words = ("out of memory", "ALLOC_FAILED", "NOT_INITIALIZED")  # the last is how cuDNN and cuBLAS fail to start
    return isinstance(error, torch.cuda.OutOfMemoryError) or (
        any(name in text for name in ("CUDA", "CUDNN", "CUBLAS")) and any(word in text for word in words)
    )


def _free_gpu_memory() -> None:
    """Give the GPU's memory back, as far as a device that has just failed allows."""
    try:
        torch.cuda.empty_cache()
    except RuntimeError:
        log.debug("the CUDA cache cannot be emptied", exc_info=True)
