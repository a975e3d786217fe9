"""Centroids as the VerSe data sets store them (github.com/anjany/verse): voxel indices in a named orientation.

``[{"direction": ["P", "I", "R"]}, {"label": 20, "X": 79.1, "Y": 40.9, "Z": 32.3}, ...]`` are zero-based voxel indices
of the array whose three axes run to Posterior, Inferior and Right. They are converted through the affine of the volume
and nothing else; the reorientation helper of the VerSe repository is off by one voxel on flipped axes.
"""

from __future__ import annotations

import json
import os
from itertools import permutations
from pathlib import Path

import numpy as np

from ..core.anatomy import VERSE_LABELS
from ..core.labels import LabeledPoint, SpineLabels
from ..core.volume import Volume, apply_affine, ras_to_ijk
from ..errors import InputError
from ..system.atomic import write_text
from .limits import MAX_BYTES, is_place, shown

_LEVELS = {number: level for level, number in VERSE_LABELS.items()}
_NOT_LEVELS = (26, 27)  # sacrum and coccyx
_OPPOSITE = dict(zip("RLAPSI", "LRPAIS"))
_DECIMALS = 2


def write_labels(path: str | os.PathLike, labels: SpineLabels, volume: Volume) -> None:
    """Write the points in voxel indices of ``volume`` as it is stored; ``direction`` names its axes.

    Raises:
        OSError: the file cannot be written; nothing is left behind.
    """
    entries: list[dict] = [{"direction": list(axis_codes(volume.ijk_to_ras))}]
    for point in labels.points:
        x, y, z = (round(float(value), _DECIMALS) for value in ras_to_ijk(volume, np.array([point.ras]))[0])
        entries.append({"label": VERSE_LABELS[point.level], "X": x, "Y": y, "Z": z})
    write_text(path, json.dumps(entries) + "\n")


def read_labels(path: str | os.PathLike, volume: Volume) -> SpineLabels:
    """Read a VerSe centroid file.

    Args:
        volume: the image that the centroids belong to; the file may name another orientation of it.

    Raises:
        InputError: the file is not such a list, or a label is no VerSe label.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path.name} is too large for a list of centroids: give a VerSe centroid file.")
        entries = json.loads(path.read_bytes())
        direction = tuple(entries[0]["direction"])
        found = [
            (int(entry["label"]), (float(entry["X"]), float(entry["Y"]), float(entry["Z"])))
            for entry in entries[1:]
            if "label" in entry
        ]
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the path.") from error
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, OverflowError) as error:
        raise InputError(f"{path.name} is not a VerSe centroid file, or it is damaged: export it again.") from error
    affine = reoriented_affine(volume, direction, path.name)
    points = []
    for number, ijk in found:
        if number in _NOT_LEVELS or np.isnan(ijk).any():
            continue
        if number not in _LEVELS:
            name = shown(number)
            raise InputError(f"{path.name} holds the label {name}, which is no VerSe vertebra: export it again.")
        ras = tuple(apply_affine(affine, np.array([ijk]))[0].tolist()) if is_place(ijk) else ()
        if not is_place(ras):
            raise InputError(f"{path.name} places {_LEVELS[number]} far outside of any scan: export it again.")
        points.append(LabeledPoint(_LEVELS[number], ras))
    return SpineLabels(tuple(points))


def axis_codes(ijk_to_ras: np.ndarray) -> tuple[str, str, str]:
    """The world direction nearest to which I, J and K run, e.g. ``("L", "P", "S")``; each world axis once."""
    cosines = ijk_to_ras[:3, :3] / np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    order = max(permutations(range(3)), key=lambda p: sum(abs(cosines[world, axis]) for axis, world in enumerate(p)))
    return tuple("RAS"[world] if cosines[world, axis] > 0 else "LPI"[world] for axis, world in enumerate(order))


def reoriented_affine(volume: Volume, direction: tuple[str, ...], name: str = "the file") -> np.ndarray:
    """(4, 4) affine of the volume if its array were permuted and flipped to run along ``direction``.

    Raises:
        InputError: ``direction`` does not name each world axis once.
    """
    codes = axis_codes(volume.ijk_to_ras)
    matrix = np.eye(4)
    matrix[:3, 3] = volume.ijk_to_ras[:3, 3]
    if len(direction) != 3 or {_axis(code) for code in direction} != {0, 1, 2}:
        raise InputError(f"The direction {shown(list(direction))} in {name} does not name three axes: export it again.")
    for target, code in enumerate(direction):
        source = next(axis for axis, own in enumerate(codes) if own in (code, _OPPOSITE[code]))
        column = volume.ijk_to_ras[:3, source]
        if codes[source] != code:
            matrix[:3, 3] += column * (volume.array.shape[2 - source] - 1)
            column = -column
        matrix[:3, target] = column
    return matrix


def _axis(code: object) -> int | None:
    return {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}.get(code) if isinstance(code, str) else None
