"""Which engine and precision run a version, and which comes next."""

from __future__ import annotations

import msgspec
import pytest

from birdcli.errors import ErrorCode, ModelError, UsageError
from birdcli.model_version import (
    Evidence,
    FileEntry,
    InputSpec,
    InputType,
    ModelFormat,
    ModelVersion,
)
from birdcli.models.engines import EngineName, Machine
from birdcli.models.precision import Precision
from birdcli.models.prepared import parents_key
from birdcli.models.variants import Variant, plan_variants
from tests.unit.test_manifest import a_version

OPENVINO, TENSORFLOW, LITERT = EngineName.OPENVINO, EngineName.TENSORFLOW, EngineName.LITERT
AUTO, REFERENCE = Precision.AUTO, Precision.REFERENCE
FLOAT32, BFLOAT16 = Precision.FLOAT32, Precision.BFLOAT16
HALVES, PLAIN = "x86_64:avx512_bf16", "x86_64:avx2"
BOTH = ("openvino", "tensorflow")
GRAPHS = [model_format for model_format in ModelFormat if model_format is not ModelFormat.TFLITE]


def machine(*installed: str, host: str = HALVES) -> Machine:
    return Machine(host=host, versions=dict.fromkeys(installed, "1"))


def tflite(dtype: InputType) -> ModelVersion:
    return a_version(format=ModelFormat.TFLITE, input=InputSpec(dtype=dtype))


def proof(backend: str, *, host: str = HALVES, **libraries: str) -> Evidence:
    return Evidence(host=host, backend=backend, libraries=libraries, deviation=0.0, at="2026")


def prepared_version(*evidence: Evidence) -> ModelVersion:
    """A version with proofs, and graphs as they are made now."""
    path = f"prepared/tensorflow-1-float32-{parents_key(a_version())}.pb"
    entry = FileEntry(path=path, bytes=1, sha256="ab" * 32)
    return a_version(evidence=evidence, prepared=(entry,))


def backends(
    version: ModelVersion,
    here: Machine,
    engine: EngineName | None = None,
    precision: Precision = AUTO,
) -> list[str]:
    plan = plan_variants(version, here, engine=engine, precision=precision)
    return [variant.backend for variant in plan]


OV16, OV32 = "openvino/bfloat16", "openvino/float32"
TF16, TF32 = "tensorflow/bfloat16", "tensorflow/float32"
UNTOUCHED = "tensorflow/reference"
ALL = [OV16, OV32, TF16, TF32, UNTOUCHED]


@pytest.mark.parametrize("model_format", GRAPHS)
@pytest.mark.parametrize(
    ("installed", "host", "engine", "precision", "plan"),
    [
        (BOTH, HALVES, None, AUTO, ALL),
        (BOTH, PLAIN, None, AUTO, [OV32, TF32, UNTOUCHED]),
        (BOTH, HALVES, OPENVINO, AUTO, [OV16, OV32]),
        (BOTH, PLAIN, OPENVINO, AUTO, [OV32]),
        (BOTH, HALVES, TENSORFLOW, AUTO, [TF16, TF32, UNTOUCHED]),
        (BOTH, PLAIN, TENSORFLOW, AUTO, [TF32, UNTOUCHED]),
        (BOTH, HALVES, None, FLOAT32, [OV32, TF32]),
        (BOTH, HALVES, None, BFLOAT16, [OV16, TF16]),
        (BOTH, HALVES, TENSORFLOW, BFLOAT16, [TF16]),
        (BOTH, HALVES, OPENVINO, FLOAT32, [OV32]),
        (BOTH, HALVES, None, REFERENCE, [UNTOUCHED]),
        (BOTH, HALVES, TENSORFLOW, REFERENCE, [UNTOUCHED]),
        (("tensorflow",), HALVES, None, AUTO, [TF16, TF32, UNTOUCHED]),
        (("tensorflow",), PLAIN, None, AUTO, [TF32, UNTOUCHED]),
        (("openvino",), HALVES, None, AUTO, [OV16, OV32]),
        (("openvino", "ai-edge-litert"), PLAIN, None, AUTO, [OV32]),
    ],
)
def test_graphs_are_tried_from_the_fastest_to_the_untouched(
    model_format: ModelFormat,
    installed: tuple[str, ...],
    host: str,
    engine: EngineName | None,
    precision: Precision,
    plan: list[str],
) -> None:
    version = a_version(format=model_format)
    assert backends(version, machine(*installed, host=host), engine, precision) == plan


@pytest.mark.parametrize("engine", [None, LITERT])
@pytest.mark.parametrize(
    ("dtype", "precision", "backend"),
    [
        (InputType.UINT8, AUTO, "litert/uint8"),
        (InputType.INT8, AUTO, "litert/int8"),
        (InputType.FLOAT32, AUTO, "litert/float32"),
        (InputType.FLOAT32, FLOAT32, "litert/float32"),
        (InputType.UINT8, REFERENCE, "litert/reference"),
        (InputType.FLOAT32, REFERENCE, "litert/reference"),
    ],
)
@pytest.mark.parametrize("installed", ["ai-edge-litert", "tensorflow"])
def test_a_tflite_file_runs_as_it_is_stored(
    engine: EngineName | None,
    dtype: InputType,
    precision: Precision,
    backend: str,
    installed: str,
) -> None:
    assert backends(tflite(dtype), machine(installed), engine, precision) == [backend]


@pytest.mark.parametrize(
    ("version", "host", "engine", "precision", "words"),
    [
        (a_version(), HALVES, LITERT, AUTO, "--engine litert does not run birds@2"),
        (tflite(InputType.UINT8), HALVES, TENSORFLOW, AUTO, "which is tflite"),
        (tflite(InputType.UINT8), HALVES, OPENVINO, FLOAT32, "which is tflite"),
        (tflite(InputType.UINT8), HALVES, None, FLOAT32, "computes in uint8"),
        (tflite(InputType.FLOAT32), HALVES, None, BFLOAT16, "computes in float32"),
        (a_version(), PLAIN, None, BFLOAT16, "this processor does not have it"),
        (a_version(), PLAIN, OPENVINO, BFLOAT16, "this processor does not have it"),
        (a_version(), HALVES, OPENVINO, REFERENCE, "reference is TensorFlow's"),
    ],
)
def test_what_a_version_cannot_have_is_wrong_usage(
    version: ModelVersion,
    host: str,
    engine: EngineName | None,
    precision: Precision,
    words: str,
) -> None:
    here = machine(*BOTH, "ai-edge-litert", host=host)
    with pytest.raises(UsageError) as caught:
        plan_variants(version, here, engine=engine, precision=precision)
    assert caught.value.code is ErrorCode.USAGE_BAD_FLAG
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("version", "installed", "engine", "precision", "missing", "hint"),
    [
        (a_version(), ("tensorflow",), OPENVINO, AUTO, "openvino", "birdcli[fast]"),
        (a_version(), ("openvino",), TENSORFLOW, AUTO, "tensorflow", "birdcli"),
        (a_version(), ("openvino",), None, REFERENCE, "tensorflow", "birdcli"),
        (a_version(), (), None, AUTO, "openvino", "birdcli[fast]"),
        (tflite(InputType.UINT8), ("openvino",), None, AUTO, "litert", "birdcli[lite]"),
    ],
)
def test_an_engine_that_is_not_installed_is_named_with_what_installs_it(
    version: ModelVersion,
    installed: tuple[str, ...],
    engine: EngineName | None,
    precision: Precision,
    missing: str,
    hint: str,
) -> None:
    with pytest.raises(ModelError) as caught:
        plan_variants(version, machine(*installed), engine=engine, precision=precision)
    assert caught.value.code is ErrorCode.MODEL_RUNTIME_MISSING
    assert f"{missing} is not installed" in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("evidence", "plan"),
    [
        ((proof(OV32, openvino="1"),), [OV32, TF16, TF32, UNTOUCHED]),
        ((proof(OV16, openvino="1"),), ALL),
        ((proof(TF32, tensorflow="1"),), [OV16, OV32, TF32, UNTOUCHED]),
        ((proof(OV32, openvino="1"), proof(TF32, tensorflow="1")), [OV32, TF32, UNTOUCHED]),
        ((proof(OV32, openvino="1"), proof(OV16, openvino="1")), ALL),
        ((proof(OV32, openvino="0"),), ALL),
        ((proof(OV32, openvino="1", host=PLAIN),), ALL),
        ((proof(UNTOUCHED, tensorflow="1"),), ALL),
    ],
    ids=[
        *("slower proven", "fastest proven", "other engine", "both slower", "slower and faster"),
        *("other library", "other host", "untouched proven"),
    ],
)  # fmt: skip
def test_what_failed_where_something_slower_was_proven_is_not_tried_again(
    evidence: tuple[Evidence, ...], plan: list[str]
) -> None:
    assert backends(prepared_version(*evidence), machine(*BOTH)) == plan


def test_a_proof_over_graphs_of_another_making_says_nothing_of_those_made_now() -> None:
    entry = FileEntry(path="prepared/tensorflow-2.20-float32.pb", bytes=1, sha256="ab" * 32)
    version = a_version(evidence=(proof(OV32, openvino="1"),), prepared=(entry,))
    assert backends(version, machine(*BOTH)) == ALL
    assert backends(a_version(evidence=version.evidence), machine(*BOTH)) == ALL


def test_a_precision_that_was_asked_for_is_tried_whatever_was_proven() -> None:
    version = prepared_version(proof(OV32, openvino="1"), proof(TF32, tensorflow="1"))
    assert backends(version, machine(*BOTH), None, BFLOAT16) == [OV16, TF16]


def test_what_was_measured_as_fastest_is_tried_first() -> None:
    measured = Variant(engine=TENSORFLOW, precision="bfloat16")
    plan = plan_variants(a_version(), machine(*BOTH), preferred=measured)
    assert [variant.backend for variant in plan] == [TF16, OV16, OV32, TF32, UNTOUCHED]


@pytest.mark.parametrize(
    ("engine", "precision"), [(OPENVINO, AUTO), (None, FLOAT32), (None, REFERENCE)]
)
def test_what_was_measured_as_fastest_never_answers_for_something_else(
    engine: EngineName | None, precision: Precision
) -> None:
    measured = Variant(engine=TENSORFLOW, precision="bfloat16")
    with_it = plan_variants(
        a_version(), machine(*BOTH), engine=engine, precision=precision, preferred=measured
    )
    assert with_it == plan_variants(a_version(), machine(*BOTH), engine=engine, precision=precision)


def test_a_measured_variant_that_is_gone_is_forgotten() -> None:
    measured = Variant(engine=OPENVINO, precision="bfloat16")
    plan = plan_variants(a_version(), machine("tensorflow"), preferred=measured)
    assert plan[0].backend == TF16


def test_a_variant_knows_whether_it_is_the_untouched_model() -> None:
    assert Variant(engine=TENSORFLOW, precision="reference").reference
    assert not Variant(engine=TENSORFLOW, precision="float32").reference


def test_evidence_is_read_as_the_manifest_stores_it() -> None:
    """The plan reads `backend` as text: a proof survives the manifest."""
    again = msgspec.json.decode(msgspec.json.encode(proof(OV32, openvino="1")), type=Evidence)
    assert backends(prepared_version(again), machine(*BOTH))[0] == OV32
