"""Words on the command line as numbers."""

from __future__ import annotations

import pytest

from birdcli.cli.values import (
    parse_allowance,
    parse_auto,
    parse_bytes,
    parse_pixels,
    parse_shard,
    parse_size,
)
from birdcli.errors import ErrorCode, UsageError
from birdcli.settings import FailureAllowance


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1000", 1000),
        ("64MB", 64_000_000),
        ("1.5 GB", 1_500_000_000),
        ("500kb", 500_000),
        ("2GiB", 2 * 1024**3),
        ("3KiB", 3072),
        ("7i", 7),
        ("1T", 10**12),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_bytes(text, "--max-bytes") == size


@pytest.mark.parametrize("text", ["", "much", "-1", "1e9", "64 PB", "MB", "1,5GB", "nan"])
def test_a_size_that_makes_no_sense_is_told_with_its_option(text: str) -> None:
    with pytest.raises(UsageError, match="--max-bytes") as caught:
        parse_bytes(text, "--max-bytes")
    assert caught.value.code is ErrorCode.USAGE_BAD_FLAG


@pytest.mark.parametrize(
    ("text", "pixels"), [("200MP", 200_000_000), ("1.5mp", 1_500_000), ("40000", 40_000)]
)
def test_picture_sizes(text: str, pixels: int) -> None:
    assert parse_pixels(text, "--max-pixels") == pixels


@pytest.mark.parametrize("text", ["", "200KP", "-1", "big"])
def test_a_picture_size_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_pixels(text, "--max-pixels")


def test_shards() -> None:
    assert parse_shard("0/4") == (0, 4)
    assert parse_shard(None) is None


@pytest.mark.parametrize("text", ["", "1", "1/", "a/b", "-1/3", "1/2/3"])
def test_a_shard_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_shard(text)


@pytest.mark.parametrize(
    ("text", "allowance"),
    [
        ("0", FailureAllowance(count=0)),
        (" 12 ", FailureAllowance(count=12)),
        ("5%", FailureAllowance(count=None, percent=5.0)),
        ("0.5%", FailureAllowance(count=None, percent=0.5)),
        ("100%", FailureAllowance(count=None, percent=100.0)),
    ],
)
def test_allowed_failures(text: str, allowance: FailureAllowance) -> None:
    assert parse_allowance(text) == allowance


@pytest.mark.parametrize("text", ["", "-1", "1.5", "100.1%", "%", "all", "\u0663"])
def test_an_allowance_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_allowance(text)


def test_auto_leaves_the_choice_to_us() -> None:
    assert parse_auto("AUTO", "--threads") is None
    assert parse_auto("4", "--threads") == 4


@pytest.mark.parametrize("text", ["", "0", "-2", "two", "1.0"])
def test_a_count_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_auto(text, "--threads")


@pytest.mark.parametrize(
    ("text", "size"), [(None, None), ("224", (224, 224)), ("192X256", (192, 256)), (" 1 ", (1, 1))]
)
def test_an_input_size_is_a_square_or_height_and_width(
    text: str | None, size: tuple[int, int] | None
) -> None:
    assert parse_size(text, "--input-size") == size


@pytest.mark.parametrize(
    "text", ["", "0", "0x9", "9x0", "x", "224x", "4097", "1x4097", "-1", "2.5"]
)
def test_an_input_size_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_size(text, "--input-size")
    assert caught.value.code is ErrorCode.USAGE_BAD_FLAG
