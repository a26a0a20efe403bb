"""Rules that hold for the repository as a whole."""

from __future__ import annotations

import ast
import os
import re
import sys
import tomllib
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeGuard

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "birdcli"

LOCKS = (
    *("requirements.lock", "requirements-build.lock", "requirements-dev.lock"),
    "requirements-img2dataset.lock",
)
PROGRAMS = ("scripts/check", "scripts/demo", "scripts/lock", "scripts/test", ".ci/run")
# They use whatever index pip is configured for on the machine.
INSTALLERS = (*LOCKS, "scripts/_setup.sh", "scripts/lock", ".ci/run", "Dockerfile")

# Home folders, drives and working folders of one machine; not part of a longer path or a URL.
MACHINE_PATH = re.compile(r"(?<![\w.)\]])(?:/(?:home|Users)/[a-z]\w*/|/(?:work)/|[A-Z]:\\+Users)")

# The module that owns a library turns its exceptions into ours (style guide, module map).
OWNERS = {
    "ai_edge_litert": ("backends/litert.py", "backends/tflite_file.py"),
    "PIL": ("decode.py", "preprocess.py", "models/pixel_files.py", "bench/photos.py"),
    "aiohttp": (
        *(
            "connector.py",
            "fetch.py",
            "http_get.py",
            "http_faults.py",
            "resolver.py",
            "models/download.py",
        ),
    ),
    "diskcache": ("cache.py", "plain_disk.py"),
    "filelock": ("registry/locking.py", "registry/staging.py", "models/partial_folder.py"),
    "msgspec": (
        "cache_values.py",
        "manifest.py",
        "model_version.py",
        "registry/history.py",
        "models/install.py",
        "models/proof.py",
        "models/partials.py",
        "output/lines.py",
        "output/fingerprint.py",
        "cli/listing.py",
        "cli/history_rows.py",
        "tuning.py",
    ),
    "numpy": (
        *("classifier.py", "decode.py", "inference.py", "isolated_decode.py", "preprocess.py"),
        *("models/*", "backends/*", "bench/*"),
    ),
    "openvino": ("backends/openvino.py",),
    "pillow_heif": ("decode.py",),
    "platformdirs": ("cli/*",),
    "rich": ("progress.py", "summary.py", "table.py", "cli/*"),
    "tensorflow": (
        *("backends/tensorflow_runtime.py", "backends/tensorflow.py", "backends/saved_model.py"),
        *("backends/tflite_file.py", "backends/freeze.py"),
    ),
    "tensorflow_hub": ("backends/tensorflow_runtime.py",),
    "typer": ("cli/*",),
    "yarl": ("web_url.py",),
}
DISTRIBUTIONS = {"PIL": "pillow"}


@cache
def repository_files() -> tuple[Path, ...]:
    """Every file that git would take, found without git: archives of the source have none."""
    ignored = [
        line.rstrip("/")
        for line in (REPOSITORY / ".gitignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]

    def kept(names: list[str]) -> list[str]:
        return sorted(
            name for name in names if not any(fnmatch(name, pattern) for pattern in ignored)
        )

    found: list[Path] = []
    for folder, folders, files in os.walk(REPOSITORY):
        folders[:] = [name for name in kept(folders) if name != ".git"]
        found.extend(Path(folder, name) for name in kept(files) if name != ".git")
    return tuple(found)


def relative(path: Path, folder: Path = REPOSITORY) -> str:
    """A path as the rules name it."""
    return path.relative_to(folder).as_posix()


def text_lines(path: Path) -> list[str]:
    """The lines of a file, none if it is no text."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return []


def pyproject() -> dict[str, Any]:
    """The project's own description."""
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def locked_requirements(lock: str) -> dict[str, list[tuple[Requirement, int]]]:
    """Each package of a lock, with its requirements and the number of digests of each."""
    text = (REPOSITORY / lock).read_text().replace("\\\n", " ")
    requirements: dict[str, list[tuple[Requirement, int]]] = {}
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            specifier, *digests = re.split(r"\s+--hash=", line)
            requirement = Requirement(specifier)
            name = canonicalize_name(requirement.name)
            assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", it.strip()) for it in digests), line
            requirements.setdefault(name, []).append((requirement, len(digests)))
    return requirements


def is_typing_only(node: ast.AST) -> TypeGuard[ast.If]:
    """Tells whether a node is `if TYPE_CHECKING:`."""
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def iter_runtime_imports(node: ast.AST) -> Iterator[str]:
    """The top-level names that a module imports when it runs, wherever in it."""
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
        yield node.module.partition(".")[0]
    else:
        children = node.orelse if is_typing_only(node) else ast.iter_child_nodes(node)
        for child in children:
            yield from iter_runtime_imports(child)


def iter_library_imports() -> Iterator[tuple[str, str]]:
    """Each module of birdcli with each third-party library that it imports."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for name in iter_runtime_imports(ast.parse(path.read_bytes())):
            if name not in sys.stdlib_module_names and name != "birdcli":
                yield relative(path, PACKAGE), name


def test_no_file_is_larger_than_a_megabyte() -> None:
    large = [relative(path) for path in repository_files() if path.lstat().st_size > 1_000_000]
    assert not large


def test_no_file_names_a_folder_of_one_machine() -> None:
    found = [
        f"{relative(path)}:{number}: {line.strip()}"
        for path in repository_files()
        for number, line in enumerate(text_lines(path), start=1)
        if MACHINE_PATH.search(line)
    ]
    assert not found


@pytest.mark.parametrize(
    ("line", "is_machine_path"),
    [
        ("open('" + "/home" + "/ann/birds.csv')", True),
        ("PATH=" + "/Users" + "/ann/bin", True),
        ("cd " + "/work" + "/main", True),
        ("C:" + r"\Users\ann", True),
        ("https://example.org" + "/home" + "/ann/", False),
        ("$BIRDCLI_HOME/registry/", False),
        ("~/.netrc", False),
    ],
)
def test_machine_paths_are_recognised(line: str, *, is_machine_path: bool) -> None:
    assert bool(MACHINE_PATH.search(line)) is is_machine_path


@pytest.mark.parametrize("name", INSTALLERS)
def test_installers_name_no_index(name: str) -> None:
    path = REPOSITORY / name
    options = re.compile(r"://|(?<!no-emit-)index-url|--index\b|find-links|trusted-host")
    assert [line for line in text_lines(path) if options.search(line)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_pin_every_package_with_digests(lock: str) -> None:
    locked = locked_requirements(lock)
    assert locked
    for requirements in locked.values():
        for requirement, digests in requirements:
            assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
            assert digests, requirement


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-build.lock"])
def test_locks_agree_with_the_development_lock(lock: str) -> None:
    development = locked_requirements("requirements-dev.lock")
    for name, requirements in locked_requirements(lock).items():
        assert [str(it) for it, _ in requirements] == [str(it) for it, _ in development[name]]


def test_locks_meet_what_the_project_demands() -> None:
    described = pyproject()
    groups = described["dependency-groups"]
    demanded = {
        "requirements.lock": described["project"]["dependencies"],
        "requirements-build.lock": [*groups["build"], *described["build-system"]["requires"]],
        "requirements-dev.lock": [
            it for group in ("bench", "dev") for it in groups[group] if isinstance(it, str)
        ],
        "requirements-img2dataset.lock": groups["img2dataset"],
    }
    for lock, requirements in demanded.items():
        locked = locked_requirements(lock)
        for requirement in map(Requirement, requirements):
            name = canonicalize_name(requirement.name)
            assert name in locked, f"{requirement} is not in {lock}: run ./scripts/lock"
            for pinned, _ in locked[name]:
                version = next(iter(pinned.specifier)).version
                assert version in requirement.specifier, f"{pinned} in {lock}: run ./scripts/lock"


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_can_be_started(name: str) -> None:
    path = REPOSITORY / name
    assert os.access(path, os.X_OK)
    assert path.read_text().startswith("#!/usr/bin/env bash\n")


def test_libraries_are_imported_by_their_owners() -> None:
    strangers = [
        f"{module} imports {library}"
        for module, library in iter_library_imports()
        if not any(fnmatch(module, owner) for owner in OWNERS.get(library, ()))
    ]
    assert not strangers


def test_imported_libraries_are_dependencies() -> None:
    described = pyproject()["project"]
    extras = described["optional-dependencies"].values()
    declared = {
        canonicalize_name(Requirement(it).name)
        for it in [*described["dependencies"], *(it for extra in extras for it in extra)]
    }
    imported = {
        canonicalize_name(DISTRIBUTIONS.get(library, library))
        for _, library in iter_library_imports()
    }
    assert imported <= declared


def test_imports_for_annotations_need_no_owner() -> None:
    source = """
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
else:
    import rich

def load() -> None:
    import PIL.Image
    from aiohttp import web
"""
    found = set(iter_runtime_imports(ast.parse(source)))
    assert found == {"json", "typing", "rich", "PIL", "aiohttp"}
