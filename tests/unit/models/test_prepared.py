"""Which prepared graphs travel, and which errors are a reason for the next variant."""

from __future__ import annotations

import pytest

from birdcli.errors import ErrorCode, ModelError
from birdcli.hashing import sha256_of_bytes
from birdcli.model_version import FileEntry
from birdcli.models.prepared import is_prepared, parents_key, prepared_entries, unfit
from tests.unit.test_manifest import a_version

KEY = "0123456789ab"


def entry(path: str) -> FileEntry:
    return FileEntry(path=path, bytes=1, sha256="ab" * 32)


def test_a_version_is_prepared_by_the_graphs_that_are_made_of_it_now() -> None:
    key = parents_key(a_version())
    assert len(key) == 12
    now = entry(f"prepared/openvino-1-float32-{key}.xml")
    assert is_prepared(a_version(prepared=(entry("prepared/graph.pb"), now)))
    assert not is_prepared(a_version(prepared=(entry(f"prepared/tensorflow-1-float32-{KEY}.pb"),)))
    assert not is_prepared(a_version())


def test_a_prepared_graph_is_listed_with_length_and_digest() -> None:
    (listed,) = prepared_entries([("prepared/a", b"graph")])
    assert listed == FileEntry(path="prepared/a", bytes=5, sha256=sha256_of_bytes(b"graph"))


@pytest.mark.parametrize(
    ("code", "part", "expected"),
    [
        (ErrorCode.MODEL_GOLDEN_MISMATCH, "scores", True),
        (ErrorCode.MODEL_GOLDEN_MISMATCH, "pixels", False),
        (ErrorCode.MODEL_GOLDEN_MISMATCH, "names", False),
        (ErrorCode.MODEL_LOAD_FAILED, None, True),
        (ErrorCode.MODEL_RUNTIME_MISSING, None, True),
        (ErrorCode.MODEL_SHA256_MISMATCH, None, False),
        (ErrorCode.MODEL_UNSAFE_OP, None, False),
        (ErrorCode.MODEL_LABELS_INVALID, None, False),
    ],
)
def test_only_what_another_engine_may_do_better_leads_to_the_next_one(
    code: ErrorCode, part: str | None, *, expected: bool
) -> None:
    error = ModelError(code, "m", part=part) if part else ModelError(code, "m")
    assert unfit(error) is expected
