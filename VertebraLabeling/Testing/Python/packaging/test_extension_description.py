"""What Slicer's build and the Extensions Index read: every needed file listed, one story in all descriptions.

Nothing here can run CMake against Slicer, so the lists are parsed and compared with the tree.
"""

from __future__ import annotations

import json
import re
import struct
import tomllib
from pathlib import Path

import pytest
from VertebraLabelingLib.networks.model_card import read_licenses

REPOSITORY = Path(__file__).resolve().parents[4]
MODULE = REPOSITORY / "VertebraLabeling"
PACKAGES = ("VertebraLabelingLib", "VertebraLabelingMRML", "VertebraLabelingPanel")
SCHEMA = (
    "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1.0.2.json#"
)
SCHEMA_REQUIRED = {"$schema", "category", "scm_url"}
SCHEMA_TYPES = {
    **dict.fromkeys(("$schema", "category", "scm_url", "scm_revision", "scm_type", "build_subdirectory"), str),
    **{"dicom_support_rule": str, "build_dependencies": list, "enabled": bool, "tier": int},
}
"""All keys that the schema allows."""
TEXT = {path.name: path.read_text() for path in REPOSITORY.glob("VertebraLabeling.*") if path.suffix != ".png"}


def listed(cmake: Path, variable: str) -> list[str]:
    """The entries of a ``set(variable ...)`` list, ``${MODULE_NAME}`` filled in."""
    body = re.search(rf"set\({variable}\s(.*?)\)", cmake.read_text(), re.S).group(1)
    lines = [line.split("#")[0].strip() for line in body.splitlines()]
    return [line.replace("${MODULE_NAME}", "VertebraLabeling") for line in lines if line]


def meta(variable: str) -> str:
    return re.search(rf'set\(EXTENSION_{variable} "(.*)"\)', (REPOSITORY / "CMakeLists.txt").read_text()).group(1)


def s4ext() -> dict[str, str]:
    lines = [line for line in TEXT["VertebraLabeling.s4ext"].splitlines() if line and not line.startswith("#")]
    return dict(line.split(" ", 1) for line in lines)


def runtime_scripts() -> set[str]:
    files = (path for package in PACKAGES for path in (MODULE / package).rglob("*.py"))
    return {"VertebraLabeling.py", *(path.relative_to(MODULE).as_posix() for path in files)}


def runtime_resources() -> set[str]:
    files = (path for path in (MODULE / "Resources").rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(MODULE).as_posix() for path in files}


@pytest.mark.parametrize(
    ("variable", "in_tree"),
    [("MODULE_PYTHON_SCRIPTS", runtime_scripts()), ("MODULE_PYTHON_RESOURCES", runtime_resources())],
)
def test_every_file_of_the_module_is_listed_for_packaging_and_every_listed_file_exists(variable, in_tree):
    entries = listed(MODULE / "CMakeLists.txt", variable)
    assert len(entries) == len(set(entries)), "a file is listed twice"
    missing, gone = sorted(in_tree - set(entries)), sorted(set(entries) - in_tree)
    message = [f"{variable}: run Utilities/update_cmake_lists.py", "not listed:", *missing, "listed, not there:", *gone]
    assert not missing and not gone, "\n  ".join(message)


def test_every_test_that_runs_in_slicer_is_registered_with_ctest():
    folder = MODULE / "Testing" / "Python"
    tests = {
        path.relative_to(folder).as_posix() for part in ("mrml", "panel") for path in (folder / part).glob("test_*")
    }
    assert set(listed(folder / "CMakeLists.txt", "_slicer_tests")) == tests


def test_both_descriptions_and_cmake_tell_the_same():
    entry, ext = json.loads(TEXT["VertebraLabeling.json"]), s4ext()
    assert entry["scm_url"] == ext["scmurl"] == meta("HOMEPAGE") + ".git"
    assert entry["category"] == ext["category"] == meta("CATEGORY")
    assert (str(entry["tier"]), entry["build_subdirectory"]) == (ext["tier"], ext["build_subdirectory"])
    assert " ".join(entry["build_dependencies"]) == ext["depends"] == meta("DEPENDS")
    assert (ext["description"], ext["contributors"]) == (meta("DESCRIPTION"), meta("CONTRIBUTORS"))
    assert (ext["iconurl"], ext["screenshoturls"]) == (meta("ICONURL"), meta("SCREENSHOTURLS"))
    assert entry["scm_revision"] == ext["scmrevision"]


def test_the_catalogue_entry_keeps_the_rules_of_the_extensions_index():
    text = TEXT["VertebraLabeling.json"]
    entry = json.loads(text)
    assert entry["$schema"] == SCHEMA and SCHEMA_REQUIRED <= set(entry) <= set(SCHEMA_TYPES)
    assert {key: type(value) for key, value in entry.items()} == {key: SCHEMA_TYPES[key] for key in entry}
    assert 1 <= entry["tier"] <= 5 and all(type(name) is str for name in entry["build_dependencies"])
    assert entry["category"] == "Quantification", "points to measure from, and no segmentation"
    assert "\r" not in text
    assert entry["scm_url"].rsplit("/", 1)[1].startswith("Slicer"), "the repository's name must begin with Slicer"
    assert "project(VertebraLabeling)" in (REPOSITORY / "CMakeLists.txt").read_text()
    assert (REPOSITORY / "LICENSE").is_file()


def test_the_description_is_short_and_names_both_licenses():
    sentences = re.findall(r"[^.]+(?:\.\d[^.]*)*\.", meta("DESCRIPTION"))
    assert len(sentences) <= 2 and ";" not in meta("DESCRIPTION"), "CMake takes a semicolon for the end of an item"
    licenses = read_licenses(next((MODULE / "Resources" / "Models").glob("*.pt")))
    assert "Apache 2.0" in meta("DESCRIPTION") and licenses.weights.split(" (")[0] in meta("DESCRIPTION")


def test_there_are_three_screenshots():
    assert len(set(meta("SCREENSHOTURLS").split(" "))) == 3


def test_what_slicer_or_the_pytorch_extension_brings_is_never_installed_by_pip():
    lines = (MODULE / "Resources" / "requirements.txt").read_text().splitlines()
    names = {re.split(r"[<>=!~\[; ]", line)[0].lower() for line in lines if line and not line.startswith("#")}
    assert names == {"highdicom"}


def test_the_s4ext_file_has_what_its_grammar_requires():
    assert {"scm", "scmurl", "scmrevision", "homepage", "category"} <= set(s4ext())


@pytest.mark.parametrize("url", [meta("ICONURL"), *meta("SCREENSHOTURLS").split(" ")])
def test_linked_pictures_are_in_the_repository(url):
    path = REPOSITORY / url.split("/main/", 1)[1]
    assert path.is_file(), f"{url} would not load: {path.name} is missing"
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("path", ["VertebraLabeling.png", "VertebraLabeling/Resources/Icons/VertebraLabeling.png"])
def test_the_icon_is_128_pixels_square(path):
    assert struct.unpack(">II", (REPOSITORY / path).read_bytes()[16:24]) == (128, 128)


def test_the_readme_has_what_reviewers_of_the_index_ask_for_in_their_order():
    """Name, summary, picture, modules, publication, installation, tutorial with sample data, downloads."""
    text = (REPOSITORY / "README.md").read_text()
    headings = ("Modules", "Method and how to cite", "Install in Slicer", "Tutorial", "Sample data")
    wanted = [
        "# VertebraLabeling\n",
        "**Names the vertebrae",
        "Not a medical device",
        "![",
        *(f"## {h}" for h in headings),
    ]
    places = [text.find(each) for each in wanted]
    assert -1 not in places and places == sorted(places), dict(zip(wanted, places))
    for fact in ("re-implementation from the published abstract", "Remove", "nothing is ever sent", "5.10 or newer"):
        assert fact in text, fact
    linked = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert linked and [path for path in linked if not (REPOSITORY / path).exists()] == []


def test_one_oldest_slicer_and_one_oldest_python_are_named_everywhere():
    docs = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/tutorial.md", "docs/extensions-index.md"]
    texts = {name: (REPOSITORY / name).read_text() for name in (*docs, "CMakeLists.txt", "VertebraLabeling.s4ext")}
    for name, text in texts.items():
        assert set(re.findall(r"(5\.\d+) (?:or|and) newer", text)) == {"5.10"}, name
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    assert project["project"]["requires-python"] == ">=3.11" and project["tool"]["ruff"]["target-version"] == "py311"
    for name in ("README.md", "CONTRIBUTING.md"):
        assert "Python 3.11–3.13" in texts[name], name


def test_weights_and_history_leave_the_repository_small():
    weights = sum(path.stat().st_size for path in (MODULE / "Resources" / "Models").glob("*.pt"))
    assert weights <= 12e6
