"""From a CT volume to named vertebrae: the one entry point of the engine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ..core.evidence import Evidence
from ..core.labels import SpineLabels
from ..core.volume import Volume, to_canonical
from ..networks.detection_network import GRID_MM
from ..networks.weights import Model, load_model
from ..preprocessing.clipped_ct import sentence as floor_sentence
from ..preprocessing.clipped_ct import window_floor, with_air
from ..preprocessing.cropping import crop_around, crop_to_body
from ..preprocessing.ct_check import to_hounsfield
from ..preprocessing.long_scan import evidence_within, spine_part
from ..preprocessing.pose import PatientPose
from ..preprocessing.resampling import to_working_grid
from ..solver.chain import solve
from .centroid_refinement import place
from .chain_smoothing import with_smooth_chain
from .detection import run_network
from .implants import levels_with_metal
from .implants import sentence as implants_sentence
from .level_classification import WEIGHT, count_along, named_by_count, with_counted_bodies
from .missing_vertebrae import look_again
from .pose_search import find_pose
from .refine import refine
from .stages import COUNTING, FINDING, LOADING, LOOKING_AGAIN, NAMING, PLACING, REFINING, RESAMPLING, Progress, Reporter

log = logging.getLogger(__name__)


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
        report = Reporter(progress, cancelled)
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
        self, model: Model, grid: Volume, volume: Volume, report: Reporter
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
        self, model: Model, grid: Volume, volume: Volume, device: str, report: Reporter
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

    def _run_parts(self, model: Model, evidence: Evidence, volume: Volume, device: str, report: Reporter) -> Evidence:
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
