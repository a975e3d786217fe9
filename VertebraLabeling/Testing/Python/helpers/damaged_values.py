"""Every way to put a wrong value into a JSON document, one at a time or at random."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator

WRONG = (
    *(None, True, False, 0, -1, 2.5, 1e308, float("inf"), float("nan"), 10**400, -(10**30)),
    *("", "L1", "x" * 3000, "<script>alert(1)</script>", "\x00\x1b[2J", "\ud800", "1", "nan", "../../etc/passwd"),
    *([], [[]], [None], [1, 2], [1, 2, 3, 4], [float("nan")] * 3, ["1", "2", "3"], {}, {"a": 1}, {"L1": [1, 2, 3]}),
)
MOST_ENTRIES = 3  # of a long list only the first few are damaged: the others are read by the same code


def damaged(document: object) -> Iterator[object]:
    """Copies of a document: with each wrong value at each place, with each place removed or doubled."""
    yield from WRONG
    for path in places(document):
        for value in WRONG:
            yield changed(document, path, lambda parent, key, value=value: parent.__setitem__(key, value))
        yield changed(document, path, lambda parent, key: parent.__delitem__(key))
        yield changed(document, path, _double)


def randomly_damaged(document: object, chance: random.Random) -> object:
    """A copy of a document with one place damaged."""
    paths = list(places(document))
    if not paths:
        return chance.choice(WRONG)
    value = chance.choice(WRONG)
    edits = (lambda parent, key: parent.__setitem__(key, value), lambda parent, key: parent.__delitem__(key), _double)
    return changed(document, chance.choice(paths), chance.choices(edits, (8, 1, 1))[0])


def places(document: object, path: tuple = ()) -> Iterator[tuple]:
    """The paths of all values below a document."""
    keys: list = []
    if isinstance(document, dict):
        keys = list(document)
    elif isinstance(document, list):
        keys = list(range(min(len(document), MOST_ENTRIES)))
    for key in keys:
        yield (*path, key)
        yield from places(document[key], (*path, key))


def changed(document: object, path: tuple, edit) -> object:
    """A copy of a document after ``edit(parent, key)`` at a path."""
    result = copy.deepcopy(document)
    parent = result
    for key in path[:-1]:
        parent = parent[key]
    edit(parent, path[-1])
    return result


def _double(parent, key) -> None:
    if isinstance(parent, list):
        parent.append(parent[key])
    else:
        parent[f"{key} "] = parent[key]
