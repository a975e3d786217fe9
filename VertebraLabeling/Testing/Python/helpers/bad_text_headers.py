"""NRRD and MetaImage files whose text headers are damaged, contradictory or hostile."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bad_nifti import content, put
from cases import EITHER, REFUSED, RIGHT, Case

NRRD_LINES = {
    REFUSED: {
        "type": ("string", "block", "vector", "", "complex", "unsigned", "\x00"),
        "dimension": ("0", "1", "2", "4", "17", "-3", "abc", "99999999999999999999", ""),
        "sizes": ("0 0 0", "28 32", "28 32 16 2", "-28 32 16", "99999 99999 99999", "28 32 200", "a b c", ""),
        "encoding": ("bzip3", "", "none"),
        "space directions": (
            *("(0,0,0) (0,0,0) (0,0,0)", "(3,0,0) (3,0,0) (0,0,4)", "(nan,0,0) (0,3,0) (0,0,4)", "none none none"),
            *("(3,0) (0,3)", "(1e30,0,0) (0,3,0) (0,0,4)", "(3,0,0", "abc", ""),
        ),
        "space origin": ("(nan,0,0)", "(inf,0,0)", "(1,2)", "abc", "(1e308,0,0)", "(1e30,0,0)", ""),
    },
    EITHER: {
        "space": ("left-posterior", "nonsense", "", "scanner-xyz", "3D-left-handed", "left-posterior-superior-time"),
        "kinds": ("vector domain domain", "RGB-color domain domain", "domain", "a b c", ""),
        "endian": ("big", "middle", ""),
        "encoding": ("ascii", "hex", "bzip2", "gzip"),
    },
    RIGHT: {
        "kinds": ("domain domain domain",),
        "space": ("LPS",),
    },
}

META_LINES = {
    REFUSED: {
        "NDims": ("0", "1", "2", "4", "-3", "999999", "abc"),
        "DimSize": ("0 0 0", "-28 32 16", "28 32", "99999 99999 99999", "28 32 200", "2147483648 1 1", "a b c"),
        "ElementType": ("MET_STRING", "MET_OTHER", "MET_NONE", "MET_DOUBLE_ARRAY", "hello", ""),
        "ElementNumberOfChannels": ("3", "1000000"),
        "ElementDataFile": (
            *("missing.raw", "/etc/hostname", "../../../../etc/hostname", "LIST", "http://127.0.0.1/a.raw"),
            *("%s%s%s%n", "slice%03d.raw 1 9999999 1", "/dev/zero", "/dev/stdin"),
        ),
        "ElementSpacing": ("0 0 0", "nan nan nan", "inf 3 4", "-3 3 4", "1e-30 3 4", "1e30 3 4", "3 3", "abc", "5"),
        "TransformMatrix": (
            *("0 0 0 0 0 0 0 0 0", "1 0 0 1 0 0 0 0 1", "nan 0 0 0 1 0 0 0 1", "1 0 0", "abc", "5 0 0 0 5 0 0 0 5"),
        ),
        "Offset": ("nan 0 0", "inf 0 0", "1e308 0 0", "1e30 0 0", "abc", "1"),
    },
    EITHER: {
        "ObjectType": ("Tube",),
        "CompressedData": ("True",),
        "BinaryDataByteOrderMSB": ("True", "maybe"),
        "BinaryData": ("False", "maybe"),
        "HeaderSize": ("-1", "99999999", "-99"),
        "AnatomicalOrientation": ("RAI", "???", "LPSLPSLPSLPSLPSLPSLPSLPS"),
        "DimSize": ("28 32 16 5", "32 28 16"),
        "CenterOfRotation": ("nan nan nan", "1 2"),
    },
    RIGHT: {"CenterOfRotation": ("5 5 5",), "Comment": ("<script>alert(1)</script>", "$(touch /tmp/x)")},
}


def edited(suffix: str, field: str, value: str, folder: Path) -> Path:
    """The phantom with one line of its header replaced, or added where there is none of that name."""
    colon = ": " if suffix == ".nrrd" else " = "
    end = b"\n\n" if suffix == ".nrrd" else b"ElementDataFile = LOCAL\n"
    head, voxels = content(suffix).split(end, 1)
    lines = head.decode("ascii").split("\n")
    if suffix == ".mha":
        lines = [*[line for line in lines if line], "ElementDataFile = LOCAL"]
    name = field + colon
    at = next((n for n, line in enumerate(lines) if line.startswith(name)), None)
    if at is None:
        lines.insert(len(lines) - (suffix == ".mha"), name + value)
    else:
        lines[at] = name + value
    tail = "\n\n" if suffix == ".nrrd" else "\n"
    return put(folder, f"a{suffix}", ("\n".join(lines) + tail).encode("utf-8", "surrogateescape") + voxels)


def without(suffix: str, field: str, folder: Path) -> Path:
    """The phantom without the lines of one header field."""
    end = b"\n\n" if suffix == ".nrrd" else b"LOCAL\n"
    head, voxels = content(suffix).split(end, 1)
    lines = [line for line in head.split(b"\n") if not line.startswith(field.encode())]
    return put(folder, f"a{suffix}", b"\n".join(lines) + end + voxels)


def detached(header: str, folder: Path) -> Path:
    """An .nhdr whose ``data file`` line is ``header``."""
    head = content(".nrrd").split(b"\n\n", 1)[0].decode()
    return put(folder, "a.nhdr", f"{head}\ndata file: {header}\n".encode())


def long_header(suffix: str, field: str, folder: Path) -> Path:
    """A header line of two million characters."""
    return edited(suffix, field, "x" * 2_000_000, folder)


def cases() -> Iterator[Case]:
    """All NRRD and MetaImage cases."""
    for suffix, table in ((".nrrd", NRRD_LINES), (".mha", META_LINES)):
        yield Case(f"{suffix} sound", lambda folder, suffix=suffix: put(folder, f"a{suffix}", content(suffix)), RIGHT)
        for expect, lines in table.items():
            for field, values in lines.items():
                for value in values:
                    name = f"{suffix} {field} = {value!r}"
                    yield Case(name, partial(edited, suffix, field, value), expect)
    for field in ("type", "dimension", "sizes", "encoding", "endian", "space directions", "space", "NRRD"):
        yield Case(f".nrrd without {field}", partial(without, ".nrrd", field))
    for field in ("NDims", "DimSize", "ElementType", "ObjectType", "ElementSpacing", "BinaryData", "TransformMatrix"):
        yield Case(f".mha without {field}", partial(without, ".mha", field))
    yield Case(".nrrd with a header of 2 MB", partial(long_header, ".nrrd", "content"))
    yield Case(".mha with a header of 2 MB", partial(long_header, ".mha", "Comment"))
    files = ("missing.raw", "/etc/hostname", "../../etc/hostname", "%03d.raw 1 99999999 1", "LIST", "/dev/zero")
    for name in files:
        yield Case(f".nhdr data file {name}", partial(detached, name), REFUSED)
