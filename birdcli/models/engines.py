"""Which engine runs a version, and how it is spoken of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from birdcli.errors import ErrorCode, UsageError
from birdcli.host import library_versions
from birdcli.model_version import InputType, ModelFormat
from birdcli.models.precision import Precision

if TYPE_CHECKING:
    from birdcli.model_version import ModelVersion

_TENSORFLOW_BATCH: Final = 8
"""The fastest batch for a graph whose fake-quantisation is not folded: larger ones leave the
processor's caches (measured: 150 images/s at 8, 120 at 32, two cores)."""
_LITERT_BATCH: Final = 8
"""It takes one picture after the other; a batch only saves hand-overs between threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine with its precision.

    Attributes:
        backend: As records and proofs name it, such as `tensorflow/float32`.
        reference: Whether the model runs as untouched as it can.
        batch_size: The fastest number of pictures at once.
    """

    backend: str
    reference: bool
    batch_size: int


def engine_is_installed(model_format: ModelFormat) -> bool:
    """Tells whether there is an engine for a format, without importing it."""
    engines = ("tensorflow", "ai-edge-litert")[: 2 if model_format is ModelFormat.TFLITE else 1]
    return bool(library_versions(*engines))


def choose_engine(version: ModelVersion, precision: Precision) -> Engine:
    """Returns the engine that runs a version.

    Raises:
        UsageError: ``usage.bad_flag`` if the precision is not to be had: a TFLite file is stored
            in one, and nothing makes another of it.
    """
    reference = precision is Precision.REFERENCE
    if version.format is not ModelFormat.TFLITE:
        kind = "reference" if reference else "float32"
        return Engine(
            backend=f"tensorflow/{kind}", reference=reference, batch_size=_TENSORFLOW_BATCH
        )
    stored = version.input.dtype
    if precision is Precision.FLOAT32 and stored is not InputType.FLOAT32:
        raise UsageError(
            ErrorCode.USAGE_BAD_FLAG,
            f"--precision float32: {version.id} is a TFLite file that computes in {stored}",
            hint="auto runs it as it is; reference runs it with TFLite's own, slower kernels.",
        )
    return Engine(
        backend=f"litert/{'reference' if reference else stored}",
        reference=reference,
        batch_size=_LITERT_BATCH,
    )
