"""Damaged files of our own formats: each wrong value at each place of a document, cuts, and bytes that mean nothing."""

from __future__ import annotations

import json
import random

import pytest
from damaged_values import damaged
from hypothesis import given, settings
from hypothesis import strategies as st
from own_readers import READERS, problem_with
from VertebraLabelingLib.errors import InputError

JSON_READERS = ("mrk.json", "verse.json", "evidence", "model card", "training config", "journal")


def read_all(name, documents, tmp_path) -> tuple[int, str]:
    """How many documents were read, and what went wrong with which."""
    reader = READERS[name]
    path = tmp_path / f"a{reader.suffix}"
    problems, count = {}, 0
    for count, data in enumerate(documents, start=1):  # noqa: B007 - the number of documents is told
        problem = problem_with(reader, data, path)
        if problem:
            problems.setdefault(problem[:24], f"{problem[:300]} <- {data[:300]!r}")
    return count, "\n".join(list(problems.values())[:10])


@pytest.mark.parametrize("name", READERS)
def test_a_sound_document_is_read(name, tmp_path):
    reader = READERS[name]
    path = tmp_path / f"a{reader.suffix}"
    path.write_bytes(reader.sound())
    assert not reader.fault(reader.read(path))


@pytest.mark.parametrize("name", ["list of scans", "text list of scans"])
@pytest.mark.parametrize("entry", ["/", "..", "\u2003/", "below/../..", "*/../..", '"/"'])
def test_a_list_that_would_search_the_whole_computer_is_not_tried_here(name, entry, tmp_path):
    path = tmp_path / f"a{READERS[name].suffix}"
    path.write_text(f"path\n{entry}\n", encoding="utf-8")
    with pytest.raises(InputError, match="outside of its folder"):
        READERS[name].read(path)


@pytest.mark.parametrize("name", JSON_READERS)
def test_a_wrong_value_at_any_place_is_refused_in_a_sentence_or_does_no_harm(name, tmp_path):
    sound = json.loads(READERS[name].sound().splitlines()[0] if name == "journal" else READERS[name].sound())
    count, problems = read_all(name, (json.dumps(document).encode() for document in damaged(sound)), tmp_path)
    assert count > 200 and not problems, problems


@pytest.mark.parametrize("name", READERS)
def test_a_document_that_ends_anywhere_is_refused_in_a_sentence_or_does_no_harm(name, tmp_path):
    data = READERS[name].sound()
    steps = max(1, len(data) // 150)
    _, problems = read_all(name, (data[:end] for end in range(0, len(data), steps)), tmp_path)
    assert not problems, problems


ODD_BYTES = (
    *(
        b"",
        b"\0",
        b"\xff\xfe{",
        b"\xef\xbb\xbf",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"nan",
        b"Infinity",
        b'"',
        b"\n" * 999,
    ),
    *(
        b"1" * 5000,
        b"[]",
        b"{}",
        b'"x"',
        b"null",
        b"," * 10_000,
        b'"\n' * 5000,
        bytes(range(256)) * 4,
        b"\r\n\r\n",
        b"\x1a",
    ),
)


@pytest.mark.parametrize("name", READERS)
def test_bytes_that_are_no_document_are_refused_in_a_sentence_or_do_no_harm(name, tmp_path):
    _, problems = read_all(name, ODD_BYTES, tmp_path)
    assert not problems, problems


@pytest.mark.parametrize("name", READERS)
def test_changed_bytes_are_refused_in_a_sentence_or_do_no_harm(name, tmp_path):
    sound, chance = READERS[name].sound(), random.Random(4)

    def changed():
        for _ in range(150):
            data = bytearray(sound)
            for _ in range(chance.randint(1, 5)):
                data[chance.randrange(len(data))] = chance.choice(b'\0"{}[],:-.e0919\xff\n')
            yield bytes(data)

    _, problems = read_all(name, changed(), tmp_path)
    assert not problems, problems


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("name", READERS)
def test_any_json_and_any_bytes_are_refused_in_a_sentence_or_do_no_harm(name, tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / f"a{READERS[name].suffix}"

    @settings(max_examples=60, deadline=None)
    @given(JSON_VALUES.map(json.dumps).map(str.encode) | st.binary(max_size=200))
    def holds(data):
        assert not problem_with(READERS[name], data, path)

    holds()
