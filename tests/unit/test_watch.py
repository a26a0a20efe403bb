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
        watch.enter(image_ref(index, f"{index}.jpg"), Stage.FETCH)
    now[0] = 5.0
    watch.enter(image_ref(0, "0.jpg"), Stage.DECODE)  # has gone on
    watch.leave(image_ref(1))
    now[0] = 10.0
    assert list(watch.longest()) == [
        Busy("2.jpg", Stage.FETCH, 8.0),
        Busy("0.jpg", Stage.DECODE, 5.0),
    ]


def test_what_never_came_may_leave() -> None:
    watch = Watch()
    watch.leave(image_ref(3))
    assert list(watch.longest()) == []


def test_what_the_list_waits_for_is_among_the_others_after_a_moment() -> None:
    watch = Watch(lambda: 10.0)
    watch.enter(image_ref(0, "a.jpg"), Stage.FETCH)
    watch.listing = lambda: Busy("birds.txt", Stage.QUEUE, 0.9)
    assert [busy.source for busy in watch.longest()] == ["a.jpg"]
    watch.listing = lambda: Busy("birds.txt", Stage.QUEUE, 1.0)
    assert [busy.source for busy in watch.longest()] == ["birds.txt", "a.jpg"]
