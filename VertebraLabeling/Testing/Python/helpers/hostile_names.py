"""Sound scans under names that shells, spreadsheets, browsers, terminals and file systems misread."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bad_nifti import content
from cases import REFUSED, RIGHT, Case

NAMES = (
    *("-o", "--help", "@list", "=1+1", "+cmd", "~root", ".hidden", "..", "...", " ", "a b", "a\tb", "a\nb", "a\rb"),
    *(
        "$(touch hacked)",
        "`id`",
        "a;ls",
        "a|b",
        "a&b",
        "a>b",
        "a'b",
        'a"b',
        "a\\b",
        "%s%n%s",
        "{0.__class__}",
        "a*b?[c]",
    ),
    *(
        "<script>alert(1)<",
        "CON",
        "nul",
        "com1",
        "\x1b[2J",
        "\x07",
        "\u202egnp",
        "\u200b",
        "é" * 60,
        "x" * 240,
        "日本語",
    ),
    *("a.nii.gz", "a.nrrd", "a.mrk.json", "0", "None", "a%00b", "a%2e%2e%2fb", "http:", "file:a"),
)


def named(name: str | bytes, suffix: str, folder: Path) -> Path:
    """A folder with the phantom under a name; what a file system refuses stands under a plain name."""
    place = folder / "in"
    place.mkdir()
    raw = name if isinstance(name, bytes) else name.encode("utf-8", "surrogatepass")
    try:
        target = os.path.join(os.fsencode(place), raw + suffix.encode())
        with open(target, "wb") as file:
            file.write(content(suffix))
    except OSError:
        (place / f"plain{suffix}").write_bytes(content(suffix))
        return place / f"plain{suffix}"
    return Path(os.fsdecode(target))


def empty(name: str, folder: Path) -> Path:
    """An empty file under a name that its error message must not pass on."""
    path = folder / f"{name}.nii"
    path.touch()
    return path


def cases() -> Iterator[Case]:
    """All cases of this kind: each is labeled rightly, and nothing is written outside of the output folder.

    SimpleITK cannot open a name that is not UTF-8, so such a scan is refused.
    """
    for name in NAMES:
        yield Case(f"name {name[:20]!a}", partial(named, name, ".nii"), RIGHT)
    for name in (b"\xff\xfe", b"a\x80b", b"caf\xe9"):
        yield Case(f"name of bytes {name!r}", partial(named, name, ".nii"), REFUSED)
    for name in ("a\nb", "\x1b[2J", "\u202egnp", "a" * 240):
        yield Case(f"empty file named {name[:20]!a}", partial(empty, name), REFUSED)
