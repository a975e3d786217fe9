"""The vertebrae of one scan carried to another scan of the same patient: another CT, or an MR."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..core.field_of_view import distance_to_face, far_outside
from ..core.labels import SpineLabels
from ..core.volume import Volume, apply_affine
from ..errors import Cancelled, InputError
from ..preprocessing.cropping import crop_around
from ..preprocessing.ct_check import check_image
from .coarse_search import Shift, best_shifts
from .piecewise import Pieces, register
from .surroundings import COARSE_MM, FINE_MM, Surroundings
from .working_grid import working_grid

TARGET_MARGIN_MM = 80.0  # around where the search has put the spine
TURN_DEG = 15.0  # turns that are tried where the scans do not fit as they lie
LEAST_VERTEBRAE = 4  # that both scans show: fewer are one group, which nothing contradicts
LARGEST_ERROR_MM = 1.5  # most that the estimate may be: right patients have 0.5 to 1.4, others 1.9 or more
FLOOR_MM = 0.5  # of the estimate: voxels of the registration are 2.5 mm
LEAST_EVIDENCE = 0.25  # nats per voxel around the spine; what does not belong together has less
LONGEST_STRETCH_MM = 2.2  # by which the distance of two neighbors may differ: in right patients it was 1.9 at most
RIVAL = 0.65  # of the evidence of the best shift, from which the next one is registered as well
LEAST_LEAD = 1.25  # of the evidence there over that at another place
OTHER_PLACE_MM = 8.0  # half of the least distance of two vertebrae: a registration that ends nearer is the same one


class NoFitError(InputError):
    """The scans do not fit together, or not well enough: nothing is carried."""


@dataclass(frozen=True)
class Fit:
    """How well a registration holds.

    Attributes:
        pieces: where the vertebrae are.
        lead: its evidence over that of the best registration at another place; infinite where there is no other.
        stretch: (N - 1,) mm by which neighbors are farther apart than in the source, of those that are both seen.
    """

    pieces: Pieces
    lead: float
    stretch: np.ndarray

    @property
    def errors_mm(self) -> np.ndarray:
        """(N,) estimate of the error of each vertebra: what its groups and its neighbors disagree about."""
        beside = np.abs(np.nan_to_num(self.stretch))
        side = np.maximum(np.concatenate([[0.0], beside]), np.concatenate([beside, [0.0]]))
        return np.sqrt(FLOOR_MM**2 + self.pieces.spread**2 + side**2)

    @property
    def mean_evidence(self) -> float:
        """Nats per voxel around the vertebrae that are seen."""
        return float(np.nanmean(self.pieces.evidence)) if self.pieces.seen.any() else 0.0

    @property
    def error_mm(self) -> float:
        """Estimate of the mean error of the vertebrae that are seen."""
        return float(self.errors_mm[self.pieces.seen].mean()) if self.pieces.seen.any() else np.inf

    @property
    def fault(self) -> str:
        """Why the registration cannot be trusted, the end of a sentence; empty where it can."""
        seen = self.pieces.seen
        if seen.sum() < LEAST_VERTEBRAE:
            return f"fewer than {LEAST_VERTEBRAE} of the labeled vertebrae are found in the other scan"
        if self.mean_evidence < LEAST_EVIDENCE or self.lead < LEAST_LEAD:
            return "no place of the other scan fits this spine clearly, so it may be another patient or part"
        if np.nanmax(np.abs(self.stretch), initial=0.0) > LONGEST_STRETCH_MM:
            return "the vertebrae of the other scan do not have these distances, so it may be another patient"
        if self.error_mm > LARGEST_ERROR_MM:
            return f"the scans fit only within an estimated {self.error_mm:.1f} mm, as those of two patients do"
        return ""


@dataclass(frozen=True)
class Carried:
    """The vertebrae in the other scan.

    Attributes:
        labels: those that lie in it, at their places there; confidences and statuses are the source's.
        error_mm: estimate of their mean error, 0 where nothing had to be computed.
        errors_mm: the same of each, by level.
        left_out: levels that do not lie in it.
        same_frame: both scans have one frame of reference, so that the places are the same.
    """

    labels: SpineLabels
    error_mm: float
    errors_mm: dict[str, float]
    left_out: tuple[str, ...] = ()
    same_frame: bool = False

    def __str__(self) -> str:
        """What was done, for the user."""
        count = len(self.labels.points)
        told = f"{count} {'vertebra' if count == 1 else 'vertebrae'} carried"
        if self.same_frame:
            told += ": both scans have the same frame of reference, so there was nothing to compute"
        else:
            told += f" by registration, estimated error {self.error_mm:.1f} mm: check each of them"
        return told + (f"; outside the scan: {', '.join(self.left_out)}." if self.left_out else ".")


def carry(
    source: Volume,
    labels: SpineLabels,
    target: Volume,
    same_frame: bool = False,
    progress: Callable[[float, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Carried:
    """Carry vertebrae to another scan of the patient.

    Args:
        source: CT or MR in which ``labels`` were found, in HU where it is a CT.
        target: CT (HU) or MR.
        same_frame: the scans are known to have one frame of reference: places are taken as they are.
        progress: called with a fraction 0..1 and what is being done.
        cancelled: asked between the steps.

    Raises:
        NoFitError: the scans do not fit, or not well enough.
        InputError: too few points, points of another scan, a label map, or a volume without contrast.
        Cancelled: ``cancelled`` returned true.
    """
    check_image(target, "The other scan")
    if same_frame:
        return _as_they_are(labels, target)
    check_image(source, "The scan of the points")
    outside = far_outside(labels.points, source.corners)
    if outside is not None:
        level, away = outside
        raise InputError(f"{level} lies {away:.0f} mm outside the scan of the points: give the scan that they are of.")
    fit = find_fit(source, labels, target, progress, cancelled)
    if fit.fault:
        raise NoFitError(f"The points were not carried: {fit.fault}.")
    seen, errors = fit.pieces.seen, fit.errors_mm
    points = [replace(point, ras=tuple(place)) for point, place in zip(labels.points, fit.pieces.places.tolist())]
    kept = tuple(point for point, is_seen in zip(points, seen) if is_seen)
    return Carried(
        SpineLabels(kept, labels.warnings),
        fit.error_mm,
        {point.level: round(float(error), 2) for point, error, is_seen in zip(points, errors, seen) if is_seen},
        tuple(point.level for point, is_seen in zip(points, seen) if not is_seen),
    )


def find_fit(source, labels, target, progress=None, cancelled=None) -> Fit:
    """The best registration, trusted or not; arguments as of :func:`carry`."""

    def at(fraction: float, what: str) -> None:
        if cancelled and cancelled():
            raise Cancelled("Carrying the points was canceled.")
        if progress:
            progress(fraction, what)

    at(0.0, "looking at the spine")
    around = Surroundings(source, labels)
    at(0.1, "searching it in the other scan")
    coarse = working_grid(target, COARSE_MM)
    best = None
    for begin, turns in ((0.15, [np.eye(3)]), (0.55, _turns())):
        shifts = []
        for turn in turns:
            at(begin, "searching it in the other scan")
            shifts += [best_shifts(*around.wide, coarse, turn, 2)]
        shifts = sorted((found for found in shifts if found), key=lambda found: -found[0].evidence)
        if shifts:
            at(begin + 0.1, "registering the vertebrae")
            fit = _fit(around, target, shifts[0])  # two turns may be one place, so the rival is of the same turn
            if fit is not None and (best is None or fit.mean_evidence > best.mean_evidence):
                best = fit
        if best is not None and not best.fault:
            break
    at(1.0, "done")
    if best is None:
        raise NoFitError("The points were not carried: no part of the labeled spine is found in the other scan.")
    return best


def _fit(around: Surroundings, target: Volume, shifts: list[Shift]) -> Fit | None:
    """The best registration, and how far it is before those at other places.

    Vertebrae repeat along the spine, so the registration is made again from one vertebra higher and lower, and from the
    next shift where that is nearly as good.
    """
    first = _pieces(around, target, shifts[0].matrix)
    if first is None or not first.seen.any():
        return None
    starts = [shift.matrix for shift in shifts[1:2] if shift.evidence >= RIVAL * shifts[0].evidence]
    starts += _one_vertebra_off(first)
    others = (_pieces(around, target, start) for start in starts)
    found = [first, *(pieces for pieces in others if pieces is not None and pieces.seen.any())]
    totals = [float(np.nansum(pieces.evidence)) for pieces in found]
    best = found[int(np.argmax(totals))]
    elsewhere = [
        total
        for pieces, total in zip(found, totals)
        if np.linalg.norm(pieces.places - best.places, axis=1)[best.seen].mean() > OTHER_PLACE_MM
    ]
    lead = max(totals) / max(*elsewhere, 1e-6) if elsewhere else np.inf
    apart = [np.linalg.norm(np.diff(each, axis=0), axis=1) for each in (around.points, best.places)]
    both = best.seen[1:] & best.seen[:-1]
    return Fit(best, lead, np.where(both, apart[1] - apart[0], np.nan))


def _one_vertebra_off(pieces: Pieces) -> list[np.ndarray]:
    """Motions that bring each vertebra about to where its neighbor above, or below, has been found."""
    middle = int(np.flatnonzero(pieces.seen)[pieces.seen.sum() // 2])
    starts = []
    for other in (middle - 1, middle + 1):
        if 0 <= other < len(pieces.places):
            start = pieces.motions[middle].copy()
            start[:3, 3] += pieces.places[other] - pieces.places[middle]
            starts.append(start)
    return starts


def _pieces(around: Surroundings, target: Volume, start: np.ndarray) -> Pieces | None:
    places = apply_affine(start, around.points)
    if not (distance_to_face(places, target.corners) > 0).any():
        return None
    grid = working_grid(crop_around(target, places, TARGET_MARGIN_MM), FINE_MM)
    return register(around, grid, start)


def _turns() -> list[np.ndarray]:
    angle = np.radians(TURN_DEG)
    turns = []
    for first, second in ((1, 2), (0, 2), (0, 1)):
        for sign in (1, -1):
            turn = np.eye(3)
            turn[first, first] = turn[second, second] = np.cos(angle)
            turn[first, second], turn[second, first] = -sign * np.sin(angle), sign * np.sin(angle)
            turns.append(turn)
    return turns


def _as_they_are(labels: SpineLabels, target: Volume) -> Carried:
    places = np.array([point.ras for point in labels.points]).reshape(-1, 3)
    inside = distance_to_face(places, target.corners) > 0
    kept = tuple(point for point, is_inside in zip(labels.points, inside) if is_inside)
    if not kept:
        raise NoFitError("The points were not carried: the other scan does not show any of these vertebrae.")
    left = tuple(point.level for point, is_inside in zip(labels.points, inside) if not is_inside)
    return Carried(SpineLabels(kept, labels.warnings), 0.0, dict.fromkeys((p.level for p in kept), 0.0), left, True)
