"""The ImFusion VID data set: vertebral keypoints of 2116 CT with a network's noisy detections; no images.

Bürgin et al., "Robust vertebra identification using simultaneous node and edge predicting graph neural networks",
MICCAI 2023; CC BY-SA 4.0. Files: ``training.jsonl.gz``, ``validation.jsonl.gz`` and for each a ``mapping-export-*.txt``
that names the source scans. World coordinates are DICOM LPS mm on disk and RAS mm here.

VID has its own convention in the upper neck (C2 lies higher than the centre of its body) and knows no T13: where a
thirteenth thoracic vertebra exists, its truth leaves a gap between T12 and L1.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.spacing import EDGES, VERSE_SPACING
from VertebraLabelingLib.core.volume import lps_to_ras
from VertebraLabelingLib.errors import InputError

SEGMENTS = ("C", "T", "L")
SAME_VERTEBRA_MM = 15.0
_FLOOR = 1e-3
_COLUMN = np.array([SEGMENTS.index(level[0]) for level in LEVELS])


@dataclass(frozen=True)
class VidScan:
    """One scan.

    Attributes:
        name: the scan's id in VID.
        source: path of the source scan in its own data set.
        patient: identifies the patient within the source data set.
        truth: level -> body centre, world RAS mm.
        bodies: (N, 3) detected body centres, world RAS mm.
        scores: (N, 3) score 0..1 of each detection being cervical, thoracic, lumbar; each a sigmoid of its own.
        left, right: (M, 3) detected pedicles, world RAS mm.
        inferred: (N,) bool, the body is no detection but follows from its pedicles (:mod:`.vid_pedicles`).
    """

    name: str
    source: str
    patient: str
    truth: dict[str, tuple[float, ...]]
    bodies: np.ndarray
    scores: np.ndarray
    left: np.ndarray
    right: np.ndarray
    inferred: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.inferred is None:
            object.__setattr__(self, "inferred", np.zeros(len(self.bodies), bool))

    @property
    def evidence(self) -> Evidence:
        """The detections as they are: costs from the three scores alone, neutral presence, a wide field of view."""
        cost = -np.log(np.maximum(self.scores, _FLOOR))[:, _COLUMN]
        detection = self.scores.max(axis=1, initial=0.0)
        return Evidence(self.bodies, cost, detection, np.full(len(LEVELS), 0.5), wide_corners(self.bodies))

    def matched_levels(self) -> np.ndarray:
        """(N,) true level index of each detection; 26 for a false positive; T13 in a gap between T12 and L1."""
        levels = np.full(len(self.bodies), len(LEVELS))
        if not len(self.bodies):
            return levels
        truth = dict(self.truth)
        if {"T12", "L1"} <= set(truth):
            ends = np.array([truth["T12"], truth["L1"]])
            if np.linalg.norm(ends[0] - ends[1]) > 1.5 * VERSE_SPACING["T12", "L1"]:
                truth["T13"] = tuple(ends.mean(axis=0))
        distance = np.linalg.norm(np.array(list(truth.values()))[:, None] - self.bodies[None], axis=2)
        for row, level in enumerate(truth):
            n = int(distance[row].argmin())
            if distance[row, n] < SAME_VERTEBRA_MM and distance[:, n].argmin() == row:
                levels[n] = LEVEL_INDEX[level]
        return levels


def read_vid(folder: Path, part: str) -> list[VidScan]:
    """Read the ``"training"`` (1947 scans) or ``"validation"`` (169 scans) part.

    Raises:
        InputError: the files are not there.
    """
    path, mapping = folder / f"{part}.jsonl.gz", folder / f"mapping-export-{part.capitalize()}.txt"
    if not path.is_file() or not mapping.is_file():
        raise InputError(
            f"{folder} does not hold VID's {part} scans: give the folder with {path.name} and {mapping.name}."
        )
    rows = (line.split(",", 1) for line in mapping.read_text(encoding="utf-8").splitlines() if "," in line)
    sources = {name.strip().lower(): source.strip() for name, source in rows}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [_scan(json.loads(line), sources) for line in lines]


def patient_of(source: str) -> str:
    """The patient of a source path: colonography case, Pancreas-CT number or VerSe subject.

    VerSe 2019 and 2020 share subjects under one name; prone and supine colonography scans share a case.
    """
    match = re.search(r"9328\.50\.4\.\d+|CTC-\d+|PANCREAS_\d+|sub-[a-z]+\d+", source)
    if match is None:
        raise InputError(f"{source!r} is no source scan that VID is known to use: use the mapping files of VID.")
    return match.group(0)


def wide_corners(points: np.ndarray, margin_mm: float = 500.0) -> np.ndarray:
    """(8, 3) corners of a box far around the points: VID does not tell where its images end."""
    low = points.min(axis=0, initial=0.0) - margin_mm
    high = points.max(axis=0, initial=0.0) + margin_mm
    return np.array(np.meshgrid(*zip(low, high), indexing="ij")).reshape(3, 8).T


def mean_spacing(scans: Sequence[VidScan], rounds: int = 20) -> tuple[float, ...]:
    """Mean distance (mm) per edge of :data:`spacing.EDGES` once each scan's own scale is divided out.

    Edges that do not occur keep the VerSe value; distances beyond 1.5 times that value skip a vertebra: left out.
    """
    rows = []
    for row, scan in enumerate(scans):
        levels = sorted(scan.truth, key=LEVEL_INDEX.__getitem__)
        for pair in zip(levels, levels[1:]):
            if pair in EDGES:
                distance = np.linalg.norm(np.subtract(scan.truth[pair[0]], scan.truth[pair[1]]))
                if distance < 1.5 * VERSE_SPACING[pair]:
                    rows.append((row, list(EDGES).index(pair), np.log(distance)))
    scan_of, edge_of = (np.array([entry[column] for entry in rows], dtype=int) for column in (0, 1))
    log_distance = np.array([entry[2] for entry in rows])
    mean = np.log([VERSE_SPACING[edge] for edge in EDGES])
    for _ in range(rounds):
        # ridge: a scan with few distances keeps a scale near 1 (within-scan to between-scan variance about 1 to 2)
        residual = np.bincount(scan_of, log_distance - mean[edge_of], len(scans))
        scale = residual / (np.bincount(scan_of, minlength=len(scans)) + 0.5)
        total = np.bincount(edge_of, log_distance - scale[scan_of], len(EDGES))
        count = np.bincount(edge_of, minlength=len(EDGES))
        mean = np.where(count > 0, total / np.maximum(count, 1), mean)
    return tuple(float(value) for value in np.exp(mean))


def _scan(data: dict, sources: dict[str, str]) -> VidScan:
    source = sources[data["id"].lower()]  # one id differs in case between the two files
    truth = {
        item["type"]["spine_level"]: tuple(lps_to_ras(item["coordinates"]["world_space"]).tolist())
        for item in data["truth"]
        if item["type"]["keypoint_type"] == "body"
    }
    found = {kind: _points(data["predictions"], kind) for kind in ("body", "left", "right")}
    scores = [
        item["type"]["spine_segment_probabilities"]
        for item in data["predictions"]
        if item["type"]["keypoint_type"] == "body"
    ]
    return VidScan(
        data["id"],
        source,
        patient_of(source),
        truth,
        found["body"],
        np.clip(np.array(scores, dtype=np.float64).reshape(-1, 3), 0.0, 1.0),
        found["left"],
        found["right"],
    )


def _points(items: list[dict], kind: str) -> np.ndarray:
    points = [item["coordinates"]["world_space"] for item in items if item["type"]["keypoint_type"] == kind]
    return lps_to_ras(np.array(points, dtype=np.float64).reshape(-1, 3))
