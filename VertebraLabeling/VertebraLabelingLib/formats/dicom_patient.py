"""Patient and study of a CT, as a report may carry them: copied as they are, mended, or left out with a word.

Headers from hospitals hold dates as people write them, names without parts, bytes of another character set. A library
that makes a report refuses some of these, so the values are read here as stored, checked, and put into the report after
it was made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

ATTRIBUTES = {
    "PatientName": "PN",
    "PatientID": "LO",
    "IssuerOfPatientID": "LO",
    "PatientBirthDate": "DA",
    "PatientSex": "CS",
    "PatientAge": "AS",
    "StudyID": "SH",
    "StudyDate": "DA",
    "StudyTime": "TM",
    "AccessionNumber": "SH",
    "ReferringPhysicianName": "PN",
    "StudyDescription": "LO",
}
"""What a report takes over, with the value representations."""

ALWAYS = frozenset(ATTRIBUTES) - {"IssuerOfPatientID", "PatientAge", "StudyDescription"}
"""What a report has even where the scan has nothing to say."""

UTF_8 = "ISO_IR 192"

_DATE = re.compile(r"(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})")  # with dots as DICOM's predecessor wrote it
_TIME = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(\.\d{1,6})?")
_AGE = re.compile(r"\d{3}[DWMY]")
_SEXES = ("M", "F", "O")


def patient_values(image) -> tuple[dict[str, str], tuple[str, ...]]:
    """The values for a report, and a sentence where some were mended or left out; it names them, and holds no value.

    Args:
        image: the header of one image, a pydicom dataset.
    """
    values: dict[str, str] = {}
    mended: list[str] = []
    lost: list[str] = []
    encodings = _encodings(image)
    for name, kind in ATTRIBUTES.items():
        if name not in image and name not in ALWAYS:
            continue
        stored, sound = _text(image, name, encodings)
        value = _sound(stored, kind)
        values[name] = value or ""
        if value is None and kind != "PN":
            lost.append(name)
        elif value is None or value != stored or not sound:
            mended.append(name)
            values[name] = value if value is not None else _plain(stored)
    told = [f"{what}: {', '.join(names)}" for what, names in (("mended", mended), ("left out", lost)) if names]
    note = f"The report differs from the scan's header where that is no sound DICOM ({'; '.join(told)})."
    return values, (note,) if told else ()


def character_set(values: Sequence[str]) -> str | None:
    """The one that a report needs for these texts; ``None`` where they are ASCII."""
    return None if all(value.isascii() for value in values) else UTF_8


def put(report, values: dict[str, str]) -> None:
    """Set the values as they are, whatever pydicom would say of their length."""
    from pydicom.config import IGNORE
    from pydicom.datadict import tag_for_keyword
    from pydicom.dataelem import DataElement

    for name, value in values.items():
        tag = tag_for_keyword(name)
        report[tag] = DataElement(tag, ATTRIBUTES[name], value, validation_mode=IGNORE)


def stored_text(image, name: str) -> str:
    """An ASCII value (a UID, a number) as stored; empty where it is missing."""
    element = image.get_item(name)
    value = element.value if element is not None else None
    if isinstance(value, bytes):
        return value.decode("latin-1").strip(" \0")
    several = not isinstance(value, str) and isinstance(value, Sequence)
    return ("\\".join(map(str, value)) if several else str(value or "")).strip(" \0")


def _text(image, name: str, encodings: list[str]) -> tuple[str, bool]:
    """A value in the characters of its image, and whether these are what the header says."""
    from pydicom.charset import decode_bytes
    from pydicom.valuerep import PN_DELIMS

    element = image.get_item(name)
    value = element.value if element is not None else None
    if not isinstance(value, bytes):
        return str(value or "").strip(" \0"), True
    if not encodings:  # nothing is said, so it should be ASCII
        for encoding in ("ascii", "utf-8", "latin-1"):
            try:
                return value.decode(encoding).strip(" \0"), encoding == "ascii"
            except UnicodeDecodeError:
                continue
    text = decode_bytes(value, encodings, set(PN_DELIMS)).strip(" \0")
    return text, "\N{REPLACEMENT CHARACTER}" not in text


def _encodings(image) -> list[str]:
    """Python's names of the character sets of an image; empty where it names none, or none that is known."""
    from pydicom.charset import convert_encodings, python_encoding

    names = [name.strip().upper() for name in stored_text(image, "SpecificCharacterSet").split("\\")]
    spelled = [re.sub(r"^ISO[ _\-]?(2022[ _\-])?IR[ _\-]?(\d+)$", _spelled, name) for name in names]
    if not any(spelled) or not all(name in python_encoding for name in spelled):
        return []
    return convert_encodings(spelled)


def _spelled(found: re.Match) -> str:
    return f"ISO 2022 IR {found[2]}" if found[1] else f"ISO_IR {found[2]}"


def _sound(text: str, kind: str) -> str | None:
    """The value as DICOM has it; ``None`` where it cannot be told."""
    if not text:
        return ""
    if kind == "DA":
        found = _DATE.fullmatch(text)
        return "".join(found.groups()) if found and _is_day(found) else None
    if kind == "TM":
        found = _TIME.fullmatch(text)
        return "".join(part or "" for part in found.groups()) if found else None
    if kind == "AS":
        return text if _AGE.fullmatch(text) else None
    if kind == "CS":
        return text.upper() if text.upper() in _SEXES else None
    sound = "\\" not in text and text.isprintable() and "\N{REPLACEMENT CHARACTER}" not in text
    return text if sound else None


def _is_day(found: re.Match) -> bool:
    try:
        datetime(*map(int, found.groups()))
    except ValueError:
        return False
    return True


def _plain(name: str) -> str:
    """A name without what a name cannot hold."""
    kept = (char if char.isprintable() and char not in "\\\N{REPLACEMENT CHARACTER}" else " " for char in name)
    return " ".join("".join(kept).split())
