"""The shipped networks on real scans, against points that were placed by hand.

The model has learned from these scans, so this is no score (those are of the cross-validation, docs/benchmarks.md): a
change that moves points shows. What was measured stands beside each scan, in mm. The truth is good to 1-2 mm, on thick
slices to 3 mm, so the margins are far below what would matter to a reader. Another model renews the numbers; none may
grow without a reason.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from VertebraLabelingLib.core.metrics import score_case
from VertebraLabelingLib.core.volume import ras_to_ijk
from VertebraLabelingLib.formats.mrk_json import read_points
from VertebraLabelingLib.networks.weights import default_weights, read_card
from VertebraLabelingLib.pipeline.labeler import VertebraLabeler
from VertebraLabelingLib.scans.read_scan import read_volume

MEAN_MARGIN_MM, MAX_MARGIN_MM = 0.5, 1.5
EDGE_MM = 10.5  # most measured: 10.2, C3 of maastro_thorax


class Measured(NamedTuple):
    """What was found in a scan: mean and largest distance, and the levels named that the truth does not have.

    A vertebra has a point in the truth where its body's center lies in the image. ``beyond`` are vertebrae of which
    the first slices show a part; they are there, and the count of the others says that their names are right.
    """

    mean_mm: float
    max_mm: float
    beyond: tuple[str, ...] = ()


QUICK = {
    "lscc04457_head": Measured(0.64, 1.01),  # a neck: C1-C5
    "nlst_ohif": Measured(1.01, 2.29, ("C7",)),  # a chest: T1-L1
    "crlm1006": Measured(1.93, 2.65),  # an abdomen, slices of 5 mm: T9-L3
    "gewb_f67": Measured(1.78, 3.76),  # a whole spine, low dose: C1-L5; the truth of C4-T3 is good to 3 mm
}
MORE = {
    "lung4d_113": Measured(1.54, 3.79),  # rods and hooks; T11 has collapsed: truth good to 4 mm
    "lidc002": Measured(1.23, 2.58),
    "acrin_nsclc042": Measured(2.36, 5.12),
    "radiogenomics_r01001": Measured(1.33, 2.10),
    "lidc0314": Measured(1.75, 2.49),
    "maastro_thorax": Measured(1.20, 2.87, ("C3",)),
}
SCANS = [*QUICK, *(pytest.param(case, marks=pytest.mark.long) for case in MORE)]


@pytest.fixture(scope="module")
def labeler():
    return VertebraLabeler(device="cpu")


def test_the_card_names_what_the_model_has_seen_and_the_demo_patient_is_not_among_it():
    seen = read_card(default_weights())["training"]["cases"]
    assert {f"ct/{case}" for case in (*QUICK, *MORE)} <= set(seen)
    assert not [case for case in seen if "lidc_idri_0001" in case or "crlm1004" in case]


@pytest.mark.parametrize("case", SCANS)
def test_every_whole_vertebra_is_named_rightly_and_lies_where_it_was_measured(labeler, shared_data, case):
    measured = {**QUICK, **MORE}[case]
    truth = {point.level: point for point in read_points(shared_data / "ct" / f"{case}.mrk.json")}
    volume = read_volume(shared_data / "ct" / f"{case}.nii.gz")
    found = {point.level: point.ras for point in labeler.label(volume).points}
    cut = [level for level, point in truth.items() if point.cut]
    score = score_case(case, found, {level: point.ras for level, point in truth.items()}, cut)
    assert score.missed == ()
    assert score.false_positives == measured.beyond
    for level in measured.beyond:
        assert mm_from_the_first_or_last_slice(volume, found[level]) < EDGE_MM, level
    distances = [vertebra.distance_mm for vertebra in score.vertebrae]
    print(f"{case}: mean {np.mean(distances):.2f} mm, largest {max(distances):.2f} mm")
    assert np.mean(distances) < measured.mean_mm + MEAN_MARGIN_MM
    assert max(distances) < measured.max_mm + MAX_MARGIN_MM


def mm_from_the_first_or_last_slice(volume, ras):
    """Along the axis of the array that runs most from foot to head."""
    axis = int(np.abs(volume.ijk_to_ras[2, :3]).argmax())
    place, count = ras_to_ijk(volume, [ras])[0][axis], volume.array.shape[2 - axis]
    return min(abs(place), abs(count - 1 - place)) * np.linalg.norm(volume.ijk_to_ras[:3, axis])
