"""The proof that nothing is lost, a twentieth of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.prove_reliability import run
from scripts.reliability_proof.stage import differences

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.xdist_group("tensorflow"),
    pytest.mark.usefixtures("unmeasured"),
]

RECORD: dict[str, Any] = {"index": 0, "input": "a", "status": "ok", "run": "1", "cache": "miss"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the sections share, with the models that they install."""
    return tmp_path_factory.mktemp("proof")


@pytest.mark.parametrize(
    ("section", "share"),
    [
        *[(name, 20) for name in ("kill9", "stops", "full_disk", "cuts", "repairs")],
        *[(name, 20) for name in ("images", "lists")],
        # A twentieth of these would take a minute of the suite's six.
        ("cached", 100),
        ("isolation", 100),
        ("soak", 100),
    ],
)
def test_a_section_finds_nothing_wrong(section: str, share: int, base: Path) -> None:
    (part,) = run([section], base, share=share)
    assert part.problems == ()


def test_another_run_and_order_are_no_difference() -> None:
    other = RECORD | {"index": 1}
    again = [other, RECORD | {"run": "2", "cache": "hit"}]
    assert differences(again, [RECORD, other]) == []


def test_a_lost_record_would_be_found() -> None:
    first, *others = differences([RECORD], [RECORD, RECORD | {"index": 1}])
    assert first == "1 records instead of 2"
    assert [other.partition(":")[0] for other in others] == ["lost"]


def test_a_doubled_record_in_place_of_a_lost_one_would_be_found() -> None:
    found = differences([RECORD, RECORD], [RECORD, RECORD | {"index": 1}])
    assert [problem.partition(":")[0] for problem in found] == ["lost", "too much"]
