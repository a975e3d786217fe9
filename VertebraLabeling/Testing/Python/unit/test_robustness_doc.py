"""The tables of docs/robustness.md: each row names tests that exist, and as many cases as they have."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from collection import GENERATORS, all_cases

TESTS = Path(__file__).resolve().parents[1]
TEXT = (TESTS.parents[2] / "docs" / "robustness.md").read_text("utf-8")
ROW = re.compile(r"^\| ([^|]+) \| (\d+) \| [^|]+ \| `(\w+) -k '?([\w ]+)'?` \|$", re.M)


def rows() -> list[tuple[str, str, int, str]]:
    """``(file, kind, cases, words of -k)`` of each row whose last cell names tests."""
    return [(_file(stem), kind, int(cases), words) for kind, cases, stem, words in ROW.findall(TEXT)]


def _file(stem: str) -> str:
    (path,) = TESTS.rglob(f"test_{stem}.py")
    return path.relative_to(TESTS).as_posix()


@pytest.fixture(scope="module")
def tests() -> list[tuple[str, str]]:
    """``(file, name of the function)`` of each test of the files that the tables name, collected as by a reader."""
    files = sorted({file for file, *_ in rows()})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    said = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=600).stdout
    names = (re.match(r"(?:VertebraLabeling/Testing/Python/)?([^:]+)::(\w+)", line) for line in said.splitlines())
    return [name.groups() for name in names if name]


def chosen(file: str, words: str, tests: list[tuple[str, str]]) -> int:
    """How many tests ``pytest FILE -k WORDS`` chooses, of whose grammar ``and`` and ``or`` are known."""
    ways = [way.split(" and ") for way in words.split(" or ")]
    return sum(of == file and any(all(word in name for word in way) for way in ways) for of, name in tests)


def test_there_are_rows_of_several_files():
    assert len(rows()) > 20 and len({file for file, *_ in rows()}) >= 4


@pytest.mark.parametrize("file, kind, cases, words", rows(), ids=lambda value: str(value)[:40])
def test_a_row_has_as_many_cases_as_its_tests(file, kind, cases, words, tests):
    assert chosen(file, words, tests) == cases


def test_the_damaged_volumes_are_as_many_as_the_table_says():
    told = dict(re.findall(r"^\|[^|]+\| (\d+ \| \d+) \| `(\w+)` \|$", TEXT, re.M))
    made = {}
    for generator in GENERATORS:
        cases = list(generator.cases())
        made[generator.__name__] = f"{len(cases)} | {sum(not case.long for case in cases)}"
    assert {name: numbers for numbers, name in told.items()} == made


def test_the_outcomes_are_as_many_as_the_text_says():
    outcomes = Counter(case.expect for case in all_cases() if not case.long)
    assert f"{outcomes['refused']} must be refused, {outcomes['right']} must be right" in TEXT
