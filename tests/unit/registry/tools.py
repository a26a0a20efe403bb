"""What the tests of the registry do again and again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from birdcli.errors import ErrorCode, ModelError
from scripts.registry_proof.placeholder import EVIDENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from birdcli.registry import Registry


def refused(code: ErrorCode) -> pytest.RaisesExc[ModelError]:
    return pytest.RaisesExc(ModelError, check=lambda error: error.code is code)


def promote(registry: Registry, version: str, alias: str = "production") -> None:
    registry.promote(registry.resolve(f"birds@{version}"), EVIDENCE, alias=alias, note="", who="me")


def roll_back(registry: Registry, alias: str = "production") -> str | None:
    target = registry.rollback_target(alias)
    registry.rollback(target, EVIDENCE, alias=alias, note="bad", who="me")
    return registry.alias_target(alias)


def edit_manifest(registry: Registry, change: Callable[[Any], None]) -> None:
    path = registry.folder / "manifest.json"
    fields = json.loads(path.read_bytes())
    change(fields)
    path.write_text(json.dumps(fields))
