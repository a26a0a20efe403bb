"""Damaged pictures of every format, through processes of their own."""

from __future__ import annotations

import itertools

from birdcli.isolated_decode import DecodePool
from birdcli.settings import DecodeSettings
from scripts.fuzz_images import OK, corpus, decode_all, mutants

SMALL = DecodeSettings(height=32, width=32)


def test_same_seed_gives_the_same_damage() -> None:
    assert list(mutants(1, 40)) == list(mutants(1, 40))
    assert list(mutants(1, 40)) != list(mutants(2, 40))


def test_every_kind_is_whole_before_it_is_damaged() -> None:
    files = corpus()
    pool = DecodePool(SMALL, workers=1)
    try:
        result = decode_all(pool, files.items(), threads=1)
    finally:
        pool.close()
    assert result.outcomes == {OK: len(files)}


def test_every_kind_is_damaged() -> None:
    kinds = corpus()
    names = [name for name, _ in itertools.islice(mutants(3, 100), len(kinds))]
    assert [name.partition(".")[0] for name in names] == list(kinds)


def test_each_damaged_picture_has_one_outcome() -> None:
    pool = DecodePool(SMALL, workers=2)
    try:
        result = decode_all(pool, mutants(4, 100), threads=2)
    finally:
        pool.close()
    assert result.outcomes.total() == 100
    assert {code for code in result.outcomes if not code.startswith("decode.")} <= {OK}
    assert not {"decode.timeout", "decode.worker_crashed"} & set(result.outcomes)
