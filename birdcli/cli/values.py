"""Words on the command line as numbers."""

from __future__ import annotations

import math
import re
from typing import Final

from birdcli.errors import ErrorCode, UsageError
from birdcli.manifest import LARGEST_INPUT, is_model_id
from birdcli.settings import FailureAllowance, Retry

_FACTORS: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def _bad(flag: str, text: str, expected: str) -> UsageError:
    return UsageError(ErrorCode.USAGE_BAD_FLAG, f"{flag} {text!r}: {expected}", flag=flag)


def parse_bytes(text: str, flag: str) -> int:
    """Returns a size such as `64MB`, `1.5GB`, `500kB`, `2GiB` or `1000` in bytes.

    Raises:
        UsageError: ``usage.bad_flag``.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", text.strip().lower())
    if not found:
        raise _bad(flag, text, "a size such as 64MB is expected")
    number, unit, binary = found.groups()
    factor = _FACTORS[unit]
    if binary:
        factor = 1024 ** round(math.log(factor, 1000)) if factor > 1 else 1
    return int(float(number) * factor)


def parse_pixels(text: str, flag: str) -> int:
    """Returns a picture size such as `200MP` or `40000` in pixels.

    Raises:
        UsageError: ``usage.bad_flag``.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(mp)?", text.strip().lower())
    if not found:
        raise _bad(flag, text, "a number of pixels such as 200MP is expected")
    number, mega = found.groups()
    return int(float(number) * (10**6 if mega else 1))


def parse_size(text: str | None, flag: str) -> tuple[int, int] | None:
    """Returns `N` or `HxW`, pixels, as height and width.

    Raises:
        UsageError: ``usage.bad_flag``.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text.strip().lower())
    height = int(found[1]) if found else 0
    width = int(found[2] or height) if found else 0
    if not (1 <= height <= LARGEST_INPUT and 1 <= width <= LARGEST_INPUT):
        raise _bad(flag, text, f"1 to {LARGEST_INPUT} pixels are expected, such as 224, or 192x256")
    return height, width


def parse_shard(text: str | None) -> tuple[int, int] | None:
    """Returns `I/N` as (I, N).

    Raises:
        UsageError: ``usage.bad_flag``.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    if not found:
        raise _bad("--shard", text, "I/N is expected, such as 0/4")
    return int(found[1]), int(found[2])


def parse_model_id(text: str) -> tuple[str, str]:
    """Returns `NAME@VERSION` as name and version.

    Raises:
        UsageError: ``usage.bad_flag``.
    """
    name, _, version = text.partition("@")
    if not version:
        raise UsageError(ErrorCode.USAGE_BAD_FLAG, f"{text!r} has no version: {text}@1 is expected")
    if not is_model_id(name, version):
        raise UsageError(
            ErrorCode.USAGE_BAD_FLAG,
            f"{text!r} is no name of a model: lower-case letters, digits, . _ - are expected, as "
            "in my-birds@2",
        )
    return name, version


def parse_alias(text: str) -> str:
    """Returns the name of an alias.

    Raises:
        UsageError: ``usage.bad_flag``.
    """
    if not is_model_id(text, "1"):
        raise _bad("--alias", text, "lower-case letters, digits, . _ - are expected")
    return text


def parse_sha256(text: str | None) -> str | None:
    """Returns a digest in lower case, or None for None.

    Raises:
        UsageError: ``usage.bad_flag``.
    """
    if text is None:
        return None
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text.strip()):
        raise _bad("--sha256", text, "64 hexadecimal digits are expected")
    return text.strip().lower()


def parse_allowance(text: str) -> FailureAllowance:
    """Returns `N` or `P%` as the failures that are allowed.

    Raises:
        UsageError: ``usage.bad_flag``.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)%", text.strip())
    if found and float(found[1]) <= 100.0:
        return FailureAllowance(count=None, percent=float(found[1]))
    if not text.strip().isascii() or not text.strip().isdigit():
        raise _bad("--max-failures", text, "a number such as 10 or a share such as 5% is expected")
    return FailureAllowance(count=int(text))


def parse_retry(text: str | None) -> Retry:
    """Returns which failures are tried again; none for None.

    Raises:
        UsageError: ``usage.bad_flag``.
    """
    try:
        return Retry.NONE if text is None else Retry(text.strip().lower())
    except ValueError as err:
        raise _bad(
            "--retry-failed", text or "", "all is expected, or no value for what may pass"
        ) from err


def parse_auto(text: str, flag: str) -> int | None:
    """Returns a whole number above 0, or None for `auto`.

    Raises:
        UsageError: ``usage.bad_flag``.
    """
    word = text.strip().lower()
    if word == "auto":
        return None
    if not (word.isascii() and word.isdigit()) or int(word) < 1:
        raise _bad(flag, text, "a whole number above 0, or auto, is expected")
    return int(word)
