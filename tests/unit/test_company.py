"""Threads that work beside each other, and alone."""

from __future__ import annotations

import threading
from contextlib import ExitStack

from birdcli.company import Company


def in_a_thread(company: Company, *, alone: bool) -> tuple[threading.Thread, threading.Event]:
    """Comes in, says so, and leaves."""
    came = threading.Event()

    def work() -> None:
        with company.alone() if alone else company.together():
            came.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread, came


def test_who_works_together_knows_who_was_there_before_and_who_came() -> None:
    company = Company()
    with company.together() as had_company:
        assert not had_company()
        in_a_thread(company, alone=False)[0].join(5.0)
        assert had_company()
    with company.together(), company.together() as had_company:
        assert had_company()


def test_who_wants_to_be_alone_waits_for_the_others_and_keeps_new_ones_waiting() -> None:
    company = Company()
    with ExitStack() as working:
        working.enter_context(company.together())
        alone, was_alone = in_a_thread(company, alone=True)
        assert not was_alone.wait(0.05)
        late, came = in_a_thread(company, alone=False)
        assert not came.wait(0.05)
    alone.join(5.0)
    late.join(5.0)
    assert was_alone.is_set()
    assert came.is_set()


def test_one_is_alone_at_a_time_and_nobody_meanwhile() -> None:
    company = Company()
    with ExitStack() as working:
        working.enter_context(company.alone())
        threads = [in_a_thread(company, alone=alone) for alone in (True, False)]
        assert not any(came.wait(0.05) for _, came in threads)
    for thread, came in threads:
        thread.join(5.0)
        assert came.is_set()
