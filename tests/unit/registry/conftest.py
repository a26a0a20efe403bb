"""A registry with three versions of a placeholder model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.registry_proof.placeholder import install, open_registry

if TYPE_CHECKING:
    from pathlib import Path

    from birdcli.registry import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Versions 1, 2 and 3 of `birds`, each with other weights."""
    opened = open_registry(tmp_path, lock_timeout_s=5.0)
    for version in "123":
        install(opened, "birds", version, weights=version.encode())
    return opened
