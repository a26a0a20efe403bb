"""Every error birdcli raises, with its code."""

from enum import StrEnum
from typing import ClassVar, TypeAlias

Detail: TypeAlias = str | int | float | bool | None


class ErrorCode(StrEnum):
    """The stable name of one kind of failure; renaming or removing one is a breaking change."""

    USAGE_BAD_FLAG = "usage.bad_flag"
    USAGE_INPUT_UNREADABLE = "usage.input_unreadable"
    USAGE_NO_INPUT = "usage.no_input"

    MODEL_NOT_FOUND = "model.not_found"
    MODEL_NOT_INSTALLED = "model.not_installed"
    MODEL_EXISTS = "model.exists"
    MODEL_IN_USE = "model.in_use"
    MODEL_NO_PREVIOUS = "model.no_previous"
    MODEL_MANIFEST_INVALID = "model.manifest_invalid"
    MODEL_HISTORY_MISMATCH = "model.history_mismatch"
    MODEL_SHA256_MISMATCH = "model.sha256_mismatch"
    MODEL_LABELS_INVALID = "model.labels_invalid"
    MODEL_GOLDEN_MISMATCH = "model.golden_mismatch"
    MODEL_EVAL_BELOW = "model.eval_below"
    MODEL_ARCHIVE_UNSAFE = "model.archive_unsafe"
    MODEL_UNSAFE_OP = "model.unsafe_op"
    MODEL_SOURCE_UNREADABLE = "model.source_unreadable"
    MODEL_DOWNLOAD_FAILED = "model.download_failed"
    MODEL_LOAD_FAILED = "model.load_failed"
    MODEL_RUNTIME_MISSING = "model.runtime_missing"
    MODEL_LOCKED = "model.locked"
    MODEL_UNWRITABLE = "model.unwritable"

    OUTPUT_UNWRITABLE = "output.unwritable"
    OUTPUT_EXISTS = "output.exists"
    OUTPUT_SETTINGS_DIFFER = "output.settings_differ"
    OUTPUT_NOT_RESUMABLE = "output.not_resumable"
    OUTPUT_IN_USE = "output.in_use"
    OUTPUT_DISK_FULL = "output.disk_full"
    OUTPUT_CLOSED = "output.closed"

    SOURCE_NOT_FOUND = "source.not_found"
    SOURCE_PERMISSION = "source.permission"
    SOURCE_NOT_A_FILE = "source.not_a_file"
    SOURCE_INVALID_URL = "source.invalid_url"
    SOURCE_BAD_SCHEME = "source.bad_scheme"
    SOURCE_UNREADABLE = "source.unreadable"
    SOURCE_TOO_LARGE = "source.too_large"
    SOURCE_EMPTY = "source.empty"

    FETCH_DNS = "fetch.dns"
    FETCH_CONNECT = "fetch.connect"
    FETCH_TLS = "fetch.tls"
    FETCH_TIMEOUT = "fetch.timeout"
    FETCH_DEADLINE = "fetch.deadline"
    FETCH_HTTP_STATUS = "fetch.http_status"
    FETCH_RATE_LIMITED = "fetch.rate_limited"
    FETCH_REDIRECT = "fetch.redirect"
    FETCH_EMPTY = "fetch.empty"
    FETCH_BLOCKED_ADDRESS = "fetch.blocked_address"
    FETCH_BAD_RESPONSE = "fetch.bad_response"
    FETCH_BAD_ENCODING = "fetch.bad_encoding"
    FETCH_TOO_LARGE = "fetch.too_large"
    FETCH_TRUNCATED = "fetch.truncated"
    FETCH_CIRCUIT_OPEN = "fetch.circuit_open"
    FETCH_NOT_CACHED = "fetch.not_cached"

    DECODE_NOT_AN_IMAGE = "decode.not_an_image"
    DECODE_UNSUPPORTED = "decode.unsupported"
    DECODE_TRUNCATED = "decode.truncated"
    DECODE_CORRUPT = "decode.corrupt"
    DECODE_TOO_LARGE = "decode.too_large"
    DECODE_BAD_DIMENSIONS = "decode.bad_dimensions"
    DECODE_TIMEOUT = "decode.timeout"
    DECODE_WORKER_CRASHED = "decode.worker_crashed"

    INFERENCE_FAILED = "inference.failed"
    INFERENCE_NON_FINITE = "inference.non_finite"


class BirdError(Exception):
    """Anything birdcli refuses or fails at, on purpose.

    Exit code 1 is left to bugs, which show a traceback and are never a `BirdError`.

    Attributes:
        code: The stable code, for programs.
        message: One line for people; it may change between versions.
        hint: What to do about it, or empty.
        details: Facts as name and value, for programs.
    """

    exit_code: ClassVar[int]
    family: ClassVar[str]

    def __init__(self, code: ErrorCode, message: str, *, hint: str = "", **details: Detail) -> None:
        """Makes the error; `code` must belong to the class, so that exit codes cannot lie."""
        if not code.startswith(f"{self.family}."):
            raise ValueError(f"{code} is no code of {type(self).__name__}")
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.details = tuple(details.items())


class UsageError(BirdError):
    """The command line or an input list cannot be used."""

    exit_code = 2
    family = "usage"


class ModelError(BirdError):
    """A model or the registry cannot be trusted, found or loaded."""

    exit_code = 3
    family = "model"


class OutputError(BirdError):
    """The records cannot be written."""

    exit_code = 5
    family = "output"


class ItemError(BirdError):
    """One input failed; the run goes on and the failure becomes that input's record.

    Attributes:
        retryable: Whether the same input may well succeed later.
        attempts: How often it was tried.
        queued_until_s: When its turn came, seconds of `time.perf_counter`; None before that.
    """

    exit_code = 4
    queued_until_s: float | None = None

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        hint: str = "",
        retryable: bool = False,
        attempts: int = 1,
        **details: Detail,
    ) -> None:
        """Makes the error of one input."""
        super().__init__(code, message, hint=hint, **details)
        self.retryable = retryable
        self.attempts = attempts


class SourceError(ItemError):
    """An input is no readable file and no usable URL."""

    family = "source"


class FetchError(ItemError):
    """A URL did not deliver its bytes."""

    family = "fetch"


class DecodeError(ItemError):
    """Bytes did not become pixels."""

    family = "decode"


class InferenceError(ItemError):
    """Pixels did not become scores."""

    family = "inference"
