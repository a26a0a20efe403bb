"""The engine of a run, before it is needed and where nothing needs it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from birdcli.cli.engine import RunEngine
from birdcli.errors import UsageError
from birdcli.models.engines import EngineName
from birdcli.models.precision import Precision
from scripts.registry_proof.placeholder import install, open_registry
from tests.fakes import LABELS
from tests.loading import fastest_backend

if TYPE_CHECKING:
    from pathlib import Path

    from birdcli.registry import Registry

TENSORFLOW = EngineName.TENSORFLOW
AUTO = Precision.AUTO


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    opened = open_registry(tmp_path)
    install(opened)
    return opened


def engine_of(
    registry: Registry, engine: EngineName | None = None, precision: Precision = AUTO
) -> RunEngine:
    return RunEngine(
        registry,
        registry.resolve("birds@1"),
        LABELS,
        engine=engine,
        precision=precision,
        threads=1,
        people=io.StringIO(),
    )


def test_what_would_answer_is_known_before_anything_is_loaded(registry: Registry) -> None:
    engine = engine_of(registry)
    assert engine.backend == fastest_backend()
    assert (engine.loaded, engine.start, engine.fallbacks) == (None, None, 0)
    reference = engine_of(registry, precision=Precision.REFERENCE)
    assert reference.backend == "tensorflow/reference"


def test_what_cannot_be_had_is_refused_before_the_first_picture(registry: Registry) -> None:
    with pytest.raises(UsageError):
        engine_of(registry, EngineName.LITERT)


def test_answers_are_shared_only_where_the_same_was_asked_for(registry: Registry) -> None:
    asked = [
        (None, AUTO, 3),
        (None, AUTO, 5),
        (TENSORFLOW, AUTO, 3),
        (None, Precision.FLOAT32, 3),
        (TENSORFLOW, Precision.FLOAT32, 3),
        (None, Precision.REFERENCE, 3),
    ]
    digests = [
        engine_of(registry, engine, precision).fingerprint(top_k=top_k)
        for engine, precision, top_k in asked
    ]
    assert len(set(digests)) == len(asked)
    assert engine_of(registry).fingerprint(top_k=3) == digests[0]
    assert engine_of(registry).fingerprint() not in digests
    assert engine_of(registry).fingerprint() == engine_of(registry).fingerprint()
    install(registry, version="2", weights=b"other")
    other = RunEngine(
        registry,
        registry.resolve("birds@2"),
        LABELS,
        engine=None,
        precision=AUTO,
        threads=1,
        people=io.StringIO(),
    )
    assert other.fingerprint(top_k=3) != digests[0]


def test_a_run_that_loaded_nothing_keeps_nothing(registry: Registry) -> None:
    before = registry.history()
    engine_of(registry).keep()
    assert registry.history() == before
