"""What a DICOM file is that holds no CT image: reports and structure sets lie beside the images of a study."""

from __future__ import annotations

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_KINDS = {
    "88.67": "a radiation dose report",
    "88.68": "a radiation dose report",
    "88.73": "a radiation dose report",
    "88.76": "a radiation dose report",
    "88.59": "a key object selection",
    "88": "a structured report",
    "481.3": "an RT structure set",
    "481.2": "an RT dose",
    "481.5": "an RT plan",
    "481.8": "an RT ion plan",
    "481": "a radiotherapy record",
    "66.4": "a segmentation",
    "66": "a registration or other spatial object",
    "11": "a presentation state",
    "104": "an encapsulated document",
    "9": "a waveform",
    "67": "a real world value mapping",
    "78": "an ophthalmic measurement",
    "68": "a surface scan",
    "79": "an ophthalmic measurement",
    "80": "an ophthalmic measurement",
}


def kind_of(sop_class: str) -> str:
    """What an object of a class is in words; empty for images and for all that is not known."""
    number = sop_class.removeprefix(_STORAGE)
    return _KINDS.get(number) or _KINDS.get(number.split(".")[0], "")
