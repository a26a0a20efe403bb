"""The parts of a run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from birdcli.cli.wiring import LateDecoder, open_decoder, patience_s
from birdcli.settings import DecodeSettings, FetchSettings
from tests.fakes import FakeClock, FakeDecoder

if TYPE_CHECKING:
    from pathlib import Path

    from birdcli.ports import Decoder


@pytest.mark.parametrize("deadline_s", [0.1, 15.0, 45.0])
def test_a_picture_that_waits_for_slow_ones_is_not_taken_for_stuck(deadline_s: float) -> None:
    decode = DecodeSettings(timeout_s=20.0)
    busy_until_s, own_tries_s = decode.timeout_s, 2 * decode.timeout_s
    limit_s = patience_s(FetchSettings(deadline_s=deadline_s), decode, workers=2)
    others_alone_s = 2 * decode.timeout_s
    assert limit_s > busy_until_s + others_alone_s + own_tries_s + others_alone_s


def test_a_decoder_is_opened_without_a_look_at_the_only_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The main thread opens it: were the disk dead, nothing could stop the program."""

    def stat(*_: object) -> None:
        raise AssertionError("looked")

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", stat)
        open_decoder(DecodeSettings(), [str(tmp_path)], [], workers=1)


def test_a_late_decoder_is_chosen_once_and_closed() -> None:
    chosen: list[FakeDecoder] = []

    def choose() -> Decoder:
        chosen.append(FakeDecoder(FakeClock()))
        return chosen[-1]

    decoder = LateDecoder(choose)
    decoder.close()
    assert chosen == []
    first, second = decoder.decode(b"abc"), decoder.decode(b"abc")
    assert len(chosen) == 1
    assert first.pixels.shape == second.pixels.shape
    decoder.close()
    assert chosen[0].closed
