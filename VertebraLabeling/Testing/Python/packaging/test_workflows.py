"""The workflows of continuous integration, which only GitHub can run: their schema, their safety, what they name.

Schema and safety are judged by two linters, check-jsonschema and zizmor; broken copies show that these would object.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[4]
GITHUB = REPOSITORY / ".github"
TESTS = REPOSITORY / "VertebraLabeling" / "Testing" / "Python"
WORKFLOWS = sorted(GITHUB.glob("workflows/*.yml"))
ACTIONS = sorted(GITHUB.glob("actions/*/action.yml"))


def linter(name: str) -> str:
    """The path of a linter beside this Python, or in the shell's path."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}: pip install -r requirements/test.txt")
    return found


def complaint(*command: str | Path) -> str:
    """What a linter says where it objects; empty where it does not."""
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, timeout=120)
    return "" if done.returncode == 0 else done.stdout + done.stderr or "it failed without a word"


def schema_complaint(path: Path) -> str:
    kind = "actions" if path.name == "action.yml" else "workflows"
    return complaint(linter("check-jsonschema"), "--builtin-schema", f"vendor.github-{kind}", path)


def safety_complaint(folder: Path) -> str:
    return complaint(linter("zizmor"), "--offline", "--no-progress", "--quiet", folder)


def load(path: Path) -> dict:
    yaml = pytest.importorskip("ruamel.yaml", reason="needs ruamel.yaml: pip install -r requirements/test.txt")
    return yaml.YAML(typ="safe").load(path)


def steps(path: Path) -> list[dict]:
    content = load(path)
    jobs = content["jobs"].values() if "jobs" in content else [content["runs"]]
    return [step for job in jobs for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS + ACTIONS, ids=lambda path: path.relative_to(GITHUB).as_posix())
def test_they_follow_the_schema(path):
    assert schema_complaint(path) == ""


def test_they_are_safe():
    """Among others: actions pinned by hash, least permissions, no text of others run."""
    assert safety_complaint(GITHUB) == ""


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_they_use_no_secrets_and_may_only_read(path):
    assert "secrets" not in path.read_text()
    assert load(path)["permissions"] == {"contents": "read"}
    checkouts = [step for step in steps(path) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts and all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("timeout-minutes:", "timeout-hours:"),
        ("runs-on: ${{ matrix.os }}\n", ""),
        ("  workflow_dispatch:", "  workflow_dispatched:"),
    ],
)
def test_a_mistake_in_the_schema_would_be_found(tmp_path, right, wrong):
    text = (GITHUB / "workflows" / "slicer.yml").read_text()
    assert right in text
    path = tmp_path / "slicer.yml"
    path.write_text(text.replace(right, wrong))
    assert "slicer.yml" in schema_complaint(path)


@pytest.mark.parametrize(
    ("right", "wrong", "rule"),
    [
        ("de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2", "v6", "unpinned-uses"),
        ("contents: read", "contents: write", "excessive-permissions"),
        ("run: make lint", "run: make ${{ github.event.pull_request.title }}", "template-injection"),
        ("  pull_request:", "  pull_request_target:", "dangerous-triggers"),
    ],
)
def test_an_unsafe_workflow_would_be_found(tmp_path, right, wrong, rule):
    text = (GITHUB / "workflows" / "tests.yml").read_text()
    assert right in text
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / "tests.yml").write_text(text.replace(right, wrong))
    assert rule in safety_complaint(folder.parent)


@pytest.mark.parametrize("path", WORKFLOWS + ACTIONS, ids=lambda path: path.relative_to(GITHUB).as_posix())
def test_their_commands_are_shell(path):
    scripts = [step["run"] for step in steps(path) if "run" in step]
    for script in scripts:
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
        assert done.returncode == 0, f"{script}\n{done.stderr}"
    assert scripts


def test_the_module_runs_in_stable_and_preview_on_three_systems():
    matrix = load(GITHUB / "workflows" / "slicer.yml")["jobs"]["slicer"]["strategy"]["matrix"]
    assert matrix["stability"] == ["release", "nightly"]
    assert [name.split("-")[0] for name in matrix["os"]] == ["ubuntu", "windows", "macos"]
    assert [each["os"] for each in matrix["include"]] == matrix["os"]
    assert next(each["tests"] for each in matrix["include"] if each["os"].startswith("ubuntu")) == "", "all tests"


def test_every_test_and_local_action_that_they_name_exists():
    matrix = load(GITHUB / "workflows" / "slicer.yml")["jobs"]["slicer"]["strategy"]["matrix"]
    named = [TESTS / name for each in matrix["include"] for name in each["tests"].split()]
    uses = [step.get("uses", "") for path in WORKFLOWS for step in steps(path)]
    named += [REPOSITORY / use / "action.yml" for use in uses if use.startswith("./")]
    assert named and [path for path in named if not path.exists()] == []


def test_the_runner_inside_slicer_takes_what_they_name():
    pytest.importorskip("slicer", reason="needs slicer-core")
    spec = importlib.util.spec_from_file_location("run_in_slicer", TESTS / "run_in_slicer.py")
    runner = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runner)
    every = {path for part in ("mrml", "panel") for path in (TESTS / part).glob("test_*.py")}
    assert set(runner.files([])) == every
    chosen = runner.files(["mrml/test_module_loading.py", "panel"])
    assert {path.parent.name for path in chosen[1:]} == {"panel"} and chosen[0].name == "test_module_loading.py"
    with pytest.raises(FileNotFoundError):
        runner.files(["panel/test_no_such.py"])
