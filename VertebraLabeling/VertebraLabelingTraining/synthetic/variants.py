"""Enumeration variants: a thirteenth or missing rib-bearing vertebra, six or four lumbar vertebrae.

A vertebra is doubled or taken out of the label map; the bones above move rigidly along the spine to keep their
spacing, and the soft organs stretch or shorten smoothly between. Names follow the count from the head: a copy of T12
with its ribs makes T12 and T13, a copy of L3 makes L3 and L4 and so on to L6.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from VertebraLabelingLib.errors import InputError

from .sources import LabelMapSource, structure_mask

USUAL, T13, NO_T12, L6, FOUR_LUMBAR = "usual", "T13", "no T12", "L6", "four lumbar"
_CHANGED = {T13: ("T12", True), NO_T12: ("T12", False), L6: ("L3", True), FOUR_LUMBAR: ("L3", False)}
_SHARES = {T13: 0.03, NO_T12: 0.03, L6: 0.06, FOUR_LUMBAR: 0.03}
_COPY_ID, _COPY_RIBS = 200, {"left": 201, "right": 202}
_BLEND_MM = 100.0
_RIGID = ("vertebrae_", "rib_", "scapula", "clavicula", "humerus", "sternum", "costal_cartilages", "skull")
_RIGID_BELOW = ("sacrum", "hip_", "femur")


def draw_variant(source: LabelMapSource, rng: np.random.Generator) -> str:
    """Draw a variant, mostly the usual one.

    A changed number of ribs is drawn only where the map shows the upper thoracic spine to count them from: otherwise
    nothing in the image would tell T13 from T12.
    """
    shares = {kind: share for kind, share in _SHARES.items() if "T3" in source.truth or _CHANGED[kind][0] != "T12"}
    kinds = [USUAL, *shares]
    return str(rng.choice(kinds, p=[1.0 - sum(shares.values()), *shares.values()]))


def vary(source: LabelMapSource, kind: str) -> LabelMapSource:
    """The source with another number of vertebrae; :data:`USUAL` gives it unchanged.

    Raises:
        InputError: the map does not show the vertebra that is to be doubled or removed and the one above it.
    """
    if kind == USUAL:
        return source
    level, doubled = _CHANGED[kind]
    order = _head_to_foot(source.truth)
    if level not in order[1:]:
        raise InputError(f"{source.name} does not show {level} and the vertebra above: choose another label map.")
    above = order[order.index(level) - 1]
    step = source.truth[above] - source.truth[level]
    shift = np.rint((step if doubled else -step) / source.spacing_mm).astype(int)
    moved = _compose(source, level, shift, doubled)
    names, truth = _rename(source, level, shift * source.spacing_mm, doubled)
    return replace(moved, name=f"{source.name}-{kind.replace(' ', '')}", names=names, truth=truth, cache={})


def _head_to_foot(truth: dict[str, np.ndarray]) -> list[str]:
    return sorted(truth, key=lambda level: -truth[level][2])


def _compose(source: LabelMapSource, level: str, shift: np.ndarray, doubled: bool) -> LabelMapSource:
    """Stack the layers: stretched soft organs, bones above (moved), bones below and the doubled vertebra."""
    own = {f"vertebrae_{level}"} | ({"rib_left_12", "rib_right_12"} if level == "T12" else set())
    upper, lower, changed = [], [], []
    height = source.truth[level][2]
    for number, name in source.names.items():
        if name in own:
            changed.append(number)
        elif name.startswith("vertebrae_"):
            is_above = name[10:] in source.truth and source.truth[name[10:]][2] > height
            known = name[10:] in source.truth
            (upper if is_above or (not known and name != "vertebrae_S1") else lower).append(number)
        elif name.startswith(_RIGID):
            upper.append(number)
        elif name.startswith(_RIGID_BELOW):
            lower.append(number)
    rigid = structure_mask(source.labels, upper + lower + changed)
    labels = _stretch(np.where(rigid, np.uint8(0), source.labels), height / source.spacing_mm, shift, source.spacing_mm)
    bone_hu = None if source.bone_hu is None else np.zeros(labels.shape, dtype=source.bone_hu.dtype)
    layers = [(upper, shift, {})]
    if doubled:
        copies = {number: _copy_id(source.names[number]) for number in changed}
        layers += [(changed, shift, copies), (changed, np.zeros(3, dtype=int), {})]
    layers.append((lower, np.zeros(3, dtype=int), {}))
    for ids, offset, renamed in layers:
        _overlay(labels, bone_hu, source, ids, offset, renamed)
    return replace(source, labels=labels, bone_hu=bone_hu)


def _copy_id(name: str) -> int:
    return _COPY_RIBS[name.split("_")[1]] if name.startswith("rib_") else _COPY_ID


def _stretch(soft: np.ndarray, row: float, shift: np.ndarray, spacing_mm: float) -> np.ndarray:
    """Soft organs: unmoved well below the changed vertebra, moved by ``shift`` (x, y, z voxels) well above it."""
    depth = len(soft) + shift[2]
    out = np.zeros((depth, *soft.shape[1:]), dtype=soft.dtype)
    reach = _BLEND_MM / spacing_mm
    part = np.clip((np.arange(depth) - (row - reach)) / (2 * reach + max(shift[2], 0)), 0.0, 1.0)
    part = part * part * (3.0 - 2.0 * part)
    for k in range(depth):
        origin = int(np.clip(round(k - part[k] * shift[2]), 0, len(soft) - 1))
        offset = np.rint(part[k] * shift[:2]).astype(int)
        out[k] = np.roll(soft[origin], (offset[1], offset[0]), axis=(0, 1))
    return out


def _overlay(
    labels, bone_hu, source: LabelMapSource, ids: list[int], shift: np.ndarray, renamed: dict[int, int]
) -> None:
    """Write the structures ``ids`` at ``shift`` (x, y, z voxels) over what is there."""
    k, j, i = np.nonzero(structure_mask(source.labels, ids))
    table = np.arange(256, dtype=np.uint8)
    table[list(renamed)] = list(renamed.values())
    target = np.stack([k + shift[2], j + shift[1], i + shift[0]])
    inside = ((target >= 0) & (target < np.array(labels.shape)[:, None])).all(axis=0)
    here, there = tuple(target[:, inside]), (k[inside], j[inside], i[inside])
    labels[here] = table[source.labels[there]]
    if bone_hu is not None:
        bone_hu[here] = source.bone_hu[there]


def _rename(source: LabelMapSource, level: str, shift_mm: np.ndarray, doubled: bool):
    """Structure names and truth after the change, numbered from the head."""
    order = _head_to_foot(source.truth)
    position = order.index(level)
    truth = {name: source.truth[name] + shift_mm for name in order[:position]}
    names = dict(source.names)
    below = order[position + (0 if doubled else 1) :]
    if doubled:
        truth[level] = source.truth[level] + shift_mm
        names[_COPY_ID] = f"vertebrae_{level}"
    step = 1 if doubled else -1
    same_letter = [name for name in below if name[0] == level[0]]
    for name in below:
        new = f"{name[0]}{int(name[1:]) + step}" if name in same_letter else name
        truth[new] = source.truth[name]
        for number, text in source.names.items():
            if text == f"vertebrae_{name}":
                names[number] = f"vertebrae_{new}"
    for number, text in source.names.items():
        if level == "T12" and text.startswith("rib_") and text.endswith("_12") and doubled:
            names[_copy_id(text)] = text
            names[number] = text[:-2] + "13"
    return names, truth
