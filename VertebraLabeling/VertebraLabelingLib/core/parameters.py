"""The numbers of the pipeline that were chosen on scans, or by a reason where they move nothing, with their units.

A model's card holds the values that belong to its networks (:mod:`.weights` reads them from there); those below are
the shipped model's. How far the score moves with each of them is in docs/parameters.md, written by
``python -m VertebraLabelingTraining.evaluation.parameter_effects``. Numbers that follow from anatomy, from how rare
something is, from the layout of a network or from what a computer can do are constants beside the code that uses them,
each with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from .tuned_numbers import group_from_json, group_to_json, tuned

FOLDS = "held-out scans and crops of the cross-validation"
POSES = "held-out scans turned, scaled, upside down"
UNRECORDED = "not recorded; VerSe 2020 has 0.066"
REASON = "fixed by the reason that its text gives; moved by a third it moves nothing"


@dataclass(frozen=True)
class DetectionParameters:
    """From the maps of the detection network to candidates.

    Attributes:
        threshold: below it a maximum of the center map is no candidate.
        min_distance_mm: two candidates are not nearer; C4 and C5 of a small adult are about 13 mm apart.
        level_distance_mm: the same for a candidate from a level's own heat map; less, as it has seen two bodies there.
        level_presence: levels less likely to be in view add no candidate.
        level_weight, heat_weight, slice_weight: of level map, heat map and Bi-LSTM in a candidate's level costs; the
            heat map, which weighs the whole field of view, counts half.
        heat_reach_mm: the share of a heat map this near a candidate is the candidate's; half a thoracic vertebra.
    """

    threshold: float = tuned(0.08, "probability", FOLDS)
    min_distance_mm: float = tuned(9.0, "mm", REASON)
    level_distance_mm: float = tuned(7.0, "mm", REASON)
    level_presence: float = tuned(0.3, "probability", FOLDS)
    level_weight: float = tuned(0.3, "share", REASON)
    heat_weight: float = tuned(0.5, "share", FOLDS)
    slice_weight: float = tuned(0.2, "share", REASON)
    heat_reach_mm: float = tuned(10.0, "mm", REASON)


@dataclass(frozen=True)
class PoseParameters:
    """When the detection network looks again, and when another pose is kept; see :class:`.pose_search.Findings`.

    Attributes:
        small: size of the spine, 1 for an adult's, below which the patient is looked at enlarged.
        enlarged_gain: times as much that must be named there.
        child: enlargement that is tried where too little is found to tell the size: that of a child of eight.
        unsure, dubious: certainty, and the sum of certainty and named share, below which other poses are tried; it is
            less only where the patient lies otherwise, or little of the spine is seen.
        standing: certainty from which on the patient lies about as he is looked at: turned by 45 degrees or more it is
            0.15 at most, as he should lie 0.30 to 0.42 (nine scans); upside down it is 0.13 to 0.33. He may be seen so
            well and still make no chain, as where a vertebra is missing.
        half_seen: certainty that nobody reaches who lies on his belly or side: turns half way there are tried first.
        alike: certainty by less than which two poses do not differ.
        convincing: certainty that another pose must reach, about that of a usual scan of few vertebrae; a glance that
            reaches it, and ``dubious``, is the last but for smaller turns beside it.
        turned_gain: times as much that must be named in it: clearly more, not by chance.
    """

    small: float = tuned(0.88, "of an adult's size", POSES)
    enlarged_gain: float = tuned(1.1, "ratio", POSES)
    child: float = tuned(1.35, "ratio", POSES)
    unsure: float = tuned(0.34, "certainty", REASON)
    dubious: float = tuned(1.1, "certainty + share", POSES)
    standing: float = tuned(0.27, "certainty", POSES)
    half_seen: float = tuned(0.16, "certainty", POSES)
    alike: float = tuned(0.03, "certainty", REASON)
    convincing: float = tuned(0.25, "certainty", POSES)
    turned_gain: float = tuned(1.3, "ratio", REASON)


@dataclass(frozen=True)
class LevelParameters:
    """From the rows of the level network to level costs.

    Attributes:
        weight: of the level network in the mean of the costs of a level.
        temperature: its costs are divided by it; on patients that it has not seen it is too sure (Guo et al. 2017).
        farthest_mm: candidates farther from the curve than half a body are no part of the straightened spine.
        new_mm: a level's mean row becomes a candidate where none is this near along the curve.
        new_detection: of such a candidate: rather a body than not.
        center_sd_mm, off_center_cost: of a candidate away from the mean row of a level (a row or so), and the most it
            costs: it is never out of the question.
        compact: sd of a level's rows over their number, at most; 0.29 for one body, 0.58 for two that share it evenly.
        fewest_rows: mass of a level that has a mean row; the lowest body, of C3, fills three.
        end_room: share of the last gap below a body's center; with less in view the body counts as cut.
        rib_prior: added to the log-odds of ribs: training shows many more twelfth ribs that are missing than there are.
            No matter where a model says nothing of ribs.
    """

    weight: float = tuned(0.85, "share", FOLDS)
    temperature: float = tuned(1.5, "ratio", FOLDS)
    farthest_mm: float = tuned(25.0, "mm", REASON)
    new_mm: float = tuned(5.0, "mm", FOLDS)
    new_detection: float = tuned(0.6, "probability", REASON)
    center_sd_mm: float = tuned(5.0, "mm", REASON)
    off_center_cost: float = tuned(4.0, "nat", REASON)
    compact: float = tuned(0.45, "ratio", FOLDS)
    fewest_rows: float = tuned(1.5, "rows of 4 mm", REASON)
    end_room: float = tuned(0.3, "of a gap", FOLDS)
    rib_prior: float = tuned(2.0, "log odds", FOLDS)


@dataclass(frozen=True)
class CentroidParameters:
    """Which candidates settle on a body in the centroid network, and what it is shown.

    Attributes:
        farthest_mm: a candidate that moves farther stays where it was.
        last_step_mm: of a candidate that settles, in the last round: two cells.
        spread_mm: standard deviation of the heat map of a candidate that settles.
        unsettled: factor of the detection of a candidate that does not: enough to lose against a body, not to vanish.
        alike_mm: the two pairs of views are averaged where they are no farther apart: a cell.
        lowest_hu: what is darker is shown as this; air in large voxels would draw points aside.
    """

    farthest_mm: float = tuned(8.0, "mm", FOLDS)
    last_step_mm: float = tuned(4.0, "mm", REASON)
    spread_mm: float = tuned(4.0, "mm", FOLDS)
    unsettled: float = tuned(0.3, "ratio", REASON)
    alike_mm: float = tuned(2.0, "mm", REASON)
    lowest_hu: float = tuned(-300.0, "HU", "the demo CT in voxels of 0.5 to 8 mm")


@dataclass(frozen=True)
class MissingParameters:
    """Where a vertebra may be missing, and what a candidate that is tried there looks like.

    Attributes:
        detection: of the candidate, which nothing speaks for or against; where a vertebra is only possible it must keep
            as much.
        step_cost: of each level away from the one that is missing: e² times less likely.
        wide: distance of two neighbors over the usual one, in distances of this spine, where one may lie between; seven
            standard deviations, far below the 2 of one that is missing.
        least_room, most_room: measured over usual distance of the neighbors of a gap: from a child's to a giant's.
    """

    detection: float = tuned(0.5, "probability", REASON)
    step_cost: float = tuned(2.0, "nat", REASON)
    wide: float = tuned(1.3, "ratio", REASON)
    least_room: float = tuned(0.7, "ratio", REASON)
    most_room: float = tuned(1.4, "ratio", REASON)


@dataclass(frozen=True)
class SmoothingParameters:
    """How far points move toward the line of their neighbors.

    Attributes:
        stiffness: weight of the bends, each in mm over the usual distances of its neighbors, against the ways moved; a
            tenth smooths what noise does to one point.
        most_mm: less than truth is good to: a fractured or slipped body keeps its place.
    """

    stiffness: float = tuned(0.1, "ratio", REASON)
    most_mm: float = tuned(0.7, "mm", REASON)


@dataclass(frozen=True)
class ImplantParameters:
    """How much metal or cement is an implant.

    Attributes:
        near_mm: of the points: a body and its pedicles.
        least_mm3: two screws and a rod; near the points of 77 held-out scans is less than 2000.
        at_level_mm3: near one point: a part of a screw.
    """

    near_mm: float = tuned(20.0, "mm", REASON)
    least_mm3: float = tuned(2500.0, "mm³", FOLDS)
    at_level_mm3: float = tuned(200.0, "mm³", REASON)


@dataclass(frozen=True)
class ChainParameters:
    """Weights of the chain solver. Every cost is a negative log-likelihood up to a factor, so costs add.

    Attributes:
        appearance: factor of ``Evidence.unary``.
        confusion: how much likelier (unary cost) a network is to mistake a vertebra for its neighbor than for one a
            level further, in the neck, the chest and the lumbar spine; see :mod:`.level_confusion`. ``None`` takes the
            unary costs as they are.
        detection: factor of the log-odds of ``Evidence.detection``.
        false_positive: cost of leaving out a candidate with detection 0.5.
        missed: cost of each vertebra passed over between two found ones: 1 in 400.
        spacing_sd: standard deviation of the logarithm of a distance, given the scan's scale. Centers are some mm off,
            so it is more than the 0.037 of true ones (:data:`.spacing.VERSE_SPACING`).
        scale_sd: standard deviation of the logarithm of the scan's scale.
        presence: factor of -log(2p) for levels in the chain, and of -log(2(1-p)) for levels that are not, though their
            place lies in the field of view. p = 0.5 is neutral. Half, as the Bi-LSTM has its say in the levels' costs.
        temperature: costs are divided by it before they are read as log probabilities.
        calibration: weights of :func:`.confidence.terms` that turn the posterior into the confidence; ``None`` takes
            the posterior itself.
        shift_sign: warn where the strongest sign (:func:`.confidence.strongest_sign`) against a shift is less.
        landmark, landmark_most: factor of the log-likelihoods of ``Evidence.landmarks``, and the log-odds beyond which
            they say no more: one mistake in 400. They move nothing where a model says nothing of landmarks.
        landmark_sign: what a landmark among the names (:func:`.chain_ends.landmarks_in_view`) adds to that sign.
        clear_sign: warn where a landmark that is surer than this, 88 of 100, stands against the names.
        unsettled_rib: warn where a rib at T12, or none at L1, is no surer than this, 73 of 100.
        lone_rib: the same at T12 where nothing else settles the count: 99 of 100.
        rib_step: by how much those odds differ at T12 and L1 where the last rib is told from what looks like one: 20
            to 1.
    """

    appearance: float = tuned(2.0, "ratio", FOLDS)
    confusion: tuple[float, float, float] | None = tuned((4.0, 0.6, 0.6), "nat", FOLDS)
    detection: float = tuned(2.0, "ratio", FOLDS)
    false_positive: float = tuned(6.0, "nat", FOLDS)
    missed: float = tuned(6.0, "nat", REASON)
    spacing_sd: float = tuned(0.11, "log distance", FOLDS)
    scale_sd: float = tuned(0.081, "log size", UNRECORDED)
    presence: float = tuned(0.5, "ratio", REASON)
    temperature: float = tuned(4.0, "ratio", FOLDS)
    calibration: tuple[float, ...] | None = tuned((-1.577, 0.392, 0.313, 0.798, 1.867, 0.743), "log odds", FOLDS)
    shift_sign: float = tuned(1.61, "nat", FOLDS)
    landmark: float = tuned(3.0, "ratio", FOLDS)
    landmark_most: float = tuned(6.0, "log odds of a sign", REASON)
    landmark_sign: float = tuned(1.0, "nat", FOLDS)
    clear_sign: float = tuned(2.0, "log odds of a sign", REASON)
    unsettled_rib: float = tuned(1.0, "log odds of a sign", FOLDS)
    lone_rib: float = tuned(5.0, "log odds of a sign", FOLDS)
    rib_step: float = tuned(3.0, "log odds of a sign", FOLDS)


@dataclass(frozen=True)
class EndParameters:
    """Where the image goes on beyond an end of the spine, and no vertebra was seen there; see :mod:`.open_ends`.

    Attributes:
        inside_mm: of the next body's likely center: nearer to the edge of the image it may lie outside.
        most_tissue: share of the voxels around that place that are no air. Of 514 ends of held-out scans and crops none
            of a rightly labeled one shows as much 8 mm inside (most: 0.62, where slices are blanked); of chains that
            end three vertebrae early, 149 of 170 do.
    """

    inside_mm: float = tuned(8.0, "mm", REASON)
    most_tissue: float = tuned(0.8, "share", FOLDS)


@dataclass(frozen=True)
class PipelineParameters:
    """All chosen numbers of one model, stage by stage."""

    detection: DetectionParameters = DetectionParameters()
    pose: PoseParameters = PoseParameters()
    levels: LevelParameters = LevelParameters()
    centroids: CentroidParameters = CentroidParameters()
    missing: MissingParameters = MissingParameters()
    smoothing: SmoothingParameters = SmoothingParameters()
    implants: ImplantParameters = ImplantParameters()
    chain: ChainParameters = ChainParameters()
    ends: EndParameters = EndParameters()

    def to_json(self) -> dict[str, dict]:
        """Plain JSON types; see :meth:`from_json`."""
        return {group: group_to_json(getattr(self, group)) for group in GROUPS}

    @classmethod
    def from_json(cls, data: object) -> PipelineParameters:
        """Read what :meth:`to_json` made; a stage or number left out keeps the shipped model's value.

        Raises:
            ValueError: an unknown stage or number, or a value that is no number of the kind and about the size.
        """
        if not isinstance(data, Mapping) or set(data) - set(GROUPS):
            raise ValueError("the parameters are no table of stages")
        return cls(**{group: group_from_json(GROUPS[group], values) for group, values in data.items()})


SHIPPED = PipelineParameters()
"""The numbers of the shipped model."""

GROUPS: dict[str, type] = {item.name: type(item.default) for item in fields(PipelineParameters)}
"""Stage -> the class of its numbers, in the order of the run."""


def chosen_numbers() -> Iterator[tuple[str, str, float | tuple[float, ...], str, str]]:
    """Every chosen number or group of numbers: stage, name, value, unit, what it was chosen on."""
    for group, kind in GROUPS.items():
        for item in fields(kind):
            yield group, item.name, item.default, item.metadata["unit"], item.metadata["chosen_on"]
