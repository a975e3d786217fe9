"""Every malformed or unusual volume ends refused in one sentence or labeled rightly, in bounded time and memory."""

from __future__ import annotations

import pytest
from case_process import outcomes
from cases import Case, problem_with
from collection import all_cases

CASES = all_cases()
FAST = [case for case in CASES if not case.long]
LONG = [case for case in CASES if case.long]


def failures(cases: list[Case], folder) -> dict[str, str]:
    """Case -> what is wrong with what came of it."""
    found = outcomes([case.name for case in cases], folder)
    problems = {case.name: problem_with(case, found[case.name]) for case in cases}
    return {name: problem for name, problem in problems.items() if problem}


def told(problems: dict[str, str]) -> str:
    return "\n".join(f"{name}: {problem}" for name, problem in problems.items())


def test_there_are_hundreds_of_cases():
    assert len(FAST) >= 500 and len(CASES) >= 900


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs Unix resource limits")
def test_bad_volumes_are_refused_in_a_sentence_or_labeled_rightly(tmp_path):
    problems = failures(FAST, tmp_path)
    assert not problems, told(problems)


@pytest.mark.long
def test_the_rest_of_the_bad_volumes(tmp_path):
    problems = failures(LONG, tmp_path)
    assert not problems, told(problems)
