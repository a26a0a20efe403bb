"""The direction of imports: from higher layers to lower ones, and never in a circle."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import grimp
import pytest
from importlinter import configuration
from importlinter.application.use_cases import lint_imports

if TYPE_CHECKING:
    from collections.abc import Callable

    WritePackage = Callable[[dict[str, str]], None]

REPOSITORY = Path(__file__).resolve().parents[2]

# The shape of the contract in pyproject.toml, over a package of a few lines.
CONTRACT = """
[tool.importlinter]
root_package = "{package}"

[[tool.importlinter.contracts]]
name = "layers"
type = "layers"
containers = ["{package}"]
exhaustive = true
layers = ["cli : streams", "pipeline", "(sources) : cache", "errors"]
"""
LAYERED = {
    "__init__": "",
    "errors": "",
    "cache": "from {package} import errors",
    "pipeline": "from {package} import cache",
    "streams": "",
    "cli": "from {package} import pipeline, streams",
}


def layers_hold(config: Path) -> bool:
    """Tells whether a package keeps the contracts of a pyproject.toml."""
    configuration.configure()
    return lint_imports(str(config), cache_dir=None, no_logo=True)


def verify_no_circle(package: str) -> None:
    """Raises unless the modules of a package can be put in an order.

    Raises:
        CycleError: Some import each other in a circle, be it for annotations only.
    """
    graph = grimp.build_graph(package, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    TopologicalSorter(imports).prepare()


@pytest.fixture
def write_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[dict[str, str]], None]:
    """Writes the package `layered`, with its contract in pyproject.toml."""
    monkeypatch.syspath_prepend(tmp_path)
    package = "layered"

    def write(modules: dict[str, str]) -> None:
        (tmp_path / package).mkdir()
        for name, source in modules.items():
            (tmp_path / package / f"{name}.py").write_text(source.format(package=package))
        (tmp_path / "pyproject.toml").write_text(CONTRACT.format(package=package))

    return write


def test_birdcli_keeps_its_layers(capsys: pytest.CaptureFixture[str]) -> None:
    held = layers_hold(REPOSITORY / "pyproject.toml")
    assert held, capsys.readouterr().out


def test_birdcli_imports_in_no_circle() -> None:
    verify_no_circle("birdcli")


def test_layered_package_keeps_the_contract(write_package: WritePackage, tmp_path: Path) -> None:
    write_package(LAYERED)
    assert layers_hold(tmp_path / "pyproject.toml")


@pytest.mark.parametrize(
    "edge",
    [
        pytest.param("from {package} import pipeline", id="module"),
        pytest.param("def f():\n    import {package}.pipeline", id="inside-a-function"),
        pytest.param(
            "import typing\nif typing.TYPE_CHECKING:\n    from {package} import cli",
            id="for-annotations",
        ),
    ],
)
def test_import_of_a_higher_layer_breaks_the_contract(
    edge: str, write_package: WritePackage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_package({**LAYERED, "errors": edge})
    assert not layers_hold(tmp_path / "pyproject.toml")
    assert "layered.errors is not allowed to import" in capsys.readouterr().out


def test_module_without_a_layer_breaks_the_contract(
    write_package: WritePackage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_package({**LAYERED, "helpers": ""})
    assert not layers_hold(tmp_path / "pyproject.toml")
    assert "- layered.helpers" in capsys.readouterr().out


def test_circle_within_a_layer_is_found(write_package: WritePackage) -> None:
    write_package({**LAYERED, "streams": "from {package} import cli"})
    with pytest.raises(CycleError):
        verify_no_circle("layered")
