"""What identifies the scan that points were made from, wherever its files lie and whatever they are called."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

DICOM, FILE = "dicom", "file"

_LONGEST = 256  # characters of a part in a file; UIDs have 64
_MOST_PARTS = 16


@dataclass(frozen=True)
class ScanSource:
    """The identity of one scan. Two that are equal are the same scan.

    Attributes:
        kind: :data:`DICOM` or :data:`FILE`.
        parts: (name, value) pairs. Of DICOM: ``study``, ``series`` and ``frame_of_reference`` (UIDs), ``patient``,
            ``instances``, ``places`` and ``pixels`` (digests). Of a file: ``bytes`` (its size), ``header`` and
            ``voxels`` (digests). No name, number or date of a patient can be read from it.
    """

    kind: str
    parts: tuple[tuple[str, str], ...]

    @cached_property
    def digest(self) -> str:
        """32 hexadecimal digits that stand for all parts."""
        return digest_of((self.kind, *(f"{name}={value}" for name, value in self.parts)))

    @property
    def short(self) -> str:
        """Eight of the digits, for names of files."""
        return self.digest[:8]

    def part(self, name: str) -> str:
        """The value of a part; empty where there is none."""
        return dict(self.parts).get(name, "")

    def same_series(self, other: ScanSource) -> bool:
        """Both are DICOM of one study and series, of the same images or of others."""
        uids = ("study", "series")
        return self.kind == other.kind == DICOM and all(self.part(name) == other.part(name) for name in uids)

    def to_dict(self) -> dict[str, str]:
        """For JSON documents."""
        return {"kind": self.kind, **dict(self.parts), "digest": self.digest}

    @staticmethod
    def from_dict(data: object) -> ScanSource | None:
        """The source in a JSON document; ``None`` where it is missing, damaged or was changed."""
        if not isinstance(data, dict) or data.get("kind") not in (DICOM, FILE) or len(data) > _MOST_PARTS:
            return None
        if not all(isinstance(value, str) and len(value) <= _LONGEST for value in data.values()):
            return None
        parts = tuple((name, value) for name, value in data.items() if name not in ("kind", "digest"))
        source = ScanSource(data["kind"], parts)
        return source if source.digest == data.get("digest") else None


def digest_of(texts: Iterable[str]) -> str:
    """32 hexadecimal digits of a SHA-256 over some texts, their borders included."""
    return hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()[:32]


def instances_digest(uids: Iterable[str]) -> str:
    """The digest of the SOP instance UIDs of a series, in any order."""
    return digest_of(sorted(set(uids)))


def shown_uid(text: str) -> str:
    """A UID as a source keeps it: what is none, and might hold anything, as a digest."""
    return text if re.fullmatch(r"[0-9.]{0,64}", text) else digest_of([text])
