from __future__ import annotations

from pathlib import Path

import pytest

from scripts.benchmarking.bench import in_turn
from scripts.benchmarking.contenders import over_both
from scripts.benchmarking.process import Measured, ProcessFailedError

ONCE, LONGER = Path("once"), Path("longer")


def taking(seconds: float) -> Measured:
    return Measured(wall_s=seconds, cpu_s=1.0, peak_mb=1.0, first_line_s=0.1, stdout=b"", stderr="")


def test_a_pair_that_noise_spoiled_is_run_again() -> None:
    walls = iter([2.0, 1.9, 2.0, 3.0])
    figures = over_both(lambda _: taking(next(walls)), ONCE, LONGER)()
    assert (figures["wall_s"], figures["longer_wall_s"]) == (2.0, 3.0)


def test_lists_too_short_for_a_difference_are_refused() -> None:
    with pytest.raises(ProcessFailedError, match="too few images"):
        over_both(lambda _: taking(2.0), ONCE, LONGER)()


def test_contenders_run_in_turn_after_a_round_that_does_not_count() -> None:
    order: list[str] = []

    def contender(name: str) -> dict[str, float]:
        order.append(name)
        return {"wall_s": float(len(order))}

    samples = in_turn(2, {"a": lambda: contender("a"), "b": lambda: contender("b")})
    assert order == ["a", "b"] * 3
    assert samples == {"a/wall_s": [3.0, 5.0], "b/wall_s": [4.0, 6.0]}
