"""Words about what keeps a run waiting."""

from __future__ import annotations

from birdcli.cli.waiting import waiting_text
from birdcli.items import Stage
from birdcli.watch import Busy, Watch
from tests.fakes import image_ref


def test_nothing_under_way_is_no_word() -> None:
    assert waiting_text(Watch()) == ""


def test_a_list_that_is_being_read_is_named() -> None:
    watch = Watch()
    watch.listing = lambda: Busy("birds\n.txt", Stage.QUEUE, 16.2)
    assert waiting_text(watch) == r"waiting for birds\n.txt (a list, being read for 16 s)"


def test_a_path_without_an_answer_is_named_as_an_input() -> None:
    watch = Watch()
    watch.listing = lambda: Busy("dead/a.jpg", Stage.FETCH, 16.2)
    assert waiting_text(watch) == "waiting for dead/a.jpg (being fetched for 16 s)"


def test_three_are_named_and_the_others_counted() -> None:
    now = [0.0]
    watch = Watch(lambda: now[0])
    for index in range(5):
        now[0] = float(index)
        watch.enter(image_ref(index, f"{index}.jpg"), Stage.DECODE)
    now[0] = 20.0
    assert waiting_text(watch) == (
        "waiting for 0.jpg (being decoded for 20 s), 1.jpg (being decoded for 19 s), "
        "2.jpg (being decoded for 18 s), 2 more"
    )
