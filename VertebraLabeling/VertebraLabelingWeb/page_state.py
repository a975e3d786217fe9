"""The names that the template ``static/page.html`` reads, and what they are before a scan is open."""

from __future__ import annotations

from collections.abc import Sequence

from VertebraLabelingLib.batch.inputs import ScanJob
from VertebraLabelingLib.core.anatomy import LEVELS
from VertebraLabelingLib.core.count_rules import AS_SEEN, RULES
from VertebraLabelingMRML.told import ruleText, ruleTip

from .scene import WINDOWS
from .views import NAMES

STATE: dict[str, object] = {
    "scan_name": "",
    "busy_text": "",
    "uploading": "",
    "error": "",
    "question": None,
    "unsaved": False,
    "message": "",
    "how_counted": "",
    "warnings": [],
    "other_counts": [],
    "counting": AS_SEEN,
    "preferred_counting": AS_SEEN,  # what the browser keeps; for scans without vertebrae
    "running": False,
    "progress": 0,
    "stage": "",
    "rows": [],
    "chosen": "",
    "level": "L1",
    "undo_what": "",
    "follow": True,
    "show_bone": True,
    "window_name": "Bone",
    "slices": {},
    "view_levels": {},
    "planes": [],
    "plane": "",  # of a vertebra or disc, that the views were turned to
    "plane_left": False,  # they are turned so, but at another place
    "strip_wanted": False,  # the straightened spine beside the views
    "strip_stale": False,  # it is being made anew
    "strip_view": "both",
    "strip": {},
    "strip_points": [],
    "strip_mark": None,  # height of the axial slice, percent from above
    "report_text": "",  # shown by the browser where its clipboard is closed
    "report_changed": False,  # since the text was copied
}
"""What a new session begins with."""

OF_BROWSER = ("uploading",)
"""Names that the browser alone sets and reads: what it knows of them would come to the server late."""

SAMPLE_TITLE = "Open the sample CT (chest, LIDC-IDRI)"


def initial(jobs: Sequence[ScanJob], upload_limit: int) -> dict[str, object]:
    """The whole state of a new server: :data:`STATE` and what stays the same for all sessions."""
    windows = [
        {"name": name, "title": f"Window {window:.0f}, level {level:.0f} HU ({key})"}
        for key, (name, (window, level)) in enumerate(WINDOWS.items(), start=1)
    ]
    return {
        **STATE,
        "views": list(NAMES),
        "levels": list(LEVELS),
        "windows": windows,
        "rules": [{"rule": rule, "text": ruleText(rule), "title": ruleTip(rule)} for rule in RULES],
        "sample_title": SAMPLE_TITLE,
        "scans": [{"number": number, "name": job.name} for number, job in enumerate(jobs)],
        "limit_bytes": upload_limit,
        "limit_text": f"{upload_limit / 1e9:.1f} GB" if upload_limit >= 1e9 else f"{upload_limit / 1e6:.0f} MB",
    }
