"""The stages of a run in their order: each takes what is known of a scan, and gives it back with more known.

CT -> checked HU -> working grid -> detection network -> pose -> level network -> centroid network -> missing vertebrae
-> smooth chain -> solver -> open ends, implants. :data:`NETWORK_STAGES` run where the networks run, the others on the
CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from ..core.count_rules import AS_SEEN
from ..core.evidence import Evidence
from ..core.field_of_view import distance_to_face
from ..core.label_warning import CLIPPED, LabelWarning, note
from ..core.labels import SpineLabels
from ..core.parameters import PipelineParameters
from ..core.slice_positions import distance_note
from ..core.volume import Volume
from ..errors import NoSpineError
from ..networks.weights import Model
from ..preprocessing import clipped_ct
from ..preprocessing.ct_check import OFFSET_NOTE, to_hounsfield
from ..preprocessing.long_scan import evidence_within, spine_part
from ..preprocessing.pose import PatientPose
from ..preprocessing.prepared_scan import PreparedScan
from ..preprocessing.spine_column import SpineColumn
from ..solver.chain import Chain, solve
from . import implants
from .centroid_refinement import place
from .chain_smoothing import with_smooth_chain
from .detection import run_network
from .level_classification import RowLevels, classify_along, named_by_rows, with_level_bodies
from .missing_vertebrae import look_again
from .open_ends import open_ends
from .pose_search import find_pose
from .reporting import Reporter, ever_shorter


@dataclass(frozen=True)
class Engine:
    """What every stage may use.

    Attributes:
        load: gives the networks; they are loaded on the first use.
        device: where the networks run, as torch names it.
        report: tells the progress and ends a cancelled run.
        fixed: level -> world RAS mm of points that are known.
        count: the rule by which the vertebrae are named, one of :data:`.count_rules.RULES`.
    """

    load: Callable[[], Model]
    device: str
    report: Reporter
    fixed: Mapping[str, Sequence[float]] | None = None
    count: str = AS_SEEN

    @property
    def model(self) -> Model:
        """The loaded networks."""
        return self.load()

    @property
    def parameters(self) -> PipelineParameters:
        """The chosen numbers of the model."""
        return self.model.parameters


@dataclass(frozen=True)
class State:
    """What is known of a scan.

    Attributes:
        volume: the CT as it was given; HU once it is checked.
        scan: it prepared for the networks, in the pose that they know.
        evidence: candidates and their costs, in the world of ``scan``.
        pose: how the patient lies in ``volume``; ``center`` is what the pose turns around, world RAS mm.
        rows: what the level network reads along the spine.
        chain: the cheapest chain of ``evidence``.
        labels: the named vertebrae, in the world of ``volume``.
        warnings: what the user must know besides the solver's warnings.
        air_hu: HU below which the values were clipped when the CT was stored; ``None`` where they were not.
    """

    volume: Volume
    scan: PreparedScan | None = None
    evidence: Evidence | None = None
    pose: PatientPose = field(default_factory=PatientPose)
    center: Sequence[float] = (0.0, 0.0, 0.0)
    rows: RowLevels | None = None
    chain: Chain | None = None
    labels: SpineLabels | None = None
    warnings: tuple[LabelWarning, ...] = ()
    air_hu: float | None = None


class Stage(NamedTuple):
    """One step of a run.

    Attributes:
        start: where it begins, of the progress 0..1; as long as each takes for a large CT.
        sentence: what users read while it runs.
        run: state -> state.
    """

    start: float
    sentence: str
    run: Callable[[State, Engine], State]


def check(state: State, engine: Engine) -> State:
    """HU of a CT with slices near enough, or a refusal; what was clipped to a floor above air becomes air."""
    far_apart = tuple(map(note, distance_note(state.volume.spacing)))
    volume = to_hounsfield(state.volume)
    shifted = () if volume is state.volume else (note(OFFSET_NOTE),)
    floor = clipped_ct.window_floor(volume)
    if floor is not None:
        volume = clipped_ct.with_air(volume, floor)
    return replace(state, volume=volume, air_hu=floor, warnings=state.warnings + far_apart + shifted)


def load(state: State, engine: Engine) -> State:
    """The networks, from their file."""
    _ = engine.model
    return state


def prepare(state: State, engine: Engine) -> State:
    """Canonical axes, and the working grid without the air around the patient."""
    scan = PreparedScan.of(state.volume)
    _ = scan.grid
    return replace(state, scan=scan, center=scan.center)


def detect(state: State, engine: Engine) -> State:
    """Candidates for vertebral bodies and what each could be: the detection network, as the patient lies."""
    span = (DETECT.start, POSE.start)
    return replace(state, evidence=_look(state.scan, state.scan.grid, engine, span))


def find_the_pose(state: State, engine: Engine) -> State:
    """Where the detection network is not sure: other poses of the patient, and the scan in the likeliest one."""
    seen: dict[PatientPose, Evidence] = {}
    spans = ever_shorter(POSE.start, LEVELS.start)
    part = spine_part(state.evidence, state.scan.grid)
    whole = part is state.scan.grid
    scan = state.scan if whole else PreparedScan(state.scan.box(part.corners, 0))

    def look_at(pose: PatientPose) -> Evidence:
        seen[pose] = _look_in(pose, scan, state, engine, next(spans))
        return seen[pose]

    def glance_at(pose: PatientPose) -> Evidence:
        # on the working grid; enlarged, that would lack detail
        column = SpineColumn.of(part, scan if pose.enlarged != 1 else None)
        try:
            grid = column.in_pose(pose)
        except NoSpineError:  # air in the column
            return state.evidence.kept(np.zeros(len(state.evidence.points), dtype=bool))
        return _look(PreparedScan(grid), grid, engine, next(spans))

    evidence = state.evidence if whole else evidence_within(state.evidence, scan.volume)
    pose = find_pose(evidence, look_at, glance_at, engine.parameters)
    if pose == PatientPose():
        return state
    evidence = seen[pose] if whole else _look_in(pose, state.scan, state, engine, next(spans))
    posed = state.scan.in_pose(pose, state.center)
    return replace(state, scan=posed, evidence=evidence, pose=pose, warnings=state.warnings + pose.warnings)


def classify_levels(state: State, engine: Engine) -> State:
    """What the level network reads along the straightened spine, and the bodies that it sees besides."""
    network = engine.model.level_network
    if network is None:
        return state
    rows = classify_along(state.evidence, state.scan, network, engine.device, engine.parameters.chain)
    if rows is None:
        return state
    return replace(state, evidence=with_level_bodies(state.evidence, rows, engine.parameters.levels), rows=rows)


def refine_centroids(state: State, engine: Engine) -> State:
    """Each candidate at the center that the centroid network sees, named by the level network at that place.

    Those whose center lies outside the image, or so near to its edge that a smooth chain may put it there, are left
    out: it cannot have been seen.
    """
    evidence, network = state.evidence, engine.model.centroid_network
    if network is not None:
        evidence = place(evidence, state.scan, network, engine.device, p=engine.parameters.centroids)
    if state.rows is not None:
        evidence = named_by_rows(evidence, state.rows, engine.parameters.levels)
    in_view = distance_to_face(evidence.points, evidence.corners) >= engine.parameters.smoothing.most_mm
    return replace(state, evidence=evidence.kept(in_view))


def find_missing_vertebrae(state: State, engine: Engine) -> State:
    """Where a vertebra may be missing, the centroid network looks again."""
    network = engine.model.centroid_network
    if network is None:
        return state

    def place_from(evidence: Evidence, first: int) -> Evidence:
        return place(evidence, state.scan, network, engine.device, first, engine.parameters.centroids)

    evidence, chain = look_again(state.evidence, place_from, engine.parameters)
    return replace(state, evidence=evidence, chain=chain)


def smooth_the_chain(state: State, engine: Engine) -> State:
    """The points of the chain drawn a little to the line that they share."""
    if state.chain is None:
        return state
    return replace(state, evidence=with_smooth_chain(state.evidence, state.chain, engine.parameters.smoothing))


def name(state: State, engine: Engine) -> State:
    """The solver's names, confidence and warnings, in the world of the scan."""
    evidence = state.evidence
    if state.pose != PatientPose():
        evidence = state.pose.from_usual(evidence, state.center)
    return replace(state, labels=solve(evidence, engine.fixed, engine.parameters.chain, engine.count))


def look_around(state: State, engine: Engine) -> State:
    """Warn where the image goes on beyond an end, where metal may have hidden vertebrae, and of clipped values."""
    scan = PreparedScan.of(state.volume)
    levels = implants.levels_with_metal(scan, state.labels, engine.parameters.implants)
    warnings = state.warnings + open_ends(scan, state.labels, engine.parameters.ends) + implants.warnings_of(levels)
    if state.air_hu is not None:
        warnings += (LabelWarning(CLIPPED, numbers={"hu": state.air_hu}),)
    return replace(state, warnings=warnings)


def _look(scan: PreparedScan, grid: Volume, engine: Engine, span: tuple[float, float]) -> Evidence:
    """The detection network on a working grid of a scan."""
    network, p = engine.model.detection_network, engine.parameters.detection
    return run_network(network, grid, scan.volume, engine.device, engine.report, span, p)


def _look_in(
    pose: PatientPose, scan: PreparedScan, state: State, engine: Engine, span: tuple[float, float]
) -> Evidence:
    """The detection network on a scan, or a part of it, in a pose."""
    posed = scan.in_pose(pose, state.center)
    return _look(posed, posed.grid, engine, span)


CHECK = Stage(0.0, "checking the volume", check)
LOAD = Stage(0.02, "loading the network", load)
PREPARE = Stage(0.05, "resampling", prepare)
DETECT = Stage(0.15, "finding vertebrae", detect)
POSE = Stage(0.5, "finding vertebrae", find_the_pose)
LEVELS = Stage(0.6, "reading levels", classify_levels)
CENTROIDS = Stage(0.75, "placing points", refine_centroids)
MISSING = Stage(0.85, "placing points", find_missing_vertebrae)
SMOOTH = Stage(0.94, "placing points", smooth_the_chain)
NAME = Stage(0.95, "naming levels", name)
AROUND = Stage(0.98, "looking for metal", look_around)

FIRST_STAGES = (CHECK, LOAD, PREPARE)
NETWORK_STAGES = (DETECT, POSE, LEVELS, CENTROIDS, MISSING, SMOOTH)
LAST_STAGES = (NAME, AROUND)


def run_stages(stages: Sequence[Stage], state: State, engine: Engine) -> State:
    """Run stages one after the other.

    Raises:
        Cancelled: the user has cancelled; asked before each stage, and before each block of the detection network.
    """
    for stage in stages:
        engine.report(stage.start, stage.sentence)
        state = stage.run(state, engine)
    return state
