"""From a CT volume to named vertebrae: the one entry point of the engine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from .candidates import evidence_from
from .chain import solve
from .counting import WEIGHT, count_along, named_by_count, with_counted_bodies
from .ct_check import to_hounsfield
from .errors import Cancelled
from .gaps import look_again
from .grid_crop import AIR_MARGIN, crop_around, crop_to_body
from .implants import levels_with_metal
from .implants import sentence as implants_sentence
from .labels import Evidence, SpineLabels
from .long_scan import evidence_within, spine_part
from .network import GRID_MM, NOWHERE, STRIDE, Prediction, VertebraNet, window
from .patient_pose import PatientPose
from .placing import place
from .pose_search import find_pose
from .refine import refine
from .smooth_chain import with_smooth_chain
from .volume import AIR_HU, Volume, to_canonical, to_working_grid
from .weights import Model, load_model
from .window_cut import sentence as floor_sentence
from .window_cut import window_floor, with_air

log = logging.getLogger(__name__)

Progress = Callable[[float, str], None]
# where each stage begins, of the progress 0..1; as long as they take for a large CT
LOADING, RESAMPLING, FINDING, LOOKING_AGAIN = 0.02, 0.05, 0.15, 0.5
REFINING, COUNTING, PLACING, NAMING = 0.55, 0.6, 0.75, 0.95


class VertebraLabeler:
    """Labels CT volumes with one loaded network; keep it for many scans.

    Args:
        weights: model file; the shipped one by default. Loaded on the first use.
        device: ``"auto"`` (CUDA where there is one), ``"cpu"`` or ``"cuda"``. Where CUDA memory does not suffice, the
            scan is done on the CPU and the result carries a warning.
        refine: place each candidate of the first network a second time, on a grid shifted by half a voxel, and take the
            mean (:mod:`refine`). For models without a placing network: one that places them again moves them little
            (0.02 mm on average on the sample CT).

    Example:
        >>> labels = VertebraLabeler().label(read_volume("ct.nii.gz"))      # doctest: +SKIP
        >>> labels.by_level["L1"].ras                                       # doctest: +SKIP
    """

    def __init__(self, weights: Path | str | None = None, device: str = "auto", refine: bool = False) -> None:
        if device not in ("auto", "cpu") and not device.startswith("cuda"):
            raise ValueError(f"device must be auto, cpu or cuda, not {device!r}")
        self.weights = Path(weights) if weights else None
        self.device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self.refine = refine
        self.count_share = WEIGHT  # of the counting network in the level costs; 1 to test it by itself
        self._model: Model | None = None

    @property
    def model(self) -> Model:
        """The loaded model."""
        if self._model is None:
            self._model = load_model(self.weights)
        return self._model

    def label(
        self,
        volume: Volume,
        fixed: Mapping[str, Sequence[float]] | None = None,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> SpineLabels:
        """Find and name the vertebrae of a CT.

        Args:
            volume: CT in HU, any orientation.
            fixed: level -> world RAS mm of points that are known; the solver keeps them as they are.
            progress: called with a fraction 0..1 and the name of the stage.
            cancelled: asked between all layers of the network; true ends the call with :class:`errors.Cancelled`.

        Raises:
            NotCtError: the values are not HU of a CT.
            NoSpineError: no vertebra was found.
            WeightsError: the model cannot be loaded.
            Cancelled: ``cancelled`` returned true.
        """
        started = time.perf_counter()
        report = _Reporter(progress, cancelled)
        report(0.0, "checking the volume")
        volume = to_hounsfield(volume)
        floor = window_floor(volume)
        if floor is not None:
            volume = with_air(volume, floor)
        report(LOADING, "loading the network")
        model = self.model
        report(RESAMPLING, "resampling")
        grid = _working_grid(volume)
        report(FINDING, "finding vertebrae")
        evidence, device, warnings = self._evidence(model, grid, volume, report)
        report(NAMING, "naming levels")
        labels = solve(evidence, fixed)
        provenance = {
            **labels.provenance,
            "model": model.name,
            "model_version": model.version,
            "weights_sha256": model.sha256,
            "device": device,
            "refined": self.refine,
            "seconds": round(time.perf_counter() - started, 2),
        }
        implants = levels_with_metal(volume, labels)
        if implants:
            warnings += (implants_sentence(implants),)
        report(1.0, "done")
        if floor is not None:
            warnings += (floor_sentence(floor),)
        return replace(labels, provenance=provenance, warnings=(*labels.warnings, *warnings))

    def _evidence(
        self, model: Model, grid: Volume, volume: Volume, report: _Reporter
    ) -> tuple[Evidence, str, tuple[str, ...]]:
        """Run the networks on the chosen device, on the CPU where the GPU's memory does not suffice."""
        device, slow = self.device, ()
        if device != "cpu":
            try:
                evidence, warnings = self._run(model, grid, volume, device, report)
                return evidence, device, warnings
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
                log.warning("CUDA out of memory; continuing on the CPU", exc_info=True)
                _free_gpu_memory()
                slow = ("The GPU has too little free memory: this scan was labeled on the CPU.",)
        evidence, warnings = self._run(model, grid, volume, "cpu", report)
        return evidence, "cpu", (*warnings, *slow)

    def _run(
        self, model: Model, grid: Volume, volume: Volume, device: str, report: _Reporter
    ) -> tuple[Evidence, tuple[str, ...]]:
        """The first network as the patient lies, then the parts that the model has; and what the user must know."""

        center, spans = volume.corners.mean(axis=0), _ever_shorter(LOOKING_AGAIN, REFINING)

        def look(pose: PatientPose, grid: Volume, scan: Volume) -> Evidence:
            posed = _working_grid(pose.undone(grid, center))
            return run_network(model.network, posed, pose.undone(scan, center), device, report, next(spans))

        evidence = run_network(model.network, grid, volume, device, report, (FINDING, LOOKING_AGAIN))
        part = spine_part(evidence, grid)
        whole = part is grid
        scan = volume if whole else crop_around(to_canonical(volume), part.corners, 0)
        seen: dict[PatientPose, Evidence] = {}

        def glance(pose: PatientPose) -> Evidence:
            """Turned, on the working grid; enlarged, that would lack detail."""
            seen[pose] = look(pose, part if pose.enlarged == 1 else scan, scan)
            return seen[pose]

        pose = find_pose(evidence if whole else evidence_within(evidence, scan), glance)
        if pose == PatientPose():
            return self._run_parts(model, evidence, volume, device, report), ()
        found_so = seen[pose] if whole and pose.enlarged > 1 else look(pose, volume, volume)
        evidence = self._run_parts(model, found_so, pose.undone(volume, center), device, report)
        return pose.redone(evidence, center), pose.sentences

    def _run_parts(self, model: Model, evidence: Evidence, volume: Volume, device: str, report: _Reporter) -> Evidence:
        """Refined, counted and placed, as far as wanted and as the model can."""
        if self.refine:
            evidence = refine(
                evidence,
                volume,
                lambda box: run_network(model.network, box, volume, device, report, (REFINING, COUNTING)),
            )
        report(COUNTING, "counting vertebrae")
        count = None if model.counting is None else count_along(evidence, volume, model.counting, device)
        if count is not None:
            evidence = with_counted_bodies(evidence, count)
        report(PLACING, "placing points")
        if model.placing is not None:
            evidence = place(evidence, volume, model.placing, device)
        if count is not None:
            evidence = named_by_count(evidence, count, self.count_share)
        if model.placing is None:
            return evidence
        evidence, chain = look_again(
            evidence, lambda wider, first: place(wider, volume, model.placing, device, first=first)
        )
        return with_smooth_chain(evidence, chain)


def _ever_shorter(first: float, last: float) -> Iterator[tuple[float, float]]:
    """Spans of the progress for a number of looks that nobody knows."""
    while True:
        following = first + (last - first) / 8
        yield first, following
        first = following


def _working_grid(volume: Volume) -> Volume:
    return crop_to_body(to_working_grid(volume, GRID_MM))


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


class _Reporter:
    """Passes progress on and turns a cancelled run into an exception."""

    def __init__(self, progress: Progress | None, cancelled: Callable[[], bool] | None) -> None:
        self.progress, self.cancelled = progress, cancelled

    def __call__(self, fraction: float, message: str) -> None:
        if self.cancelled and self.cancelled():
            raise Cancelled("Labeling was cancelled.")
        if self.progress:
            self.progress(fraction, message)


@torch.inference_mode()
def run_network(
    network: VertebraNet,
    grid: Volume,
    volume: Volume,
    device: str,
    report: _Reporter,
    span: tuple[float, float] = (FINDING, NAMING),
) -> Evidence:
    """One pass of the network over the whole working grid; see :func:`candidates.evidence_from`.

    Args:
        span: the part of the progress, 0..1, that this pass fills.
    """
    image = torch.from_numpy(np.ascontiguousarray(grid.array))
    pads = [(-size) % STRIDE + (STRIDE if (-size) % STRIDE < AIR_MARGIN else 0) for size in image.shape]
    image = functional.pad(image, (0, pads[2], 0, pads[1], 0, pads[0]), value=AIR_HU)
    # oneDNN convolves fastest with the channels last in memory
    network = network.to(device, memory_format=torch.channels_last_3d if device == "cpu" else torch.contiguous_format)
    hooks = _report_layers(network, report, span)
    try:
        prediction: Prediction = network(window(image.to(device))[None, None])
    finally:
        for hook in hooks:
            hook.remove()
    # The padding may not hold candidates or heat.
    prediction.center[:, grid.array.shape[0] :] = NOWHERE
    prediction.center[:, :, grid.array.shape[1] :] = NOWHERE
    prediction.center[:, :, :, grid.array.shape[2] :] = NOWHERE
    return evidence_from(prediction, network.temperature, grid, volume)


def _report_layers(network: VertebraNet, report: _Reporter, span: tuple[float, float]) -> list:
    """Report (and allow to cancel) before each of the network's blocks, weighted by the time each takes."""
    done, share = (
        span[0],
        {"stem": 0.08, "e1": 0.14, "e2": 0.1, "e3": 0.03, "e4": 0.02, "u3": 0.05, "u2": 0.13, "u1": 0.25},
    )
    hooks = []

    def before(module, inputs, fraction: float) -> None:
        report(fraction, "finding vertebrae")

    for name, part in [*share.items(), ("fine_fuse", 0.2)]:
        hooks.append(getattr(network, name).register_forward_pre_hook(lambda m, i, f=done: before(m, i, f)))
        done += (span[1] - span[0]) * part
    return hooks
