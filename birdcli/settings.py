"""The frozen, validated settings of each stage."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from birdcli.errors import ErrorCode, UsageError

_SHARE_AFTER: Final = 1000


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(ErrorCode.USAGE_BAD_FLAG, message)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSettings:
    """How lists of inputs are read.

    Attributes:
        url_field: The column or key that holds the URL or path, in csv, tsv and jsonl lists.
        id_field: The column or key copied into the record; rows without it have no id.
        id_required: Whether a table without that column is refused.
        null_separated: Entries end with NUL instead of a newline; then nothing is a comment.
        shard: (I, N): keep the inputs whose index modulo N is I; None keeps all.
    """

    url_field: str = "url"
    id_field: str = "id"
    id_required: bool = False
    null_separated: bool = False
    shard: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Refuses impossible values."""
        if self.shard is not None:
            index, count = self.shard
            _require(0 <= index < count, "--shard I/N needs 0 <= I < N")


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchSettings:
    """Limits of the downloader.

    Attributes:
        concurrency: Requests under way at once.
        per_host: Requests under way at once to one host.
        timeout_s: One attempt, from connecting to the last byte.
        deadline_s: One input, all attempts and pauses included.
        retries: Further attempts after the first.
        max_bytes: Largest body, after content decoding.
        max_redirects: Longest chain of redirects.
        min_rate: Bytes per second below which a body is given up.
        rate: Requests per second to one host at the most; None for no bound.
        deny_private: Whether addresses that are not public are refused altogether.
        allow_private_redirects: Whether a public host may redirect to one that is not.
    """

    concurrency: int = 128
    per_host: int = 8
    timeout_s: float = 15.0
    deadline_s: float = 45.0
    retries: int = 3
    max_bytes: int = 64_000_000
    max_redirects: int = 5
    min_rate: int = 1000
    rate: float | None = None
    deny_private: bool = False
    allow_private_redirects: bool = False

    def __post_init__(self) -> None:
        """Refuses impossible values."""
        _require(self.concurrency >= 1, "--concurrency must be at least 1")
        _require(self.per_host >= 1, "--per-host must be at least 1")
        _require(self.timeout_s > 0, "--timeout must be above 0")
        _require(self.deadline_s > 0, "--deadline must be above 0")
        _require(self.retries >= 0, "--retries cannot be negative")
        _require(self.max_bytes >= 1, "--max-bytes must be at least 1")
        _require(self.min_rate >= 0, "--min-rate cannot be negative")
        _require(self.rate is None or self.rate > 0, "--rate must be above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeSettings:
    """What becomes of encoded bytes.

    Attributes:
        height: Pixels of the model's input.
        width: Pixels of the model's input.
        preprocessing: Name of the recipe, part of every cache key.
        max_pixels: Largest picture, width times height, checked before allocation.
        allow_truncated: Whether a file that ends early is decoded as far as it goes.
        timeout_s: How long one picture may take in a process of its own.
        bytes_at_once: What pictures take in all such processes; one alone may exceed it.
    """

    height: int = 224
    width: int = 224
    preprocessing: str = "squash-antialias@1"
    max_pixels: int = 200_000_000
    allow_truncated: bool = False
    timeout_s: float = 20.0
    bytes_at_once: int = 750_000_000

    def __post_init__(self) -> None:
        """Refuses impossible values."""
        _require(self.height >= 1 and self.width >= 1, "the model's input has no size")
        _require(self.max_pixels >= 1, "--max-pixels must be at least 1")
        _require(self.timeout_s > 0, "decoding must have time")
        _require(self.bytes_at_once >= 1, "--max-memory must hold a pixel")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """When a batch is full.

    Attributes:
        max_size: Images in a batch at the most.
        max_age_s: How long the oldest image of a batch waits for company.
    """

    max_size: int = 8
    max_age_s: float = 0.02

    def __post_init__(self) -> None:
        """Refuses impossible values."""
        _require(1 <= self.max_size <= 1024, "--batch-size must be 1 to 1024")
        _require(self.max_age_s >= 0, "a batch cannot wait a negative time")


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSettings:
    """What is in flight at once.

    Attributes:
        fetchers: Inputs being read or downloaded at once.
        window: Inputs between the list and the output at the most; it bounds the buffer that
            keeps the order, and with it memory.
        max_bytes: Encoded bytes of downloads in memory at the most; one image may exceed it.
        decoding: Processors that decode at once.
        decoded_ahead: Decoded pictures that wait for the engine at the most; while it loads, for
            seconds, on one core, the others decode.
        stuck_s: How long one input may be read and decoded before it is given up.
        ordered: Whether records leave in input order.
        top_k: Guesses per picture.
    """

    fetchers: int = 128
    window: int = 32_768
    max_bytes: int = 256_000_000
    decoding: int = 2
    decoded_ahead: int = 16
    stuck_s: float = 60.0
    ordered: bool = True
    top_k: int = 3

    def __post_init__(self) -> None:
        """Refuses impossible values."""
        _require(self.fetchers >= 1, "--concurrency must be at least 1")
        _require(self.window >= 1, "the window must hold an input")
        _require(1 <= self.decoding <= 1024, "--threads must be 1 to 1024")
        _require(self.decoded_ahead >= 1, "a decoded picture must have a place")
        _require(self.stuck_s > 0, "an input must have time")
        _require(self.top_k >= 1, "--top-k must be at least 1")


class Retry(StrEnum):
    """Which failed inputs of an earlier run are tried again."""

    NONE = "none"
    RETRYABLE = "retryable"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureAllowance:
    """How many inputs may fail before the run counts as failed (`--max-failures N` or `P%`)."""

    count: int | None = 0
    percent: float | None = None

    def allows(self, *, failed: int, total: int) -> bool:
        """Tells whether that many failures of that many inputs are within bounds."""
        if self.percent is not None:
            return failed * 100.0 <= self.percent * total
        return failed <= (self.count or 0)

    def is_exceeded(self, *, failed: int, total: int) -> bool:
        """Tells whether a run is past its bound before it has seen all inputs.

        A share is trusted after a thousand inputs: a list may begin with what is broken.
        """
        if self.percent is not None and total < _SHARE_AFTER:
            return False
        return not self.allows(failed=failed, total=total)
