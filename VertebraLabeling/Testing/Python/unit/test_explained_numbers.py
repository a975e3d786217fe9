"""No number decides on a vertebra unexplained: chosen ones stand in core/parameters.py, others beside their reason."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import VertebraLabelingLib

ENGINE = Path(VertebraLabelingLib.__file__).parent
FILES = [path for package in ("pipeline", "solver") for path in sorted((ENGINE / package).glob("*.py"))]
PLAIN = {0, 1, 2, 3, 4, 0.5, 360}  # counts, halves, axes, a full turn
GUARD = 1e-3  # and smaller: against a division by zero or the logarithm of it, and one minus that


def is_plain(value: float) -> bool:
    return value in PLAIN or abs(value) <= GUARD or 1 - GUARD <= abs(value) < 1


def unexplained(source: str) -> list[str]:
    """Numbers of a module that are neither plain, nor a named constant with a comment or a string below it."""
    tree, lines = ast.parse(source), source.splitlines()
    explained: set[int] = set()
    for node, following in zip(tree.body, [*tree.body[1:], None]):
        if not isinstance(node, (ast.Assign, ast.AnnAssign)):
            continue
        told = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        if told or "  # " in lines[node.end_lineno - 1] or "Stage(" in lines[node.lineno - 1]:
            explained.update(range(node.lineno, node.end_lineno + 1))
    return [
        f"{node.lineno}: {lines[node.lineno - 1].strip()}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and type(node.value) in (int, float) and not is_plain(node.value)
        if node.lineno not in explained
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_number_is_explained(path):
    assert unexplained(path.read_text(encoding="utf-8")) == []


def test_the_search_finds_numbers():
    assert unexplained("A = 7.0\ndef f(x):\n    return x > 0.3") == ["1: A = 7.0", "3: return x > 0.3"]
    assert unexplained('A = 7.0  # mm, half a body\nB = 5\n"""Levels of the lumbar spine."""') == []
