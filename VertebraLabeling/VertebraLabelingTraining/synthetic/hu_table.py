"""Hounsfield units of the structures of a label map, with and without contrast medium.

Typical values of adult body CT at 120 kVp; the spread between patients is the standard deviation drawn per case.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PHASES = ("plain", "arterial", "portal", "late")
PHASE_SHARES = (0.45, 0.12, 0.33, 0.10)


@dataclass(frozen=True)
class Tissue:
    """One row of the table.

    Attributes:
        prefixes: structure names that start so.
        hu: mean HU in each of :data:`PHASES`.
        spread: standard deviation of that mean between patients, HU.
        grain: standard deviation within the structure, HU.
    """

    prefixes: tuple[str, ...]
    hu: tuple[float, float, float, float]
    spread: float
    grain: float


TISSUES = (
    Tissue(
        ("aorta", "iliac_artery", "subclavian_artery", "common_carotid", "brachiocephalic_trunk"),
        (40, 300, 160, 110),
        25,
        5,
    ),
    Tissue(("pulmonary_vein", "atrial_appendage"), (40, 280, 150, 110), 25, 5),
    Tissue(("heart",), (42, 190, 125, 95), 15, 22),
    Tissue(("superior_vena_cava", "brachiocephalic_vein"), (40, 220, 150, 110), 35, 10),
    Tissue(("inferior_vena_cava", "iliac_vena", "portal_vein"), (40, 70, 150, 115), 20, 6),
    Tissue(("liver",), (56, 68, 108, 92), 12, 9),
    Tissue(("spleen",), (48, 125, 118, 95), 8, 8),
    Tissue(("kidney",), (33, 160, 180, 160), 18, 22),
    Tissue(("pancreas", "adrenal_gland"), (38, 95, 90, 70), 10, 18),
    Tissue(("thyroid_gland",), (95, 170, 150, 120), 20, 10),
    Tissue(("gallbladder",), (10, 10, 10, 12), 6, 3),
    Tissue(("urinary_bladder",), (6, 6, 8, 60), 5, 4),
    Tissue(("prostate",), (38, 50, 65, 60), 8, 12),
    Tissue(("duodenum", "esophagus"), (35, 55, 65, 55), 12, 18),
    Tissue(("autochthon", "gluteus", "iliopsoas"), (52, 55, 60, 58), 9, 16),
    Tissue(("costal_cartilages",), (110, 110, 115, 115), 15, 25),
    Tissue(("spinal_cord",), (32, 34, 36, 36), 6, 6),
    Tissue(("trachea",), (-990, -990, -990, -990), 6, 3),
    Tissue(("lung",), (-850, -845, -840, -845), 35, 18),
)
"""Structures of one mean value. Bones, bowel, discs and unlabeled tissue are painted by rules of their own."""


def draw_phase(rng: np.random.Generator) -> int:
    """Index into :data:`PHASES`."""
    return int(rng.choice(len(PHASES), p=PHASE_SHARES))


def draw_table(names: dict[int, str], rng: np.random.Generator, random_contrast: bool) -> tuple[np.ndarray, np.ndarray]:
    """Draw the mean and the grain of every structure of one case.

    Args:
        names: structure id to name.
        rng: source of randomness.
        random_contrast: draw soft tissues from a broad range instead of around the table; air stays air.

    Returns:
        two (256,) float32 tables by structure id: mean HU and standard deviation within, HU.
    """
    mean = np.full(256, 40.0, dtype=np.float32)
    grain = np.full(256, 12.0, dtype=np.float32)
    phase = draw_phase(rng)
    for tissue in TISSUES:
        value = tissue.hu[phase] + rng.normal(0.0, tissue.spread)
        if random_contrast and tissue.hu[phase] > -200:
            value = rng.uniform(-60.0, 220.0)
        width = tissue.grain * rng.uniform(0.6, 1.5)
        for number, name in names.items():
            if name.startswith(tissue.prefixes):
                mean[number] = value + rng.normal(0.0, 3.0)
                grain[number] = width
    return mean, grain
