"""Records put back into the order of their inputs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from birdcli.ordering import RecordOrder


def expecting(*indexes: int) -> RecordOrder:
    order = RecordOrder()
    for index in indexes:
        order.expect(index)
    return order


@given(st.permutations(range(20)))
def test_every_record_leaves_once_and_in_order(arrivals: list[int]) -> None:
    order = expecting(*range(20))
    out = [record for index in arrivals for record in order.put([(index, b"%d" % index)])]
    assert out == [b"%d" % index for index in range(20)]
    order.end()
    assert order.put([]) == []


def test_a_shard_has_gaps() -> None:
    order = expecting(1, 5, 9)
    assert order.put([(5, b"five"), (9, b"nine")]) == []
    assert order.put([(1, b"one")]) == [b"one", b"five", b"nine"]


def test_the_rest_is_what_finished_behind_the_missing() -> None:
    order = expecting(0, 1, 2, 3)
    assert order.put([(3, b"three"), (1, b"one")]) == []
    order.end()
    assert order.put([]) == [b"one", b"three"]
    assert order.put([]) == []
    assert order.put([(2, b"two")]) == [b"two"]
