"""Which engine and precision run a version, and which is next if they do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from birdcli.errors import ErrorCode, ModelError, UsageError
from birdcli.model_version import InputType, ModelFormat
from birdcli.models.engines import EngineName, engines_for, install_hint
from birdcli.models.precision import Precision
from birdcli.models.prepared import is_prepared

if TYPE_CHECKING:
    from birdcli.model_version import ModelVersion
    from birdcli.models.engines import Machine

BATCH_SIZE: Final = 8
"""The fastest for every engine where it was measured: larger ones leave the processor's caches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A way to compute a model.

    Attributes:
        engine: The engine.
        precision: `float32`, `bfloat16`, `reference`, or what a TFLite file is stored in.
    """

    engine: EngineName
    precision: str

    @property
    def backend(self) -> str:
        """As records and proofs name it, such as `openvino/bfloat16`."""
        return f"{self.engine}/{self.precision}"

    @property
    def reference(self) -> bool:
        """Whether the model runs as untouched as it can."""
        return self.precision == Precision.REFERENCE


def plan_variants(
    version: ModelVersion,
    machine: Machine,
    *,
    engine: EngineName | None = None,
    precision: Precision = Precision.AUTO,
    preferred: Variant | None = None,
) -> tuple[Variant, ...]:
    """Decides how to compute a version.

    Args:
        version: An installed version.
        machine: What there is to compute with.
        engine: The only one wanted, or None for any.
        precision: The only one wanted, or `auto` for any.
        preferred: What was fastest when it was measured here.

    Returns:
        At least one variant, in the order to try them: each is held against the golden outputs, and
        the next one is for the case that it fails. Where both engine and precision are free, the
        untouched model is the last.

    Raises:
        UsageError: ``usage.bad_flag`` for what the version cannot have.
        ModelError: ``model.runtime_missing`` if no engine is installed that could.
    """
    wanted = engines_for(version.format)
    if engine is not None:
        if engine not in wanted:
            raise UsageError(
                ErrorCode.USAGE_BAD_FLAG,
                f"--engine {engine} does not run {version.id}, which is {version.format}",
                hint=f"{wanted[0]} does.",
            )
        wanted = (engine,)
    if version.format is ModelFormat.TFLITE:
        variants = [Variant(engine=EngineName.LITERT, precision=_tflite(version, precision))]
    else:
        variants = [
            Variant(engine=name, precision=value)
            for name in wanted
            for value in _precisions(version, name, machine, precision)
        ]
        variants = _with_untouched(variants, engine=engine, precision=precision)
    found = [variant for variant in variants if machine.has(variant.engine)]
    if not found:
        raise ModelError(
            ErrorCode.MODEL_RUNTIME_MISSING,
            f"{variants[0].engine} is not installed, which {version.id} needs",
            hint=install_hint(variants[0].engine),
        )
    if preferred in found:
        found.sort(key=lambda variant: variant != preferred)
    return tuple(found)


def _tflite(version: ModelVersion, precision: Precision) -> str:
    stored = version.input.dtype
    if precision in (Precision.AUTO, Precision.REFERENCE):
        return stored.value if precision is Precision.AUTO else precision.value
    if precision is Precision.BFLOAT16 or stored is not InputType.FLOAT32:
        raise UsageError(
            ErrorCode.USAGE_BAD_FLAG,
            f"--precision {precision}: {version.id} is a TFLite file that computes in {stored}",
            hint="auto runs it as it is; reference runs it with TFLite's own, slower kernels.",
        )
    return stored.value


def _precisions(
    version: ModelVersion, engine: EngineName, machine: Machine, wanted: Precision
) -> list[str]:
    """Returns the precisions of one engine, fastest first, without the untouched model."""
    if wanted is Precision.BFLOAT16 and not machine.bfloat16:
        raise UsageError(
            ErrorCode.USAGE_BAD_FLAG, "--precision bfloat16: this processor does not have it"
        )
    if wanted in (Precision.FLOAT32, Precision.BFLOAT16):
        return [wanted.value]
    if wanted is Precision.REFERENCE:
        return []
    fastest_first = ["bfloat16"] * machine.bfloat16 + ["float32"]
    # What was proven here, with graphs as they are prepared now, is the fastest that passed.
    proven = [
        evidence.backend.partition("/")[2]
        for evidence in version.evidence
        if is_prepared(version)
        and evidence.made_by(machine.host, machine.versions)
        and evidence.backend.partition("/")[0] == engine
    ]
    known = [fastest_first.index(value) for value in proven if value in fastest_first]
    return fastest_first[min(known, default=0) :]


def _with_untouched(
    variants: list[Variant], *, engine: EngineName | None, precision: Precision
) -> list[Variant]:
    """Returns the variants with the untouched model where it belongs."""
    untouched = Variant(engine=EngineName.TENSORFLOW, precision=Precision.REFERENCE.value)
    if precision is Precision.REFERENCE:
        if engine not in (None, EngineName.TENSORFLOW):
            raise UsageError(
                ErrorCode.USAGE_BAD_FLAG,
                f"--precision reference is TensorFlow's: {engine} runs a graph made of the model",
                hint="Leave --engine away.",
            )
        return [untouched]
    if precision is Precision.AUTO and engine in (None, EngineName.TENSORFLOW):
        return [*variants, untouched]
    return variants
