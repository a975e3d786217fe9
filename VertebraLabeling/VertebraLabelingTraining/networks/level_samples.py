"""Training samples of the level network: straightened pieces of spines, many of them spliced from two patients.

A splice takes one patient's spine down to some level and another's from the next level on, cut through the disc. The
vertebrae stay in their right order and look as they should, but nothing else agrees (size, organs, table, noise), so
that a level can be told from its own vertebra or by counting from one that can, and hardly from anything else. A few
whole spines and many necks thus make thousands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVEL_RANK
from VertebraLabelingLib.core.volume import AIR_HU
from VertebraLabelingLib.networks.level_network import NO_RIB, SHORT_RIB
from VertebraLabelingLib.preprocessing.straightening import STEP_MM, Sections, sections_through, straighten

from ..augmentation.intensity import vary_look
from ..data.cases import Case
from .hidden_ribs import STUMP_MM, with_ribs_below, without_ribs
from .level_targets import SOME_RIB, Piece, Targets, targets
from .variant_counts import (
    DOUBLED,
    FIRST_LAST,
    OMITTED,
    UNNAMED,
    USUAL,
    above,
    below,
    counted_names,
    first_of_lower,
)

FEWEST = 3
SHORT_MM = (30.0, 44.0)  # from the middle: stubs of 1 to 2 cm
BONE_HU = 130.0  # cells of 4 mm: marrow with its cortex, and little contrast medium
_BLEND = 6  # sections over which a splice fades from one patient to the other
_T1, _T12, _T13, _L1 = (LEVEL_INDEX[level] for level in ("T1", "T12", "T13", "L1"))
_RIBS_CHANGED = [LEVEL_INDEX[level] for level in ("T8", "T9", "T10", "T11", "T12")]
T12_SHARE = 0.5  # of the pieces with changed ribs that show T12
LUMBAR_RIBS = 0.3  # of those: L1 bears ribs
_REAL = ("ct/", "openkbp/")  # in drawn spines L1 may bear ribs and L4 lie on the sacrum
_ARRAYS = ("levels", "cut", "whole")


@dataclass(frozen=True)
class SampleSettings:
    """How strongly samples vary; lengths mm, angles degrees."""

    splice: float = 0.55  # share of samples made from two patients
    variant: float = 0.45  # share of those in which a vertebra comes twice, or is left out
    changed_ribs: float = 0.4  # share with ribs of one vertebra shortened, painted out, or at L1 too
    cut_field: float = 0.7  # share with a field of view cut to a run of vertebrae
    jitter: float = 2.5  # sd of each point that the curve follows
    offset: float = 3.0  # sd of the curve as a whole, across
    tilt: float = 5.0  # sd of the planes' turn about each axis
    zoom: float = 0.10  # sd of the logarithm of the size across
    height: float = 0.12  # sd of the logarithm of the size along the curve
    thick: float = 0.35  # share with simulated thick slices
    narrow: float = 0.25  # share seen through a narrow window
    displaced: float = 0.4  # share with soft tissue and lungs moved along the spine, by ``displacement`` (sd)
    displacement: float = 20.0


@dataclass
class Sample:
    """Image (S, A, R) HU with the targets of its S/2 rows."""

    image: Tensor
    targets: Targets


def draw_sample(
    cases: Sequence[Case], probabilities: np.ndarray, rng: np.random.Generator, settings: SampleSettings
) -> Sample:
    """Draw a case, or two to be spliced, and make a sample of it."""
    case = cases[int(rng.choice(len(cases), p=probabilities))]
    joint = _joint(case, cases, probabilities, rng, settings) if rng.random() < settings.splice else None
    if joint is None:
        first, last = _run(len(case.levels), rng, settings)
        piece = straight_piece(case, first, last, True, True, rng, settings)
    else:
        a, b = _index(joint.upper, joint.last), _index(joint.lower, joint.first)
        # a run of vertebrae around the splice
        first, _ = _run(a + 1, rng, settings) if a + 1 >= FEWEST else (0, 0)
        _, last = _run(len(joint.lower.levels) - b, rng, settings)
        top = straight_piece(joint.upper, first, min(a + 1, len(joint.upper.levels) - 1), True, False, rng, settings)
        bottom = straight_piece(joint.lower, max(b - 1, 0), b + last, False, True, rng, settings)
        piece = _splice(top, bottom, joint.last, joint.first)
    piece.names = counted_names(piece.levels, piece.whole)
    if rng.random() < settings.changed_ribs:
        piece = _with_changed_ribs(piece, rng)
    return _finish(piece, rng, settings)


@dataclass(frozen=True)
class Joint:
    """Two patients joined: one down to level ``last``, the other from level ``first`` on."""

    upper: Case
    lower: Case
    last: int
    first: int


def _index(case: Case, level: int) -> int:
    return int((case.levels == level).nonzero()[0, 0])


def _shows(case: Case, upper: int, lower: int) -> bool:
    """Whether two levels are whole in a case, and neighbors there."""
    whole = case.levels[~case.cut].tolist()
    return upper in whole and lower in whole and _index(case, lower) == _index(case, upper) + 1


def _joint(
    case: Case, cases: Sequence[Case], probabilities: np.ndarray, rng: np.random.Generator, settings: SampleSettings
) -> Joint | None:
    """A place where ``case`` can be joined to another one, the disc of both whole."""
    changed = rng.random() < settings.variant
    kind = str(rng.choice((DOUBLED, OMITTED))) if changed else USUAL
    low, high = FIRST_LAST[kind]
    for _ in range(6):
        other = cases[int(rng.choice(len(cases), p=probabilities))]
        upper, lower = (case, other) if rng.random() < 0.5 else (other, case)
        places = [
            last
            for last in (k for k in range(low, high + 1) if k != _T13)
            if _shows(upper, last, below(last))
            and _shows(lower, above(first_of_lower(last, kind)), first_of_lower(last, kind))
        ]
        if other is not case and places:
            last = int(rng.choice(places))
            return Joint(upper, lower, last, first_of_lower(last, kind))
    return None


def _run(count: int, rng: np.random.Generator, settings: SampleSettings) -> tuple[int, int]:
    """First and last index of a random run of at least three of ``count`` vertebrae, or all."""
    if rng.random() > settings.cut_field or count <= FEWEST:
        return 0, count - 1
    length = int(rng.integers(FEWEST, count + 1))
    first = int(rng.integers(0, count - length + 1))
    return first, first + length - 1


def straight_piece(
    case: Case,
    first: int,
    last: int,
    open_top: bool,
    open_bottom: bool,
    rng: np.random.Generator,
    settings: SampleSettings,
) -> Piece:
    """Straighten the vertebrae ``first`` to ``last`` of a case.

    The field of view ends between the last one and the next, as a scan would: by a plane of equal z. An end that is
    not ``open`` (it will be spliced) is not cut.
    """
    points = case.points.cpu().double().numpy()
    order = np.argsort([LEVEL_RANK[k] for k in case.levels.tolist()])
    points, levels, cut = points[order], case.levels.numpy()[order], case.cut.numpy()[order]
    spacing = case.spacing.double().numpy()
    image, shift = _cut_field(case.image, spacing, points, first, last, open_top, open_bottom, rng)
    chain = points[first : last + 1]
    noise = rng.normal(0, settings.jitter, chain.shape) * (0.6, 1, 1) + rng.normal(0, settings.offset, 3) * (0, 1, 1)
    chain = chain + noise
    if len(chain) > 3:  # the chain at inference may lack an end
        chain = chain[int(rng.random() < 0.15) : len(chain) - int(rng.random() < 0.15)]
    sections = sections_through(chain - (shift, 0, 0))
    stretch = float(np.exp(np.clip(rng.normal(0, settings.height), -0.3, 0.3)))
    sections = _vary(sections, stretch, rng, settings)
    zoom = float(np.exp(np.clip(rng.normal(0, settings.zoom), -0.25, 0.25)))
    straight = straighten(image, spacing, sections, zoom)
    if rng.random() < 0.5:
        straight = straight.flip(2)
    rows = sections.rows_of(points - (shift, 0, 0))
    reach = np.arange(max(0, first - 1), min(last + 2, len(rows)))  # neighbors may show in part
    on_curve = (rows[reach] > 0) & (rows[reach] < len(sections) - 1)
    reach = reach[on_curve | ((first <= reach) & (reach <= last))]
    whole = (first <= reach) & (reach <= last) & ~cut[reach]
    exact = case.name.startswith(_REAL)
    return Piece(straight, rows[reach], levels[reach], cut[reach], whole, exact=exact)


def _cut_field(image, spacing, points, first, last, open_top, open_bottom, rng) -> tuple[Tensor, float]:
    """The slices of the field of view, and by how many mm its first one lies above the image's."""
    z = points[:, 0]
    low, high = 0, len(image)
    if open_bottom and last + 1 < len(z):
        low = int(np.floor((z[last] - rng.uniform(0.5, 1.0) * max(z[last] - z[last + 1], 8.0)) / spacing[0]))
    if open_top and first > 0:
        high = int(np.ceil((z[first] + rng.uniform(0.5, 1.0) * max(z[first - 1] - z[first], 8.0)) / spacing[0])) + 1
    low = int(np.clip(low, 0, len(image) - 2))
    high = int(np.clip(high, low + 2, len(image)))
    return image[low:high], low * float(spacing[0])


def _vary(sections: Sections, stretch: float, rng: np.random.Generator, settings: SampleSettings) -> Sections:
    """Turn the planes a little, and take them at other steps."""
    at = np.arange(0, len(sections) - 1 + 1e-6, stretch)
    low = np.minimum(at.astype(int), len(sections) - 2)
    share = (at - low)[:, None]
    center, right, front = (
        (1 - share) * a[low] + share * a[low + 1] for a in (sections.center, sections.right, sections.front)
    )
    turn, nod, lean = np.radians(rng.normal(0, settings.tilt, 3))
    foot = np.cross(right, front)
    right, front = right + turn * front + lean * foot, front - turn * right + nod * foot
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    front /= np.linalg.norm(front, axis=1, keepdims=True)
    return Sections(center, right, front)


def _splice(top: Piece, bottom: Piece, last: int, first: int) -> Piece:
    """Join two pieces at the disc below level ``last`` of the upper and above level ``first`` of the lower one."""
    a, b = _disc(top, last, below(last)), _disc(bottom, above(first), first)
    a, b = max(a, _BLEND // 2), max(b, _BLEND // 2)
    fade = torch.linspace(0, 1, _BLEND)[:, None, None]
    seam_a, seam_b = (p.image[r - _BLEND // 2 : r + _BLEND // 2] for p, r in ((top, a), (bottom, b)))
    rows = min(len(seam_a), len(seam_b))
    seam = torch.lerp(seam_a[:rows], seam_b[:rows], fade[:rows])
    head, tail = top.image[: a - _BLEND // 2], bottom.image[b - _BLEND // 2 + rows :]
    upper, lower = _rank(top.levels) <= _rank(last), _rank(bottom.levels) >= _rank(first)
    return Piece(
        torch.cat([head, seam, tail]),
        np.concatenate([top.rows[upper], bottom.rows[lower] + a - b]),
        *(np.concatenate([getattr(top, name)[upper], getattr(bottom, name)[lower]]) for name in _ARRAYS),
        exact=top.exact and bottom.exact,
    )


def _rank(levels: np.ndarray | int) -> np.ndarray:
    return np.asarray(LEVEL_RANK)[levels]


def _disc(piece: Piece, upper: int, lower: int) -> int:
    return round(sum(float(piece.rows[np.flatnonzero(piece.levels == k)[0]]) for k in (upper, lower)) / 2)


def _with_changed_ribs(piece: Piece, rng: np.random.Generator) -> Piece:
    """The piece with short ribs or none at a vertebra of the lower chest, or with those of T12 at L1 as well.

    T12 is the one whose ribs are often rudimentary; the others are changed too, so that ribs are looked for and not
    told from the looks of the body. Without ribs T12 is only known by counting from above.
    """
    at = np.flatnonzero(np.isin(piece.levels, _RIBS_CHANGED) & piece.whole)
    at = at[at + 1 < len(piece.rows)]
    if not len(at):
        return piece
    last = at[piece.levels[at] == _T12]
    n = int(rng.choice(last if len(last) and rng.random() < T12_SHARE else at))
    row, gap = piece.rows[n], piece.rows[n + 1] - piece.rows[n]
    if n in last and piece.levels[n + 1] == _L1 and rng.random() < LUMBAR_RIBS:
        return _with_lumbar_ribs(piece, n, row, gap)
    gone = rng.random() < 0.5
    image = without_ribs(piece.image, row, gap, STUMP_MM if gone else rng.uniform(*SHORT_MM), rng)
    if image is None:
        return piece
    names = piece.names
    if gone and n in last and not (piece.levels[piece.whole] <= _T1).any():
        names = np.full(len(names), UNNAMED)
    return replace(piece, image=image, names=names, ribs={n: NO_RIB if gone else SHORT_RIB})


def _with_lumbar_ribs(piece: Piece, n: int, row: float, gap: float) -> Piece:
    """The piece with ribs at its L1, which follows vertebra ``n``: that makes thirteen.

    It is the last rib-bearing one where the next one is in view, and known from above where T1 is.
    """
    counted = piece.whole[n + 2 :].any() or (piece.levels[piece.whole] == _T1).any()
    image = with_ribs_below(piece.image, row, gap) if counted else None
    if image is None:
        return piece
    seen = np.where(np.arange(len(piece.levels)) == n + 1, _T13, piece.levels)
    return replace(piece, image=image, names=counted_names(seen, piece.whole), ribs={n + 1: SOME_RIB})


def _finish(piece: Piece, rng: np.random.Generator, settings: SampleSettings) -> Sample:
    image = piece.image
    if rng.random() < settings.displaced:
        image = displace_soft_tissue(image, round(rng.normal(0, settings.displacement) / STEP_MM))
    if rng.random() < settings.thick:
        thickness = rng.uniform(3.0, 7.0) / STEP_MM
        count = max(4, round(len(image) / thickness))
        thick = functional.interpolate(image[None, None], (count, *image.shape[1:]), mode="area")
        image = functional.interpolate(thick, tuple(image.shape), mode="trilinear")[0, 0]
    image = vary_look(image, rng)
    if rng.random() < settings.narrow:
        image = _narrow(image, rng)
    return Sample(image, targets(piece, len(image)))


def displace_soft_tissue(image: Tensor, sections: int) -> Tensor:
    """Move all that is no bone along the spine, by ``sections`` to the feet; (S, A, R) HU, the ends are repeated.

    Where the lungs end or the kidneys begin differs between people by more than a vertebra: a level told from them is
    a guess, and with few chests to learn from, a tempting one.
    """
    source = torch.arange(len(image)).sub(sections).clamp(0, len(image) - 1)
    moved = image[source]
    return torch.where((image > BONE_HU) | (moved > BONE_HU) | (image < AIR_HU + 50), image, moved)


def _narrow(image: Tensor, rng: np.random.Generator) -> Tensor:
    image = image.clone()
    _, a, r = image.shape
    left, right = int(rng.integers(0, r // 4 + 1)), int(rng.integers(0, r // 4 + 1))
    front, back = int(rng.integers(0, a // 5 + 1)), int(rng.integers(0, a // 4 + 1))
    image[:, :, :left], image[:, :, r - right :] = AIR_HU, AIR_HU
    image[:, :front], image[:, a - back :] = AIR_HU, AIR_HU
    return image
