"""Packages import in one direction only: from the pipeline down to what knows of nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parents[3]
LAYERS = (
    {"errors", "__version__"},
    {"system"},
    {"core"},
    {"reading"},
    {"solver", "preprocessing", "formats", "background"},
    {"networks", "scans", "registration", "review"},
    {"pipeline", "batch"},
    {"commands"},
)
HEAVY = {"torch", "SimpleITK"}
OF_MRML = {"core", "reading", "solver", "formats", "background", "errors"}
LATE = {"pipeline", "preprocessing", "registration"}


def imports(path: Path) -> set[tuple[str, ...]]:
    """The parts of the name of everything that a file imports, anywhere in it; relative names are made absolute."""
    found, package = set(), path.relative_to(MODULE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            name = (*base, *(node.module.split(".") if node.module else ()))
            found |= {(*name, alias.name) for alias in node.names}
    return found


def of(package: str) -> list[tuple[str, tuple[str, ...]]]:
    """(file, imported name) of a package."""
    files = sorted((MODULE / package).rglob("*.py"))
    assert files
    return [(file.relative_to(MODULE).as_posix(), name) for file in files for name in imports(file)]


def layer(part: str) -> int:
    """Of a package of the engine; whatever else lies beside the packages is above them all."""
    return next((number for number, names in enumerate(LAYERS) if part in names), len(LAYERS))


def rising() -> set[tuple[str, str]]:
    """Imports between the packages of the engine that do not lead to a lower layer."""
    within = [
        (f, f.split("/")[1], name[1]) for f, name in of("VertebraLabelingLib") if name[0] == "VertebraLabelingLib"
    ]
    packages = [each for each in within if not each[1].endswith(".py") and each[1] != each[2]]
    return {(file, other) for file, own, other in packages if layer(other) >= layer(own)}


def heavy() -> set[tuple[str, str]]:
    """What the packages that Slicer imports at its start import of the large libraries."""
    light = [each for package in ("core", "reading", "solver") for each in of(f"VertebraLabelingLib/{package}")]
    return {(file, name[0]) for file, name in light if name[0] in HEAVY}


def training() -> set[tuple[str, str]]:
    """What the product imports of the training."""
    packages = ("VertebraLabelingLib", "VertebraLabelingMRML", "VertebraLabelingPanel", "VertebraLabelingWeb")
    return {(f, name[0]) for package in packages for f, name in of(package) if name[0] == "VertebraLabelingTraining"}


def beyond_mrml() -> set[tuple[str, str]]:
    """What the scene's package imports of the engine beyond its share; ``engine.py`` may load more."""
    engine = [(file, name[1]) for file, name in of("VertebraLabelingMRML") if name[0] == "VertebraLabelingLib"]
    return {
        (file, part)
        for file, part in engine
        if part not in OF_MRML and (file != "VertebraLabelingMRML/engine.py" or part not in LATE)
    }


@pytest.mark.parametrize("rule", [rising, heavy, training, beyond_mrml])
def test_nothing_is_imported_against_the_layers(rule):
    assert rule() == set()


def test_the_scene_loads_what_is_heavy_late():
    at_once = ast.parse((MODULE / "VertebraLabelingMRML" / "engine.py").read_text(encoding="utf-8")).body
    modules = [node.module or "" for node in at_once if isinstance(node, ast.ImportFrom)]
    assert not [module for module in modules if LATE & set(module.split("."))]
