"""What is under way."""

from __future__ import annotations

from birdcli.items import Stage
from birdcli.watch import Busy, Watch
from tests.fakes import image_ref


def test_what_has_taken_longest_comes_first() -> None:
    now = [0.0]
    watch = Watch(lambda: now[0])
    for index in range(3):
        now[0] = float(index)
        watch.enter(image_ref(index), Stage.FETCH)
    now[0] = 5.0
    watch.enter(image_ref(0), Stage.DECODE)  # has gone on
    watch.leave(image_ref(1))
    now[0] = 10.0
    assert list(watch.longest()) == [
        Busy(image_ref(2), Stage.FETCH, 8.0),
        Busy(image_ref(0), Stage.DECODE, 5.0),
    ]


def test_what_never_came_may_leave() -> None:
    watch = Watch()
    watch.leave(image_ref(3))
    assert list(watch.longest()) == []
